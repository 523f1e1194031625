"""CAFM: a generator of velocities, judged by the discriminator's derivatives along them.

arXiv:2604.11521, the continuous form of `adversarial`.

    game = continuous_flow(generator, discriminator, shape=(2,), optimizers=optimizers)
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from gan_jax.game.core import Batch, Carried, Decay, Game, Params, StepContext, Turn
from gan_jax.game.forward import sample_network
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.flow.game import flow_game, keys_of, noise
from gan_jax.game.kinds.sides.forwards import Apply
from gan_jax.game.kinds.sides.players import Terms
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.schedules import Weight
from gan_jax.losses.objectives import adversarial_term
from gan_jax.losses.one_step.courses import Times, uniform_times
from gan_jax.losses.one_step.flows import (
  directional,
  directional_derivative,
  interpolate,
  transport,
)

WEIGHTS = {"centering": 1e-3, "transport": 0.0}


def continuous_flow(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  shape: tuple[int, ...],
  optimizers: Mapping[str, optax.GradientTransformation],
  times: Times = uniform_times,
  heun: bool = False,
  sampled: Sequence[int] = (64,),
  weights: Mapping[str, Weight] = WEIGHTS,
  turns: tuple[Turn, ...] = alternating(16),
  averages: Mapping[str, Decay] | None = None,
  remat: bool = False,
) -> Game:
  """Builds the game of a generator of velocities, CAFM.

  Args:
    generator: module called as `net((x, t), None, train=)`, to velocities.
    discriminator: module called likewise, to logits [B], whose derivatives along (velocity, 1) are
      1 of real velocities, noise - data, and -1 of the generator's.
    shape: shape of an example, and of its noise.
    optimizers: optimizers of "discriminator" and "generator"; `optimizers.delayed` has
      the generator wait for a discriminator that warms up.
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
  checks.check_named("weights", weights, WEIGHTS)
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
  game = flow_game(
    nets,
    functools.partial(_outputs, times),
    terms,
    shape=shape,
    times=1,
    loss=directional,
    optimizers=optimizers,
    sampled=sampled,
    heun=heun,
    turns=turns,
    averages=averages,
    remat=remat,
  )
  return game._replace(init=functools.partial(_init, game.init, discriminator))


def _init(
  start: Callable[[jax.Array, Batch], tuple[Params, Carried]],
  discriminator: nn.Module,
  key: jax.Array,
  batch: Batch,
) -> tuple[Params, Carried]:
  """Initialises the networks, and refuses a discriminator without derivatives in forward mode."""
  params, carried = start(key, batch)
  x = jnp.zeros(batch["x"].shape)

  def slope(params: Params) -> jax.Array:
    logits = lambda x, t: sample_network(discriminator, "discriminator", params, carried, (x, t))
    return jnp.sum(directional_derivative(logits, x, jnp.zeros(len(x)), x)[1])

  try:
    jax.eval_shape(jax.grad(slope), params)
  except (NotImplementedError, TypeError) as error:
    raise ValueError(
      "the discriminator has no derivative in forward mode, along velocities, as on a CPU layers of"
      " 16-bit floats and convolutions of gan_jax have none: give it dense layers of float32"
    ) from error
  return params, carried


def _outputs(times: Times, apply: Apply, batch: Batch, context: StepContext) -> dict[str, Any]:
  """Judges velocities at points between data and noise."""
  keys, x = keys_of(batch, context), batch["x"]
  t, end = times(keys("times")), noise(keys("source"), x.shape[1:])
  inputs = (interpolate(x, end, t), t)
  real, fake = end - x, apply("generator", inputs)
  logits = lambda x, t: apply("discriminator", (x, t), keep=False)
  along = lambda velocity: directional_derivative(logits, *inputs, velocity)[1]
  return dict(
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
