"""AC-GAN: its terms by hand, and classes that are told of fakes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import losses
from gan_jax.game.kinds.auxiliary import ac_gan
from gan_jax.game.play import init, play_round, sample
from gan_jax.nets import AuxiliaryMLPDiscriminator, MLPDiscriminator, MLPGenerator


class Told(nn.Module):
  """Logits of classes that are the example, times a parameter."""

  num_classes: int = 3

  @nn.compact
  def __call__(self, x, y=None, *, train):
    scale = self.param("scale", lambda key: jnp.float32(2.0))
    return {"logits": scale * x[:, 0], "classes": scale * x}


class Drawn(nn.Module):
  """Examples that are a parameter, the same for all."""

  num_classes: int = 3

  @nn.compact
  def __call__(self, z, y=None, *, train):
    return jnp.tile(self.param("value", lambda key: jnp.array([0.5, -1.0, 2.0])), (len(z), 1))


def make(generator=None, discriminator=None, **options):
  adam = optax.adam(1e-2)
  return ac_gan(
    generator or Drawn(),
    discriminator or Told(),
    loss=losses.non_saturating,
    optimizers={"discriminator": adam, "generator": adam},
    latent=lambda keys: jnp.zeros((len(keys), 2)),
    **options,
  )


def batch(n=16):
  x = jax.random.normal(jax.random.key(0), (2, n, 3))
  return {"x": x, "y": jax.random.randint(jax.random.key(1), (2, n), 0, 3)}


def play(game, rounds=1):
  given = batch()
  state = init(game, jax.random.key(0), given)
  step = jax.jit(lambda state: play_round(game, state, given))
  for _ in range(rounds):
    state, metrics = step(state)
  return state, metrics


def test_terms_by_hand():
  _, metrics = play(make(weights={"discriminator": 0.5, "generator": 3.0}))
  minus_log = lambda x, y: -np.asarray(jax.nn.log_softmax(x))[np.arange(len(y)), y].mean()
  given = jax.tree.map(np.asarray, batch())
  fakes = np.tile(np.array([0.5, -1, 2], np.float32), (16, 1))
  expected = {
    "discriminator/classes_real": minus_log(2 * given["x"][0], given["y"][0]),
    "discriminator/classes_fake": minus_log(2 * fakes, given["y"][0]),
  }
  for name, value in expected.items():  # float32 means of 16 terms
    np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)
  for player, weight, terms in (
    ("discriminator", 0.5, ("classes_real", "classes_fake")),
    ("generator", 3.0, ("classes_fake",)),
  ):
    classes = sum(metrics[f"{player}/{term}"] for term in terms)
    total = metrics[f"{player}/adversarial"] + weight * classes
    np.testing.assert_allclose(metrics[f"{player}/loss"], total, rtol=1e-5)


def test_the_classes_of_fakes_are_told_after_a_few_rounds():
  game = make(
    MLPGenerator(shape=(3,), hidden=(8,), num_classes=3),
    AuxiliaryMLPDiscriminator(hidden=(8,), num_classes=3),
  )
  (_, first), (state, last) = play(game), play(game, rounds=150)
  for name in ("generator/classes_fake", "discriminator/classes_real"):
    assert last[name] < 0.8 * first[name]
  assert sample(game, state, jax.random.key(1), 3, jnp.arange(3)).shape == (3, 3)


def test_wrong_arguments_are_refused():
  with pytest.raises(ValueError, match="weights are .*discriminator, generator"):
    make(weights={"generator": 1.0})
  with pytest.raises(ValueError, match="returns no 'classes'"):
    play(make(discriminator=MLPDiscriminator(num_classes=3)))
  with pytest.raises(ValueError, match="data with one class: expected data with 2 or more"):
    make(discriminator=MLPDiscriminator(num_classes=1))
