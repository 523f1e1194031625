"""VQGAN: the adaptive weight and the straight-through gradient, each by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.game.core import Clock, StepContext, gradients
from gan_jax.game.kinds.sides.turns import simultaneous
from gan_jax.game.kinds.vq_gan import Autoencoder, vq_gan
from gan_jax.game.play import init, play_round, sample
from gan_jax.nets.autoencoder import Codebook

B, SHAPE = 6, (2, 2, 1)


class Linear(nn.Module):
  """A linear map of channels without bias, of given weights."""

  weights: tuple[tuple[float, ...], ...]

  @nn.compact
  def __call__(self, x, y=None, *, train):
    return x @ self.param("kernel", lambda key: jnp.asarray(self.weights))


class Pixels(nn.Module):
  """A discriminator: a logit of each pixel."""

  factor: float = 0.7

  @nn.compact
  def __call__(self, x, y=None, *, train):
    return (x * self.param("factor", nn.initializers.constant(self.factor), ()))[..., 0]


ENCODER, DECODER, LAST = (
  ((1.5, -0.5),),
  ((1.0, 0.5, 0.0), (0.0, -1.0, 2.0)),
  ((0.3,), (0.2,), (-0.4,)),
)


def make(discriminator=None, **options):
  parts = Autoencoder(Linear(ENCODER), Codebook(4, 2), Linear(DECODER), Linear(LAST))
  given = {
    "loss": losses.hinge,
    "optimizers": dict.fromkeys(("discriminator", "generator"), optax.sgd(0.1)),
    "turns": simultaneous(),
  }
  return vq_gan(parts, discriminator or Pixels(), **{**given, **options})


def data():
  return {"x": jax.random.normal(jax.random.key(5), (1, B, *SHAPE))}


def state_of(game):
  entries = jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.2, 0.3], [-0.5, -2.0]])
  state = init(game, jax.random.key(0), data())
  return state.replace(params={**state.params, "codebook": {"entries": entries}})


def numbers():
  """x, z, the nearest entries, features and reconstructions, in float64."""
  x = np.asarray(data()["x"][0], np.float64).reshape(-1, 1)
  z = x @ np.array(ENCODER)
  entries = np.asarray(state_of(make()).params["codebook"]["entries"], np.float64)
  nearest = ((z[:, None] - entries) ** 2).sum(2).argmin(1)
  e = entries[nearest]
  h = e @ np.array(DECODER)
  return x, z, e, nearest, h, h @ np.array(LAST)


def gradients_of(game):
  context = StepContext(jax.random.key(3), Clock(), None)
  state = state_of(game)
  batch = {"x": data()["x"][0]}
  descend = jax.jit(functools.partial(gradients, game.players))
  grads, (_, metrics) = descend(state.params, state.carried, batch, context)
  return grads["generator"], metrics


def test_the_adaptive_weight_is_the_ratio_at_the_last_layer():
  """Of a linear last layer: gradients are features times the slopes of the losses in pixels."""
  x, _, _, _, h, fake = numbers()
  n = len(x)
  of_reconstruction = np.linalg.norm(h.T @ np.sign(fake - x)) / n
  of_adversarial = np.linalg.norm(h.T @ np.full_like(fake, -0.7)) / n
  _, metrics = gradients_of(make())
  weight = of_reconstruction / (of_adversarial + 1e-4)
  np.testing.assert_allclose(metrics["generator/adaptive_weight"], weight, rtol=1e-5)
  value = weight * (-0.7 * fake).mean()
  np.testing.assert_allclose(metrics["generator/adversarial"], value, rtol=1e-5)


def test_the_adaptive_weight_is_bounded_and_starts_late():
  """A discriminator that says nothing would have it infinite."""
  _, metrics = gradients_of(make(Pixels(0.0)))
  x, _, _, _, h, fake = numbers()
  norm = np.linalg.norm(h.T @ np.sign(fake - x)) / len(x)
  expected = min(norm / 1e-4, 1e4)
  np.testing.assert_allclose(metrics["generator/adaptive_weight"], expected, rtol=1e-5)
  game = make(start=2)
  step, state = jax.jit(functools.partial(play_round, game)), state_of(game)
  weights, factors = [], []
  for _ in range(3):
    state, metrics = step(state, data())
    weights.append(float(metrics["generator/adaptive_weight"]))
    factors.append(float(state.params["discriminator"]["factor"]))
  assert weights[:2] == [0, 0] and weights[2] > 0
  assert factors[0] == factors[1] == np.float32(0.7) != factors[2]


def test_the_gradient_goes_straight_through():
  """The encoder is given the entry's gradient, and that of commitment; entries their own alone."""
  weights = {"adversarial": 0.0, "reconstruction": 1.0, "codebook": 1.0, "commitment": 0.25}
  grads, _ = gradients_of(make(weights=weights))
  x, z, e, nearest, _, fake = numbers()
  n = len(x)
  at_entry = np.sign(fake - x) / n @ np.array(LAST).T @ np.array(DECODER).T
  commitment = 0.25 * 2 * (z - e) / z.size
  np.testing.assert_allclose(
    grads["encoder"]["kernel"], x.T @ (at_entry + commitment), rtol=1e-4, atol=1e-6
  )
  expected = np.zeros((4, 2))
  np.add.at(expected, nearest, 2 * (e - z) / z.size)
  np.testing.assert_allclose(grads["codebook"]["entries"], expected, rtol=1e-4, atol=1e-6)


def test_samples_are_reconstructions():
  game, x = make(), data()["x"][0]
  drawn = sample(game, state_of(game), jax.random.key(1), B, inputs=x)
  np.testing.assert_allclose(np.asarray(drawn).reshape(-1, 1), numbers()[-1], rtol=1e-5, atol=1e-6)


def test_what_is_wrong_is_told():
  with pytest.raises(ValueError, match="start is -1: expected a number of rounds"):
    make(start=-1)
  with pytest.raises(ValueError, match="weights are .*: expected them by name, adversarial"):
    make(weights={})
