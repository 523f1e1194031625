"""Distillation as a game of three players: whose loss moves whom, and what data it needs."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.data.example import Example
from gan_jax.game.core import Clock, StepContext, gradients, minibatches
from gan_jax.game.kinds.distribution_matching import (
  NoiseLevels,
  distribution_matching,
  two_time_scales,
)
from gan_jax.game.latents import normal
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.random import named_key
from gan_jax.losses.one_step.distribution_matching import (
  karras_levels,
  mixture_denoiser,
  preconditioning,
)
from gan_jax.nets import MLPDiscriminator, MLPGenerator
from gan_jax.nets.flow import FlowMLPCritic
from gan_jax.run.config import complete, default_config, network, replaced
from gan_jax.run.config.sections.kinds import distribution_matching as section
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.experiment import build
from gan_jax.theory import dynamics, rounds
from gan_jax.theory.toys import Point

X = jnp.asarray(np.random.default_rng(0).normal(size=(16, 2)), jnp.float32)
BATCH = {"x": X}
CONTEXT = StepContext(jax.random.key(1), Clock(), None)
TEACHER = mixture_denoiser(np.array([[1.0, 0.0], [-1.0, 0.0]]), 0.1)
NETS = (
  MLPGenerator(shape=(2,), hidden=(8,)),
  FlowMLPCritic(shape=(2,), hidden=(8,), time_code=4),
  MLPDiscriminator(hidden=(4,)),
)
OF_DATA = "^config.data: the teacher is of the training examples: "
LEVELS = NoiseLevels(*[karras_levels(0.1, 2.0)] * 3)


def make(nets=NETS, rate=0.1, **options):
  names = ("generator", "critic", "discriminator")[: len(nets)]
  given = {
    "teacher": TEACHER,
    "latent": normal(3),
    "levels": LEVELS,
    "optimizers": dict.fromkeys(names, optax.sgd(rate)),
  }
  return distribution_matching(*nets, **given | options)


def start(game):
  return init(game, jax.random.key(0), {"x": jnp.stack([X] * max(1, minibatches(game)))})


def test_three_players_have_the_gradients_of_the_published_two_losses():
  """The critic's and the head's are of one sum, the generator's of matching and non-saturation."""
  weights = {"adversarial": 0.3, "features": 0.2}
  game = make(weights=weights)
  state = start(game)
  assert {name: player.owns for name, player in game.players.items()} == {
    "critic": ("critic",),
    "discriminator": ("discriminator",),
    "generator": ("generator",),
  }
  assert [(turn.players, turn.repeat) for turn in game.turns] == [
    (("critic", "discriminator"), 5),
    (("generator",), 1),
  ]
  generator, critic, head = NETS
  apply = lambda net, params, x: net.apply({"params": params}, x, train=False)

  def noised_inputs(params, x, sigma):
    scales = preconditioning(sigma, 0.5)
    return apply(critic, params["critic"], (scales.into[:, None] * x, scales.time)), scales

  @jax.jit
  def look(params):
    match, _ = game.players["generator"].objective.forward(params, state.carried, BATCH, CONTEXT)
    own, _ = gradients(game.players, params, state.carried, BATCH, CONTEXT)

    def draw(use):
      keys = lambda name: CONTEXT.example_keys(named_key(CONTEXT.key, f"{name} of {use}"), len(X))
      noise = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys("noise"))
      return noise, LEVELS.denoising(keys("levels"))

    def logits(params, x, kind):
      n, sigma = draw(kind)
      outputs, _ = noised_inputs(params, x + sigma[:, None] * n, sigma)
      return apply(head, params["discriminator"], outputs["features"])

    def denoised(params, x, use):
      n, sigma = draw(use)
      noisy = x + sigma[:, None] * n
      outputs, scales = noised_inputs(params, noisy, sigma)
      mean = scales.skip[:, None] * noisy + scales.out[:, None] * outputs["output"]
      return mean, TEACHER(noisy, sigma), sigma

    def guidance(params, weight):
      fake = match.fake
      mean, _, sigma = denoised(params, fake, "denoising")
      error = jnp.mean((sigma**-2 + 0.5**-2)[:, None] * (mean - fake) ** 2)
      a, b = logits(params, X, "real"), logits(params, fake, "fake")
      return error + weight * jnp.mean(jax.nn.softplus(b) + jax.nn.softplus(-a))

    def generation(params):
      fake = apply(generator, params["generator"], match.latents)
      mean, by_teacher, _ = jax.lax.stop_gradient(denoised(params, fake, "matching"))
      error = jnp.abs(jax.lax.stop_gradient(fake) - by_teacher).mean(axis=1, keepdims=True)
      target = jax.lax.stop_gradient(fake) - (mean - by_teacher) / error
      adversarial = jax.nn.softplus(-logits(params, fake, "fake"))
      return 0.5 * jnp.mean((fake - target) ** 2) + 0.3 * jnp.mean(adversarial)

    both = jax.grad(guidance)(params, weights["features"])
    whole = jax.grad(guidance)(params, 1.0)
    expected = {
      "critic": both["critic"],
      # Its own loss has the weight 1, which Adam forgets: published is the sum for both.
      "discriminator": whole["discriminator"],
      "generator": jax.grad(generation)(params)["generator"],
    }
    shared = jax.tree.map(lambda x: x / weights["features"], both["discriminator"])
    return {name: own[name][name] for name in own}, expected, shared

  own, expected, shared = look(state.params)
  close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)  # of sums in float32
  jax.tree.map(close, own, expected)
  jax.tree.map(close, own["discriminator"], shared)
  assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(own))


