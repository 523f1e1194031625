"""BiGAN: the losses by hand, its optimum, and losses that it is not for."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.game.core import StepContext, gradients
from gan_jax.game.kinds.bi_gan import bi_gan
from gan_jax.game.kinds.sides.turns import simultaneous
from gan_jax.game.latents import normal
from gan_jax.game.play import init, play_round, sample

B = 4096


class Scale(nn.Module):
  """A generator or an encoder of one dimension: one factor."""

  factor: float

  @nn.compact
  def __call__(self, x, y=None, *, train):
    return x * self.param("factor", nn.initializers.constant(self.factor), ())


class Gaussian(nn.Module):
  """A stochastic encoder: the mean x / 2, and a variance."""

  variance: float

  @nn.compact
  def __call__(self, x, y=None, *, train):
    bias = self.param("bias", nn.initializers.constant(math.log(self.variance)), ())
    return jnp.concatenate([x / 2, jnp.broadcast_to(bias, x.shape)], axis=1)


class Quadratic(nn.Module):
  """A discriminator of pairs: quadratic, as log density ratios of Gaussians are."""

  @nn.compact
  def __call__(self, pair, y=None, *, train):
    rows = jnp.concatenate(pair, axis=1)
    weight = self.param("weight", lambda key: jnp.zeros((2, 2)))
    return jnp.einsum("bi,ij,bj->b", rows, weight, rows)


def make(encoder=None, loss=losses.minimax, **options):
  sgd = dict.fromkeys(("discriminator", "generator"), optax.sgd(0.1))
  nets = Scale(2.0), encoder or Scale(0.5), Quadratic()
  return bi_gan(*nets, loss=loss, optimizers=sgd, latent=normal(1), turns=simultaneous(), **options)


def data(scale=2.0):
  return {"x": scale * jax.random.normal(jax.random.key(5), (1, B, 1))}


def losses_at(game, state, batch):
  """The gradients and metrics of both players."""
  context = StepContext(jax.random.key(3), state.clock, None)
  grads, (_, metrics) = gradients(game.players, state.params, state.carried, batch, context)
  return grads, metrics


def test_at_the_optimum_the_value_is_minus_log_4():
  """G and E are inverse, and the data are those of G: nobody moves but by the noise of a batch."""
  game, batch = make(), data()
  state = init(game, jax.random.key(0), batch)
  grads, metrics = losses_at(game, state, {"x": batch["x"][0]})
  np.testing.assert_allclose(metrics["V"], -math.log(4), rtol=1e-6)
  assert all(np.abs(leaf).max() < 20 / math.sqrt(B) for leaf in jax.tree.leaves(grads))
  # Where they are not inverse, the discriminator has somewhere to go.
  game = make(Scale(-0.5))
  grads, _ = losses_at(game, init(game, jax.random.key(0), batch), {"x": batch["x"][0]})
  assert np.abs(grads["discriminator"]["discriminator"]["weight"]).max() > 1


def test_both_sides_by_hand():
  """The encoder's loss is the generator's, of real pairs for fakes."""
  for loss, encoder in (
    (losses.minimax, lambda a: -np.logaddexp(0, -a)),  # log D(x, E(x))
    (losses.non_saturating, lambda a: np.logaddexp(0, a)),  # -log(1 - D(x, E(x)))
    (losses.hinge, lambda a: a),
  ):
    game, batch = make(loss=loss), data()
    state = init(game, jax.random.key(0), batch)
    weight = jnp.array([[0.1, 0.2], [0.0, -0.3]])
    params = {**state.params, "discriminator": {"weight": weight}}
    _, metrics = losses_at(game, state.replace(params=params), {"x": batch["x"][0]})
    x = np.asarray(batch["x"][0, :, 0], np.float64)
    a = 0.1 * x**2 + 0.2 * x * (x / 2) - 0.3 * (x / 2) ** 2
    np.testing.assert_allclose(metrics["generator/encoder"], encoder(a).mean(), rtol=1e-4)


def test_a_stochastic_encoder_draws_codes_in_training_alone():
  game, batch = make(Gaussian(0.25), stochastic=True), data()
  state = init(game, jax.random.key(0), batch)
  context = StepContext(jax.random.key(3), state.clock, None)
  forward = game.players["generator"].objective.forward
  match, _ = forward(state.params, state.carried, {"x": batch["x"][0]}, context)
  noise = match.real[:, 1] - match.real[:, 0] / 2
  np.testing.assert_allclose([noise.mean(), noise.std()], [0, 0.5], atol=0.05)
  x = batch["x"][0, :5]
  draw = functools.partial(sample, game, state, jax.random.key(1), 5)
  np.testing.assert_allclose(draw(sampler="reconstruct", inputs=x), x, rtol=1e-6)
  assert draw().shape == (5, 1)


def test_they_learn_to_be_inverse():
  """From E = -1 / G the pairs are told apart; played on, E(G(z)) nears z."""
  game, batch = make(Scale(-0.2), loss=losses.non_saturating), data()
  state = init(game, jax.random.key(0), batch)
  step = jax.jit(functools.partial(play_round, game))
  for _ in range(300):
    state, _ = step(state, batch)
  product = state.params["generator"]["factor"] * state.params["encoder"]["factor"]
  assert product > 0.5


def test_what_is_wrong_is_told():
  for loss in (losses.least_squares, losses.smooth(losses.non_saturating, 0.9)):
    with pytest.raises(ValueError, match="targets or a memory for real examples alone"):
      make(loss=loss)
  with pytest.raises(ValueError, match=r"the encoder makes \[4096, 2\]: expected \[4096, 1\]"):
    init(make(Gaussian(0.25)), jax.random.key(0), data())
