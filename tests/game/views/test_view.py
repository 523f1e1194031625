"""Views in front of the discriminator: what is seen, by which draws, and what penalties are of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from layouts import on_every_layout

from gan_jax import losses
from gan_jax.game import rules, views
from gan_jax.game.core import Clock, StepContext
from gan_jax.game.kinds.auxiliary import ac_gan
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal
from gan_jax.game.memory import join_mean
from gan_jax.game.play import init, play_round
from gan_jax.game.schedules import by_images
from gan_jax.losses.regularizers import r1, r2

BATCH, START = 8, Clock()


class G(nn.Module):
  @nn.compact
  def __call__(self, z, y=None, *, train):
    return nn.Dense(2)(z)


class Square(nn.Module):
  """Logits ½‖x‖², whose gradient is x: a penalty ½‖g‖² is the logit of what is seen."""

  @nn.compact
  def __call__(self, x, y=None, *, train):
    scale = self.param("scale", nn.initializers.ones, ())
    return scale * 0.5 * jnp.sum(x**2, axis=-1)


def make(*given, **options):
  return two_player(
    G(),
    Square(),
    loss=losses.non_saturating,
    optimizers={"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.1)},
    latent=normal(3),
    views=given,
    **options,
  )


def batch(size=BATCH):
  return {"x": jax.random.normal(jax.random.key(1), (1, 16, 2))[:, :size] + 1}


def of_match(game, values, clock=START, size=BATCH):
  """Values of the match of a first move."""
  data = batch(size)
  state = init(game, jax.random.key(0), data)
  context = StepContext(jax.random.key(5), clock, None)
  forward = game.players["discriminator"].objective.forward
  given = state.params, state.carried, {"x": data["x"][0]}, context
  return jax.jit(lambda: values(forward(*given)[0]))()


def logits(*given, **options):
  """Logits of real examples in a first move."""
  return of_match(make(*given), lambda match: match.real_logits, **options)


def penalties(*given):
  """r1 and r2 of a first move, with its logits."""
  values = lambda match: (r1(match), match.real_logits, r2(match), match.fake_logits)
  return of_match(make(*given), values)


def test_penalties_are_of_the_draws_that_the_logits_are_of():
  at_real, real, at_fake, fake = penalties(views.gaussian_noise(0.5))
  np.testing.assert_allclose(at_real, real, rtol=1e-5)
  np.testing.assert_allclose(at_fake, fake, rtol=1e-5)
  assert not np.allclose(real, penalties()[1])


def test_penalties_differentiate_through_a_view_to_the_examples():
  """Of D(3 x) the gradient is 3 times that of D at 3 x."""
  at_real, real, at_fake, fake = penalties(views.augmentation(lambda x, key: 3 * x))
  np.testing.assert_allclose(at_real, 9 * real, rtol=1e-5)
  np.testing.assert_allclose(at_fake, 9 * fake, rtol=1e-5)


def test_packs_are_what_penalties_take_for_examples():
  x = batch()["x"][0]
  tripled = views.augmentation(lambda x, key: 3 * x)
  real = lambda *given: of_match(make(*given), lambda match: match.real)
  np.testing.assert_array_equal(real(views.packing(2), tripled), x.reshape(4, 4))
  np.testing.assert_array_equal(real(tripled, views.packing(2)), 3 * x.reshape(4, 4))
  at_real, real, *_ = penalties(tripled, views.packing(2))
  np.testing.assert_allclose(at_real, real, rtol=1e-5)
  at_real, real, *_ = penalties(views.packing(2), tripled)
  np.testing.assert_allclose(at_real, 9 * real, rtol=1e-5)


def test_a_view_may_change_the_shape_of_an_example():
  at_real, real, *_ = penalties(views.augmentation(lambda x, key: x[:1]))
  np.testing.assert_allclose(at_real, real, rtol=1e-5)
  np.testing.assert_allclose(real, 0.5 * batch()["x"][0, :, 0] ** 2, rtol=1e-5)


def test_draws_are_of_the_example_and_of_the_place_of_the_view():
  noise = views.augmentation(lambda x, key: x + jax.random.normal(key, x.shape))
  np.testing.assert_allclose(logits(noise)[:4], logits(noise, size=4), rtol=1e-6)
  same = views.augmentation(lambda x, key: x)
  np.testing.assert_array_equal(logits(noise, same), logits(noise))
  twice = logits(noise, noise)
  assert not np.allclose(twice, logits(views.gaussian_noise(2.0)))  # they are two draws
  assert not np.allclose(logits(same, noise), logits(noise))


def test_a_view_is_told_the_clock():
  falling = by_images(optax.linear_schedule(1.0, 0.0, 100))
  for images, std in ((50, 0.5), (200, 0.0)):
    at = logits(views.gaussian_noise(falling), clock=Clock(jnp.int32(1), jnp.uint32(images)))
    np.testing.assert_allclose(at, logits(views.gaussian_noise(std)), rtol=1e-6)


def adaptive(join=join_mean):
  """Scales by 1 + p; p follows the mean sign of the logits of real examples."""
  return views.View(
    lambda x, keys, clock, memory: (1 + memory["p"]) * x,
    memory={"p": jnp.zeros(())},
    update=lambda memory, match: {
      "p": memory["p"] + 0.1 * match.microbatch_mean(jnp.sign(match.real_scores - 1))
    },
    join=join,
  )


def test_a_view_remembers_from_the_moves_of_the_discriminator():
  game = make(views.gaussian_noise(0.1), adaptive(), turns=alternating(3))
  data = {"x": jnp.tile(batch()["x"], (3, 1, 1))}
  state = init(game, jax.random.key(0), data)
  name = "views.1"
  assert state.carried[name] == {"p": 0} and "views.0" not in state.carried
  of_d, of_g = (game._replace(turns=game.turns[i : i + 1]) for i in (0, 1))
  moved, _ = jax.jit(functools.partial(play_round, of_d))(state, data)
  assert 0 < abs(float(moved.carried[name]["p"])) <= 0.3 + 1e-6
  after, _ = jax.jit(functools.partial(play_round, of_g))(moved, batch())
  assert after.carried[name] == moved.carried[name]


class Images(nn.Module):
  @nn.compact
  def __call__(self, z, y=None, *, train):
    return nn.Dense(4)(z).reshape(-1, 2, 2, 1)


class Sums(nn.Module):
  @nn.compact
  def __call__(self, x, y=None, *, train):
    return jnp.sum(x * self.param("weights", nn.initializers.ones, (1, 2, 2, 1)), axis=(1, 2, 3))


def test_memory_and_draws_of_ada_are_the_same_on_every_layout():
  ada = views.ada(pipe="brightness, cutout", p=0.5, interval=1, kimg=0.2)
  sgd = optax.sgd(0.1)

  def make(view, turns):
    return two_player(
      Images(),
      Sums(),
      loss=losses.non_saturating,
      optimizers={"discriminator": sgd, "generator": sgd},
      latent=normal(3),
      views=(view, views.gaussian_noise(0.1)),
      turns=turns,
    )

  game = make(ada, alternating(2))
  data = {"x": jax.random.normal(jax.random.key(1), (2, 16, 2, 2, 1))}
  state = init(game, jax.random.key(0), data)
  want, metrics = jax.jit(functools.partial(play_round, game))(state, data)
  # The strength of the second move: one step, of 16 images, from that of the first.
  assert metrics["augmentation/p"] == pytest.approx(0.5 + 0.08 * np.sign(ada_rt(metrics) - 0.6))
  in_parts = rules.microbatches(game.turns, 4)
  play = jax.jit(functools.partial(play_round, game._replace(turns=in_parts)))
  for name, got, also in (
    *on_every_layout(game, state, data, ("data 8",)),
    ("microbatches", *play(state, data)),
  ):
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6, err_msg=name)
    jax.tree.map(close, got.carried["views.0"], want.carried["views.0"])
    jax.tree.map(close, got.params, want.params)
    close(ada_rt(also), ada_rt(metrics))
  game = make(ada._replace(join=None), in_parts)
  with pytest.raises(ValueError, match="'views.0' does not say how"):
    jax.eval_shape(functools.partial(play_round, game), state, data)


def ada_rt(metrics):
  return metrics["augmentation/rt"]


def test_games_that_are_built_on_two_players_take_views():
  class Auxiliary(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
      assert x.shape[1:] == (1,)
      return {"logits": nn.Dense(1)(x)[:, 0], "classes": nn.Dense(3)(x)}

  adam = optax.adam(1e-3)
  game = ac_gan(
    G(),
    Auxiliary(),
    loss=losses.hinge,
    optimizers={"discriminator": adam, "generator": adam},
    latent=normal(3),
    views=(views.augmentation(lambda x, key: x[:1]),),
  )
  data = {"x": jnp.zeros((2, BATCH, 2)), "y": jnp.zeros((2, BATCH), jnp.int32)}
  jax.eval_shape(functools.partial(play_round, game), init(game, jax.random.key(0), data), data)
