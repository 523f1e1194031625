"""Adversarial flow models: a generator that carries noise to data, against a discriminator.

AFM, Lin et al. 2025, arXiv:2511.22475: steps from time t to time s are judged by where they end.
CAFM, arXiv:2604.11521: velocities are judged, by the discriminator's derivative along them. Both
are of `losses.one_step.flows`. Time 0 is data and 1 is noise of N(0, I), of the data's shape.

    game = adversarial_flow(
      generator, discriminator, shape=(2,), optimizers=optimizers, steps=equal_steps(1),
      regularizers={"r1": (0.25, by_width(r1_approximate(convention="afm", share=0.25)))},
    )
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.checks import is_integer, shown
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Game,
  Params,
  PyTree,
  Sampler,
  StepContext,
  Turn,
)
from gan_jax.game.forward import sample_network, split_variables, trained_networks
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides.monitors import headline
from gan_jax.game.kinds.sides.players import Terms, players
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.latents import truncate_normal
from gan_jax.game.random import example_keys, named_key
from gan_jax.game.schedules import Weight
from gan_jax.game.validation import check_game
from gan_jax.losses.adversarial import AdversarialLoss, check_loss, relativistic
from gan_jax.losses.objectives import Match, adversarial_term
from gan_jax.losses.one_step.courses import Steps, Times, equal_steps, sample_flow, uniform_times
from gan_jax.losses.one_step.flows import (
  directional,
  directional_derivative,
  interpolate,
  normalise_gradient,
  normalised,
  transport,
  transport_cost,
  transported,
)

OWNS = {"discriminator": ("discriminator",), "generator": ("generator",)}
WEIGHTS = {"transport": 0.2}
ONE_STEP, PUBLISHED = equal_steps(1), normalise_gradient()
CONTINUOUS_WEIGHTS = {"centering": 1e-3, "transport": 0.0}
Forward = Callable[[Params, Carried, Batch, StepContext], tuple[Match, Carried]]


def adversarial_flow(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  shape: tuple[int, ...],
  optimizers: Mapping[str, optax.GradientTransformation],
  loss: AdversarialLoss = relativistic,
  steps: Steps = ONE_STEP,
  velocity: bool = False,
  sampled: Sequence[int] = (1,),
  weights: Mapping[str, Weight] = WEIGHTS,
  normaliser: optax.GradientTransformation | None = PUBLISHED,
  regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds the game of a generator of steps, AFM.

  Args:
    generator: module called as `net((x, t_from, t_to), None, train=)`, to examples at t_to.
    discriminator: module called as `net((x, t_to), None, train=)`, to logits [B].
    shape: shape of an example, and of its noise.
    optimizers: optimizers of "discriminator" and "generator".
    loss: adversarial loss.
    steps: steps that are learned, such as `equal_steps(4)` or `any_steps`.
    velocity: whether the generator's output is a velocity, x moving by (t_to - t_from) times it.
    sampled: numbers of steps of the samplers, "steps_1" and so on.
    weights: weight of "transport", the squared way of a step over its width, for the generator.
    normaliser: transformation of the adversarial gradient at the fakes; None for none.
    regularizers: terms of the discriminator's loss: name -> (weight, term). Penalties of slopes are
      multiplied by the width of a step by `flows.by_width`.
    turns: turns of both players.
    averages: moving averages by network: "generator".
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its matches have (x, t_from, t_to) for latents.

  Raises:
    ValueError: for arguments of another kind.
  """
  check_loss(loss)
  checks.check_named("weights", weights, WEIGHTS)
  checks.check_terms("regularizers", regularizers)
  nets = {"generator": generator, "discriminator": discriminator}
  side = adversarial_term(loss, "generator") if normaliser is None else normalised(loss, normaliser)
  terms: dict[str, Terms] = {
    "discriminator": {
      "adversarial": (1.0, adversarial_term(loss, "discriminator")),
      **(regularizers or {}),
    },
    "generator": {"adversarial": (1.0, side), "transport": (weights["transport"], transport_cost)},
  }
  return _game(
    nets,
    shape,
    3,
    functools.partial(_forward, nets, steps, velocity, remat),
    loss,
    terms,
    optimizers,
    turns=turns,
    averages=averages or {},
    samplers={
      f"steps_{count}": functools.partial(sample_flow, steps=count, velocity=velocity)
      for count in _counts(sampled, 1)
    },
  )


