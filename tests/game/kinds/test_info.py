"""InfoGAN: its prior, and its terms by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.game.kinds.info import BALANCE, Codes, info_gan
from gan_jax.game.kinds.sides.turns import simultaneous
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.views import packing
from gan_jax.nets import AuxiliaryMLPDiscriminator, MLPDiscriminator, MLPEncoder, MLPGenerator

CODES = Codes(3, (4, 2), 2)


class Constant(nn.Module):
  """A Q that reads the same in all fakes, which its parameters are."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    value = self.param("value", lambda key: jnp.arange(8.0))
    return jnp.tile(value, (len(x), 1))


def make(q=None, codes=CODES, discriminator=MLPDiscriminator, **options):
  adam = optax.adam(1e-2)
  return info_gan(
    MLPGenerator(shape=(2,), hidden=(8,)),
    discriminator(hidden=(8,)),
    q or MLPEncoder(codes.size, hidden=(8,)),
    codes=codes,
    loss=losses.non_saturating,
    optimizers={"discriminator": adam, "generator": adam},
    **options,
  )


def batch(n=512):
  return {"x": jax.random.normal(jax.random.key(0), (1, n, 2))}


def test_latents_are_noise_then_classes_then_continuous_codes():
  z = CODES.sample(jax.random.split(jax.random.key(0), 4000))
  classes, continuous = CODES.split(z)
  uniform = np.concatenate([z[:, :3], continuous], axis=1)
  # Four standard errors: of the variance 1/3 of U(-1, 1), and of the share of a class.
  np.testing.assert_allclose(uniform.var(0), 1 / 3, atol=4 * (4 / 45 / 4000) ** 0.5)
  assert uniform.min() >= -1 and uniform.max() <= 1 and z.shape == (4000, 11)
  for size, one_hot in zip(CODES.categorical, classes, strict=True):
    np.testing.assert_array_equal(np.sort(one_hot, axis=1), np.eye(size)[[-1] * 4000])
    np.testing.assert_allclose(one_hot.mean(0), 1 / size, atol=4 * (0.25 / 4000) ** 0.5)
  assert abs(np.corrcoef(z.T) - np.eye(11))[:3].max() < 4 / 4000**0.5  # noise is independent


def test_terms_by_hand():
  game, given = make(Constant()), batch()
  state = init(game, jax.random.key(0), given)
  _, metrics = jax.jit(lambda state: play_round(game, state, given))(state)
  # Of a Q that does not look: E -log Q is that of classes as frequent as in the prior, within four
  # standard errors of 512 examples; half the square of 6 - c and 7 - c with c of U(-1, 1).
  softmax = lambda x: -jax.nn.log_softmax(jnp.asarray(x))
  both = [softmax([0.0, 1, 2, 3]), softmax([4.0, 5])]
  error = 4 * sum(float(x.std()) for x in both) / 512**0.5
  expected = sum(float(x.mean()) for x in both)
  np.testing.assert_allclose(metrics["generator/categorical"], expected, atol=error)
  expected = 0.5 * (36 + 49 + 2 / 3)
  np.testing.assert_allclose(metrics["generator/continuous"], expected, rtol=0.05)
  total = (
    metrics["generator/adversarial"]
    + metrics["generator/categorical"]
    + 0.1 * metrics["generator/continuous"]
  )
  np.testing.assert_allclose(metrics["generator/loss"], total, rtol=1e-5)


class Sign(nn.Module):
  """A Q whose first code tells the sign of the first coordinate: two of its four classes."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    scale = self.param("scale", lambda key: jnp.float32(1.0))
    signs = scale * jnp.stack([x[:, 0], -x[:, 0]], axis=1) * 1e4
    return jnp.concatenate([signs, jnp.full((len(x), 2), -1e9), jnp.zeros((len(x), 4))], axis=1)


def test_self_augmented_term_by_hand():
  """A transform that keeps the sign costs nothing; one that turns it costs the logits' distance."""
  given = {"x": jnp.sign(jax.random.normal(jax.random.key(0), (1, 512, 2)))}
  share = float(np.mean(given["x"][..., 0] > 0))
  entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
  # The second code is of two classes that Q never tells apart.
  least = -BALANCE * (entropy + np.log(2)) + np.log(2)
  for sign, expected in ((1, least), (-1, least + 2e4)):
    transform = lambda keys, x, sign=sign: sign * x
    game = make(Sign(), weights={"self_augmented": 2.0}, transform=transform, turns=simultaneous())
    state = init(game, jax.random.key(0), given)
    _, metrics = jax.jit(lambda state, game=game: play_round(game, state, given))(state)
    np.testing.assert_allclose(metrics["generator/self_augmented"], expected, rtol=1e-5)


def test_default_game_has_no_term_of_real_examples():
  state = init(make(), jax.random.key(0), batch(8))
  _, metrics = jax.eval_shape(functools.partial(play_round, make()), state, batch(8))
  assert "generator/self_augmented" not in metrics


@pytest.mark.parametrize("discriminator", [MLPDiscriminator, AuxiliaryMLPDiscriminator])
def test_codes_are_read_after_a_few_rounds(discriminator):
  """The bound of information rises from nothing; Q reads fakes, or features of them."""
  game, given = make(discriminator=discriminator), batch(64)
  state = init(game, jax.random.key(0), given)
  step = jax.jit(lambda state: play_round(game, state, given))
  first = None
  for _ in range(150):
    state, metrics = step(state)
    first = first or metrics
  for name in ("categorical", "continuous"):
    assert metrics[f"generator/{name}"] < 0.8 * first[f"generator/{name}"]
  assert sample(game, state, jax.random.key(1), 5).shape == (5, 2)


def test_wrong_arguments_are_refused():
  for codes, message in (
    ((3, (4,), 1), "expected Codes"),
    (Codes(3, (1,), 2), "ints >= 2"),
    (Codes(3, (), 0), "there are no codes"),
    (Codes(3, (4,), -1), "continuous is -1"),
  ):
    with pytest.raises(ValueError, match=message):
      make(MLPEncoder(), codes)
  with pytest.raises(ValueError, match="weights are .*categorical, continuous, self_augmented"):
    make(weights={"discrete": 1.0})
  with pytest.raises(ValueError, match="self_augmented is of categorical codes, and there are no"):
    make(codes=Codes(3, (), 2), weights={"self_augmented": 1.0})
  with pytest.raises(ValueError, match="packing = 2, and encoders"):
    make(views=(packing(2),))
  game = make(MLPEncoder(5))
  play = functools.partial(play_round, game)
  with pytest.raises(ValueError, match=r"expected \[16, 8\]"):
    jax.eval_shape(play, init(game, jax.random.key(0), batch(16)), batch(16))
