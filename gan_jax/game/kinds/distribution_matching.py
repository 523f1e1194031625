"""Distribution matching distillation: a one-step generator, a critic of fakes, a discriminator.

DMD, Yin et al. 2024, arXiv:2311.18828, and DMD2, arXiv:2405.14867. A teacher knows the score of
noised data; the critic learns that of noised fakes, and the generator descends the difference. The
discriminator is a head on the critic's features, which tells noised data from noised fakes. Each of
the three is a player with a loss of its own: the critic's has a share of the discriminator's, whose
features it makes, and the two move at once, from one draw and one forward.

    adam = optax.adam(2e-4)
    game = distribution_matching(
      generator, critic, discriminator, teacher=mixture_denoiser(centers, std), latent=normal(8),
      optimizers={"critic": adam, "discriminator": adam, "generator": adam},
    )
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.checks import is_integer, shown, takes
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Metrics,
  Params,
  Player,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables, trained_networks
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides.monitors import discriminator_metrics, headline
from gan_jax.game.kinds.sides.players import Terms
from gan_jax.game.latents import Latent, Truncate
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss, non_saturating
from gan_jax.losses.objectives import (
  Match,
  adversarial_term,
  beside,
  minimise,
  per_example,
  stateless,
)
from gan_jax.losses.one_step.distribution_matching import (
  Denoiser,
  Levels,
  denoising_loss,
  follow_direction,
  is_scale,
  karras_levels,
  matching_direction,
  preconditioning,
)

WEIGHTS = {"adversarial": 3e-3, "features": 1e-2}
EVERYWHERE = karras_levels()


class NoiseLevels(NamedTuple):
  """Noise levels of each use of noise.

  Attributes:
    denoising: levels at which the critic learns.
    matching: levels at which the generator is matched.
    adversarial: levels at which the discriminator judges.
  """

  denoising: Levels = EVERYWHERE
  matching: Levels = karras_levels(between=(0.02, 0.98))
  adversarial: Levels = EVERYWHERE


PUBLISHED = NoiseLevels()


def distribution_matching(
  generator: nn.Module,
  critic: nn.Module,
  discriminator: nn.Module | None = None,
  *,
  teacher: Denoiser | None,
  optimizers: Mapping[str, optax.GradientTransformation],
  latent: Latent,
  truncate: Truncate | None = None,
  loss: AdversarialLoss = non_saturating,
  weights: Mapping[str, Weight] = WEIGHTS,
  levels: NoiseLevels = PUBLISHED,
  data_std: float = 0.5,
  normalise: bool = True,
  turns: tuple[Turn, ...] | None = None,
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds a game of a one-step generator that is matched with a teacher.

  Args:
    generator: module called as `net(z, None, train=)`, to examples.
    critic: module called as `net((x, time), None, train=)`, to {"output": [B, ...], of the shape of
      x, "features": [B, ...]}; x and the output are scaled by `preconditioning`.
    discriminator: module called as `net(features, None, train=)`, to logits [B]; None for two
      players and no data at all: DMD without its regression, which is DMD2 without its GAN.
    teacher: mean of the clean example given the noised one, such as `mixture_denoiser`; None for a
      game that is sampled and not played, as where the data are not at hand.
    optimizers: optimizers of "critic", "generator" and, where there is one, "discriminator".
    latent: prior of z.
    truncate: as of `two_player`.
    loss: adversarial loss.
    weights: weights of the "adversarial" loss for the generator, beside the matching's 1, and of
      the discriminator's loss for the critic, who makes the "features", beside the denoising's 1.
    levels: noise levels.
    data_std: standard deviation of the data that the critic's inputs are scaled by, 1e-9 to 1e9.
    normalise: whether the direction of matching is divided as in DMD; see `matching_direction`.
    turns: turns of the players; by default `two_time_scales()`.
    averages: moving averages by network: "generator".
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its sampler is "generator".

  Raises:
    ValueError: for arguments of another kind.
  """
  check_loss(loss)
  checks.check_named("weights", weights, WEIGHTS)
  checks.check_latent(latent)
  checks.check_averages(averages)
  checks.check_network("generator", generator, "z", conditional=False)
  checks.check_network("critic", critic, "inputs", conditional=False)
  if teacher is not None and not takes(teacher, None, None):
    raise ValueError(
      f"teacher is {shown(teacher)}: expected a function of noised examples and their levels, such "
      "as mixture_denoiser(centers, std)"
    )
  if not is_scale(data_std):
    raise ValueError(f"data_std is {shown(data_std)}: expected a number from 1e-9 to 1e9")
  head = {} if discriminator is None else {"discriminator": discriminator}
  nets = {"critic": critic, **head, "generator": generator}
  checks.check_named("optimizers", optimizers, nets)
  of = _Nets(nets, teacher, latent, levels, data_std, normalise, remat)
  critic_terms: Terms = {
    "denoising": (1.0, stateless(functools.partial(_error, data_std), uses_real=False))
  }
  generator_terms: Terms = {"matching": (1.0, stateless(_matching, uses_real=False))}
  terms = {"critic": critic_terms, "generator": generator_terms}
  if discriminator is not None:
    checks.check_network("discriminator", discriminator, "x", conditional=False)
    judging, fooling = (adversarial_term(loss, side) for side in ("discriminator", "generator"))
    terms = {
      # The head's features are the critic's, and each moves its own by the same loss.
      "critic": {**critic_terms, "adversarial": (weights["features"], judging)},
      "discriminator": {"adversarial": (1.0, judging)},
      "generator": {**generator_terms, "adversarial": (weights["adversarial"], fooling)},
    }
  # One function object: players that move at once share its evaluation (see `core.losses_of`).
  forward = functools.partial(_forward, of)
  observers: dict[str, Callable[[Match], Metrics]] = {
    "critic": lambda match: {},
    "discriminator": functools.partial(discriminator_metrics, loss),
    "generator": _difference,
  }

  def player(name: str) -> Player:
    observe = lambda match, memory: (observers[name](match), memory)
    objective = minimise(forward, terms[name], player=name, observe=observe)
    # Without a discriminator no loss is of data: distillation of the teacher alone.
    return Player((name,), objective, optimizers[name], objective.uses_real)

  if turns is None:
    turns = two_time_scales(discriminator=discriminator is not None)
  own = {"critic": "critic/denoising", "difference": "generator/difference"}
  game = Game(
    init=functools.partial(_init, of),
    samplers={
      "generator": Sampler(
        functools.partial(_generate, generator),
        lambda key, n: latent(example_keys(key, n)),
        truncate,
      )
    },
    players={name: player(name) for name in nets},
    turns=turns,
    averages=averages or {},
    headline=own if discriminator is None else {**headline(loss), **own},
    monitored="generator",
  )
  check_game(game)
  return game