def continuous_flow(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  shape: tuple[int, ...],
  optimizers: Mapping[str, optax.GradientTransformation],
  times: Times = uniform_times,
  heun: bool = False,
  sampled: Sequence[int] = (64,),
  weights: Mapping[str, Weight] = CONTINUOUS_WEIGHTS,
  turns: tuple[Turn, ...] = alternating(16),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds the game of a generator of velocities, CAFM.

  Args:
    generator: module called as `net((x, t), None, train=)`, to velocities.
    discriminator: module called likewise, to logits [B], whose derivatives along (velocity, 1) are
      1 of real velocities, noise - data, and -1 of the generator's.
    shape: as of `adversarial_flow`.
    optimizers: likewise; `optimizers.delayed` has the generator wait for a discriminator that warms
      up.
    times: times that are learned, such as `uniform_times`.
    heun: whether samples are made by Heun's method, two calls a step, and not by Euler's.
    sampled: numbers of calls of the samplers, "steps_64" and so on.
    weights: weights of "centering", the squared logit, for the discriminator, and of "transport",
      the squared velocity, for the generator.
    turns: turns of both players.
    averages: moving averages by network: "generator".
    remat: whether activations are recomputed for gradients.

  Returns:
    The game. Its matches have velocities for examples, their derivatives for logits, and (x, t) for
    latents.

  Raises:
    ValueError: for arguments of another kind.
  """
  checks.check_named("weights", weights, CONTINUOUS_WEIGHTS)
  nets = {"generator": generator, "discriminator": discriminator}
  terms: dict[str, Terms] = {
    "discriminator": {
      "adversarial": (1.0, adversarial_term(directional, "discriminator")),
      "centering": (weights["centering"], lambda match: match.real_outputs["logits"] ** 2),
    },
    "generator": {
      "adversarial": (1.0, adversarial_term(directional, "generator")),
      "transport": (
        weights["transport"],
        lambda match: transport(match.fake, jnp.zeros_like(match.fake)),
      ),
    },
  }
  return _game(
    nets,
    shape,
    2,
    functools.partial(_continuous_forward, nets, times, remat),
    directional,
    terms,
    optimizers,
    turns=turns,
    averages=averages or {},
    samplers={
      f"steps_{count}": functools.partial(sample_flow, steps=count, heun=heun)
      for count in _counts(sampled, 1 + heun)
    },
  )


def _game(
  nets: Mapping[str, nn.Module],
  shape: tuple[int, ...],
  inputs: int,
  forward: Forward,
  loss: AdversarialLoss,
  terms: Mapping[str, Terms],
  optimizers: Mapping[str, optax.GradientTransformation],
  *,
  samplers: Mapping[str, Callable[..., jax.Array]],
  **fields: Any,
) -> Game:
  """Builds a game of a forward, whose generator has an example and times for its inputs."""
  for name, net in nets.items():
    checks.check_network(name, net, "inputs", conditional=False)
  checks.check_averages(fields["averages"])
  noise = lambda key, n: _noise(example_keys(key, n), shape)
  generate = functools.partial(_generate, nets["generator"], inputs)
  game = Game(
    init=functools.partial(_init, nets, shape, inputs),
    samplers={
      name: Sampler(functools.partial(generate, carry), noise, truncate_normal)
      for name, carry in samplers.items()
    },
    players=players(forward, loss, terms, OWNS, optimizers),
    headline={**headline(loss), "transport": "generator/transport"},
    monitored="generator",
    **fields,
  )
  check_game(game)
  return game


def _counts(sampled: Sequence[int], least: int) -> tuple[int, ...]:
  """Checks the numbers of steps of samplers."""
  if not sampled or not all(is_integer(count) and count >= least for count in sampled):
    raise ValueError(f"sampled is {shown(sampled)}: expected numbers of steps of at least {least}")
  return tuple(sampled)


def _noise(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Samples noise [B, *shape], of a key for each example."""
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def _init(
  nets: Mapping[str, nn.Module],
  shape: tuple[int, ...],
  inputs: int,
  key: jax.Array,
  batch: Batch,
) -> tuple[Params, Carried]:
  """Initialises parameters and statistics for the shapes of a minibatch."""
  checks.check_batch(batch, conditional=False)
  x = jnp.zeros(batch["x"].shape)
  if x.shape[1:] != tuple(shape):
    raise ValueError(f"shape is {shown(shape)}, and the data have {x.shape[1:]}: set it to theirs")
  g_key, d_key = jax.random.split(key)
  given = (x, *[jnp.zeros(len(x))] * (inputs - 1))
  output, generator = nets["generator"].init_with_output(g_key, given, None, train=False)
  checks.check_fakes(output, x)
  net = nets["discriminator"]
  logits, discriminator = net.init_with_output(d_key, given[:2], None, train=False)
  checks.check_logits(logits, x)
  return split_variables({"generator": generator, "discriminator": discriminator})


def _forward(
  nets: Mapping[str, nn.Module],
  steps: Steps,
  velocity: bool,
  remat: bool,
  params: Params,
  carried: Carried,
  batch: Batch,
  context: StepContext,
) -> tuple[Match, Carried]:
  """Carries examples from one time to another, and judges where they end: one move's forward."""
  apply, stats = trained_networks(nets, params, carried, context, remat)
  keys, x = _keys(batch, context), batch["x"]
  t_from, t_to = steps(keys("times"))
  # Two draws of noise: a step need not lead to the point that it was drawn with.
  source, real = (
    interpolate(x, _noise(keys(side), x.shape[1:]), t)
    for side, t in (("source", t_from), ("target", t_to))
  )

  def carry(inputs: tuple[jax.Array, ...], **options: bool) -> jax.Array:
    return transported(
      inputs[0], apply("generator", inputs, **options), *inputs[1:], velocity=velocity
    )

  inputs = (source, t_from, t_to)
  fake = carry(inputs)
  match = Match.of(
    context,
    params,
    real=real,
    fake=fake,
    real_logits=apply("discriminator", (real, t_to)),
    fake_logits=apply("discriminator", (fake, t_to)),
    # There are no views, which the kind would matter to.
    discriminator=lambda x, kind="real": apply("discriminator", (x, t_to), keep=False),
    generator=functools.partial(carry, keep=False),
    latents=inputs,
  )
  return match, stats


def _continuous_forward(
  nets: Mapping[str, nn.Module],
  times: Times,
  remat: bool,
  params: Params,
  carried: Carried,
  batch: Batch,
  context: StepContext,
) -> tuple[Match, Carried]:
  """Judges velocities at points between data and noise: one move's forward."""
  apply, stats = trained_networks(nets, params, carried, context, remat)
  keys, x = _keys(batch, context), batch["x"]
  t, noise = times(keys("times")), _noise(keys("source"), x.shape[1:])
  inputs = (interpolate(x, noise, t), t)
  real, fake = noise - x, apply("generator", inputs)
  logits = lambda x, t: apply("discriminator", (x, t), keep=False)
  along = lambda velocity: directional_derivative(logits, *inputs, velocity)[1]
  match = Match.of(
    context,
    params,
    real=real,
    fake=fake,
    real_logits=along(real),
    fake_logits=along(fake),
    discriminator=lambda velocity, kind="real": along(velocity),
    generator=lambda inputs: apply("generator", inputs, keep=False),
    latents=inputs,
    # Of a pass of its own, which moves statistics as others do; nothing is left by derivatives.
    real_outputs={"logits": apply("discriminator", inputs)},
  )
  return match, stats


def _keys(batch: Batch, context: StepContext) -> Callable[[str], jax.Array]:
  """Builds the keys [B] of each use: with one for all, times and noise would be drawn together."""
  checks.check_batch(batch, conditional=False)
  return lambda use: context.example_keys(named_key(context.key, use), len(batch["x"]))


def _generate(
  net: nn.Module,
  inputs: int,
  carry: Callable[..., jax.Array],
  params: Params,
  carried: Carried,
  z: PyTree,
  labels: Any,
) -> jax.Array:
  """Carries noise to examples in evaluation mode."""
  checks.check_unconditional(labels)
  go = lambda *given: sample_network(net, "generator", params, carried, given[:inputs])
  return carry(go, z)
