"""pix2pix: the losses by hand, pairs, dropout as noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.game.kinds.pix2pix import pix2pix
from gan_jax.game.kinds.sides.turns import simultaneous
from gan_jax.game.play import init, play_round, sample
from gan_jax.nets.layers import Dropout

SHAPE, B = (4, 4, 1), 8


class Scale(nn.Module):
  """A translator: one factor, and dropout."""

  rate: float = 0.0
  noisy: bool = False

  @nn.compact
  def __call__(self, x, y=None, *, train):
    factor = self.param("factor", nn.initializers.constant(2.0), ())
    return Dropout(self.rate)(x * factor, train=train or self.noisy)


class Patches(nn.Module):
  """A discriminator of pairs: a logit of each row, of other weights of the two sides."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    weight = self.param("weight", lambda key: jnp.array([0.5, -0.25]))
    return jnp.mean(x, axis=2) @ weight


def make(translator=None, **options):
  given = {
    "loss": losses.non_saturating,
    "optimizers": dict.fromkeys(("discriminator", "generator"), optax.sgd(0.1)),
    "turns": simultaneous(),
  }
  return pix2pix(translator or Scale(), Patches(), **{**given, **options})


def data(n=1):
  rng = np.random.default_rng(0)
  return {k: jnp.asarray(rng.normal(size=(n, B, *SHAPE)), jnp.float32) for k in "ab"}


def test_losses_by_hand():
  """With G(a) = 2 a: cross entropies of pairs, halved for D, and 100 times the difference."""
  game = make()
  state = init(game, jax.random.key(0), data())
  _, metrics = jax.jit(functools.partial(play_round, game))(state, data())
  a, b = (np.asarray(data()[k][0], np.float64)[..., 0] for k in "ab")
  logits = lambda partner: (0.5 * a - 0.25 * partner).mean(2)
  softplus = lambda x: np.logaddexp(0, x)
  real, fake = logits(b), logits(2 * a)
  expected = {
    "discriminator/loss": 0.5 * (softplus(-real) + softplus(fake)).mean(),
    "generator/adversarial": softplus(-fake).mean(),
    "generator/l1": np.abs(2 * a - b).mean(),
    "generator/loss": softplus(-fake).mean() + 100 * np.abs(2 * a - b).mean(),
  }
  for name, value in expected.items():
    np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)


def test_without_a_discriminator_it_is_regression():
  """The generator's step is that of the mean absolute difference alone."""
  game = make(weights={"adversarial": 0.0, "l1": 1.0, "discriminator": 0.5})
  state = init(game, jax.random.key(0), data())
  after, _ = jax.jit(functools.partial(play_round, game))(state, data())
  a, b = (np.asarray(data()[k][0], np.float64) for k in "ab")
  slope = (np.sign(2 * a - b) * a).mean()
  np.testing.assert_allclose(after.params["generator"]["factor"], 2 - 0.1 * slope, rtol=1e-5)


def test_dropout_is_the_noise_of_samples():
  """Each image has a mask of its own, the same in whatever batch; without noise there is none."""
  x = data()["a"][0]
  drawn = {}
  for noisy in (True, False):
    game = make(Scale(0.5, noisy))
    state = init(game, jax.random.key(0), data())
    draw = functools.partial(sample, game, state, jax.random.key(1))
    drawn[noisy] = np.asarray(draw(B, inputs=x))
    np.testing.assert_array_equal(draw(3, inputs=x[2:5]), drawn[noisy][2:5])
  np.testing.assert_array_equal(drawn[False], 2 * x)
  dropped = drawn[True] == 0
  assert 0.3 < dropped.mean() < 0.7 and (dropped[0] != dropped[1]).any()
  np.testing.assert_allclose(drawn[True][~dropped], 4 * np.asarray(x)[~dropped], rtol=1e-6)


def test_what_is_wrong_is_told():
  with pytest.raises(ValueError, match="weights are .*: expected them by name, adversarial, l1"):
    make(weights={"l1": 1.0})
  with pytest.raises(ValueError, match="expected 'b' too, a side of pairs"):
    init(make(), jax.random.key(0), {"a": data()["a"]})