def two_time_scales(k: int = 5, *, discriminator: bool = True) -> tuple[Turn, ...]:
  """Builds DMD2's turns: k moves of critic and discriminator at once, then one of the generator."""
  if not is_integer(k) or k < 1:
    raise ValueError(f"the critic moves k >= 1 times a round, got k = {shown(k)}")
  at_once = ("critic", "discriminator") if discriminator else ("critic",)
  return Turn(at_once, k), Turn(("generator",))


class _Nets(NamedTuple):
  """The networks by name, and how they are called; see `distribution_matching`."""

  nets: Mapping[str, nn.Module]
  teacher: Denoiser | None
  latent: Latent
  levels: NoiseLevels
  data_std: float
  normalise: bool
  remat: bool

  def inputs(self, x: jax.Array, sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes what the critic network is given of noised examples."""
    scales = preconditioning(sigma, self.data_std)
    return beside(scales.into, x) * x, scales.time

  def denoised(self, x: jax.Array, sigma: jax.Array, output: jax.Array) -> jax.Array:
    """Computes the denoised examples of the critic network's output."""
    scales = preconditioning(sigma, self.data_std)
    return beside(scales.skip, x) * x + beside(scales.out, x) * output


def _init(of: _Nets, key: jax.Array, batch: Batch) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  checks.check_batch(batch, conditional=False)
  x = jnp.zeros(batch["x"].shape)
  # By name: with a discriminator or without, the other networks start the same.
  keys = {name: named_key(key, name) for name in of.nets}
  start = lambda name, given: checks.start(name, of.nets[name], keys[name], given)
  z = of.latent(example_keys(key, len(x)))
  fake, generator = start("generator", z)
  checks.check_fakes(fake, x)
  sigma = jnp.ones(len(x))
  outputs, critic = start("critic", of.inputs(x, sigma))
  _check_outputs(outputs, x)
  if of.teacher is not None:
    jax.eval_shape(of.teacher, x, sigma)
  initial = {"generator": generator, "critic": critic}
  if "discriminator" in of.nets:
    logits, initial["discriminator"] = start("discriminator", outputs["features"])
    checks.check_logits(logits, x)
  return split_variables(initial)


def _check_outputs(outputs: Any, x: jax.Array) -> None:
  """Checks that a critic returns denoised examples and features."""
  by_name = isinstance(outputs, Mapping) and {"output", "features"} <= set(outputs)
  if not by_name or jnp.shape(outputs["output"]) != x.shape:
    given = sorted(outputs) if isinstance(outputs, Mapping) else shown(outputs)
    raise ValueError(
      f'the critic returns {given}: expected {{"output": {list(x.shape)}, "features": ...}}, as of '
      "nets.FlowMLPCritic(shape)"
    )


def _forward(
  of: _Nets, params: Params, carried: Carried, batch: Batch, context: StepContext
) -> tuple[Match, Carried]:
  """Generates fakes, and denoises and judges noised ones: one move's forward, for every player.

  A move computes no more of it than its own losses need: the rest is dropped when it is compiled.
  """
  checks.check_batch(batch, conditional=False)
  if of.teacher is None:
    raise ValueError(
      "teacher is None, and the game is played: build it with one, such as mixture_denoiser(centers"
      ", std), or by gan_jax.build(config), which opens the data; a run's own game is for samples"
    )
  apply, stats = trained_networks(of.nets, params, carried, context, of.remat)
  x = batch["x"]
  # By use: with one key for all, times and noise would be drawn together.
  keys = lambda use: context.example_keys(named_key(context.key, use), len(x))

  def noised(x: jax.Array, use: str, levels: Levels) -> tuple[jax.Array, jax.Array]:
    noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys(f"noise of {use}"))
    sigma = levels(keys(f"levels of {use}"))
    return x + beside(sigma, x) * noise, sigma

  def denoise(point: tuple[jax.Array, jax.Array], keep: bool) -> jax.Array:
    output = apply("critic", of.inputs(*point), keep=keep)["output"]
    return of.denoised(*point, output)

  def logits(x: jax.Array, kind: str = "real", *, keep: bool = False) -> jax.Array:
    if "discriminator" not in of.nets:
      return jnp.zeros(len(x))
    point = noised(x, kind, of.levels.adversarial)
    features = apply("critic", of.inputs(*point), keep=False)["features"]
    return apply("discriminator", features, keep=keep)

  z = of.latent(keys("latents"))
  fake = apply("generator", z)
  learned = noised(fake, "denoising", of.levels.denoising)
  # The direction is a number to the generator, and a function of the critic.
  still = jax.lax.stop_gradient(fake)
  matched = noised(still, "matching", of.levels.matching)
  by_critic, by_teacher = denoise(matched, keep=False), of.teacher(*matched)
  match = Match.of(
    context,
    params,
    real=x,
    fake=fake,
    real_logits=logits(x, "real", keep=True),
    fake_logits=logits(fake, "fake", keep=True),
    discriminator=logits,
    generator=lambda z: apply("generator", z, keep=False),
    latents=z,
    fake_outputs={
      # Statistics of the critic are of what it learns from, and move once.
      "denoised": denoise(learned, keep=True),
      "sigma": learned[1],
      "difference": by_critic - by_teacher,
      "direction": matching_direction(still, by_critic, by_teacher, normalise=of.normalise),
    },
  )
  return match, stats


def _error(data_std: float, match: Match) -> jax.Array:
  """Computes the critic's error in denoising fakes, [B]."""
  outputs = match.fake_outputs
  return denoising_loss(outputs["denoised"], match.fake, outputs["sigma"], data_std)


def _matching(match: Match) -> jax.Array:
  """Computes what has the gradient of matching, [B]."""
  return follow_direction(match.fake, match.fake_outputs["direction"])


def _difference(match: Match) -> Metrics:
  """Computes how far critic and teacher part, in units of the data: directions have one size."""
  square = per_example(match.fake_outputs["difference"] ** 2)
  return {"generator/difference": jnp.mean(jnp.sqrt(square))}


def _generate(
  generator: nn.Module, params: Params, carried: Carried, z: PyTree, labels: Any
) -> jax.Array:
  """Generates examples in evaluation mode."""
  checks.check_unconditional(labels)
  return sample_network(generator, "generator", params, carried, z)