def test_without_a_discriminator_no_data_are_seen():
  """Two players, none of whom consumes a minibatch; their networks start as they do with it."""
  three, two = make(turns=two_time_scales(2)), make(NETS[:2])
  assert set(two.players) == {"critic", "generator"} and "D(x)" in three.headline
  assert set(two.headline) == {"critic", "difference"}
  # The generator's moves need none: non-saturation is of fakes alone.
  assert (minibatches(three), minibatches(two)) == (2, 0)
  (params, _), (others, _) = (jax.jit(game.init)(jax.random.key(0), BATCH) for game in (three, two))
  for name in others:
    jax.tree.map(np.testing.assert_array_equal, params[name], others[name])


class Constant(nn.Module):
  """A critic at σ = σ_d = 1 that denoises everything to its parameter psi."""

  @nn.compact
  def __call__(self, inputs, y=None, *, train):
    # Of x / √2 and (x + √2 output) / 2; see `preconditioning`.
    psi = self.param("psi", nn.initializers.zeros, ())
    return {"output": 2**0.5 * psi - inputs[0], "features": inputs[0]}


@pytest.mark.parametrize("k", [1, 3])
def test_a_round_between_points_is_that_in_closed_form(k):
  """And who converges, and who goes round, are as its eigenvalues say."""
  once = NoiseLevels(*[lambda keys: jnp.ones(len(keys))] * 3)

  def jacobian(step, critic_step):
    # The weighted error is 2 (psi - theta)².
    sgd = {"critic": optax.sgd(critic_step / 4), "generator": optax.sgd(step)}
    game = make(
      (Point(0.0), Constant()),
      teacher=lambda x, sigma: jnp.zeros_like(x),
      optimizers=sgd,
      turns=two_time_scales(k, discriminator=False),
      levels=once,
      data_std=1.0,
      normalise=False,
      latent=normal(1),
    )
    batch = {"x": jnp.zeros((1, 1, 1))}
    return dynamics.round_jacobian(game, init(game, jax.random.key(0), batch), batch)

  steps, critic_steps = np.array([0.05, 0.3, 1.5, 2.5]), np.array([0.3, 0.3, 0.9, 0.9])
  found = jax.jit(jax.vmap(jacobian))(steps, critic_steps)
  for matrix, step, critic_step in zip(found, steps, critic_steps, strict=True):
    expected = rounds.distillation_matrix(step, critic_step, k)
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-6)
    values = np.linalg.eigvals(expected)
    calm, stable = rounds.distillation_steps(critic_step, k)
    assert (np.abs(values).max() < 1) == (step < stable)
    assert np.isreal(values).all() == (step <= calm or step > 1 / calm)


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"conditional": True}, "takes no labels"),
    ({"levels.largest": 0.001}, "config.levels: noise levels are between two numbers from 1e-9"),
    ({"teacher.std": 1e25}, r"config.teacher.std: std is 1e\+25: expected a number >= 0, to 1e9"),
    ({"levels.matching": (0.9, 0.1)}, r"config.levels: a part .* two shares in \[0, 1\]"),
    ({"normalisation": "mean"}, "expected 'published' or 'none'"),
    ({"data_std": 0.0}, "config.data_std: data_std is 0.0: expected a number from 1e-9 to 1e9"),
    ({"k": 0}, "config.k = 0: expected at least 1"),
    ({"critic": {"name": "mlp_discriminator"}}, "^config.critic: the network 'mlp_discriminator'"),
  ],
)
def test_choices_that_cannot_be_are_refused(changes, message):
  config = default_config("distribution_matching")
  with pytest.raises(ValueError, match=message):
    build_game(complete(replaced(config, {"data": "line4", **changes})), Example((1,), None, None))


def of_images(**changes):
  config = default_config("distribution_matching")
  config.data, config.batch_size = "digits8x8", 8
  config.generator = network("mlp_generator", hidden=(4,), output="tanh")
  return replaced(config, changes)


@pytest.mark.parametrize("changes", [{}, {"data_options.examples": 100, "teacher.std": 0.2}])
def test_the_teacher_is_of_the_training_examples(changes, monkeypatch):
  """Those that batches are of, at the scale that players see; the test split is not among them."""
  given = []
  monkeypatch.setattr(section, "mixture_denoiser", lambda *of: given.append(of) or TEACHER)
  batches = build(of_images(**changes)).batches
  ((examples, std),) = given
  assert std == changes.get("teacher.std", 0.0)
  assert examples.shape == (changes.get("data_options.examples", 1500), 64)
  seen = batches.at(batches.arrays, 0)["x"].reshape(8, 64)
  assert {x.tobytes() for x in np.asarray(seen)} <= {x.tobytes() for x in examples}


def test_a_game_without_its_data_is_sampled_and_not_played():
  """As of a run whose data are gone: shapes of its state are known, and a round is refused."""
  config = complete(of_images())
  game = build_game(config, Example((8, 8, 1), None, (-1.0, 1.0)))
  batch = {"x": jnp.zeros((config.k, 8, 8, 8, 1))}
  state = init(game, jax.random.key(0), batch)
  assert sample(game, state, jax.random.key(1), 3).shape == (3, 8, 8, 1)
  with pytest.raises(
    ValueError, match="teacher is None, and the game is played: build it with one"
  ):
    jax.eval_shape(functools.partial(play_round, game), state, batch)


@pytest.mark.parametrize(
  "changes, message",
  [
    ({"data": "stacked:digits8x8"}, f"{OF_DATA}stacked:digits8x8 is drawn anew for every batch"),
    ({"data_options.flip": True}, f"{OF_DATA}digits8x8 is cropped or flipped at random"),
    ({"data_options.pixel_range": (0.0, 1.0)}, "the generator's output 'tanh' makes pixels in"),
  ],
)
def test_images_that_a_teacher_does_not_know_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    build(of_images(**changes))


def test_arguments_of_another_kind_are_refused():
  with pytest.raises(ValueError, match="teacher is 3: expected a function of noised examples"):
    make(teacher=3)
  with pytest.raises(ValueError, match="the critic moves k >= 1 times a round, got k = 0"):
    two_time_scales(0)
  with pytest.raises(ValueError, match="optimizers are .*: expected them by name, critic, gen"):
    make(NETS[:2], optimizers={"generator": optax.sgd(0.1)})
  with pytest.raises(ValueError, match=r"the critic returns float32\[16, 2\]: expected"):
    start(make((NETS[0], Wrong())))


class Wrong(nn.Module):
  """A critic without features."""

  @nn.compact
  def __call__(self, inputs, y=None, *, train):
    return inputs[0] * self.param("scale", nn.initializers.ones, (1, 1))
