"""AFM: a generator of steps from noise to data, which are judged by where they end.

Lin et al. 2025, arXiv:2511.22475. The penalties, steps and costs are of `losses.one_step`.

    game = adversarial_flow(
      generator, discriminator, shape=(2,), optimizers=optimizers, steps=equal_steps(1),
      regularizers={"r1": (0.25, by_width(r1_approximate(convention="afm", share=0.25)))},
    )
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax
from flax import linen as nn

from gan_jax.game.core import Batch, Decay, Game, StepContext, Turn
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.flow.game import flow_game, keys_of, noise
from gan_jax.game.kinds.sides.forwards import Apply, match_fields
from gan_jax.game.kinds.sides.players import Terms
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.schedules import Weight
from gan_jax.losses.adversarial import AdversarialLoss, check_loss, relativistic
from gan_jax.losses.objectives import adversarial_term
from gan_jax.losses.one_step.courses import Steps, equal_steps
from gan_jax.losses.one_step.flows import (
  interpolate,
  normalise_gradient,
  normalised,
  transport_cost,
  transported,
)

WEIGHTS = {"transport": 0.2}
ONE_STEP, PUBLISHED = equal_steps(1), normalise_gradient()


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
  return flow_game(
    nets,
    functools.partial(_outputs, steps, velocity),
    terms,
    shape=shape,
    times=2,
    loss=loss,
    optimizers=optimizers,
    sampled=sampled,
    velocity=velocity,
    turns=turns,
    averages=averages,
    remat=remat,
  )


def _outputs(
  steps: Steps, velocity: bool, apply: Apply, batch: Batch, context: StepContext
) -> dict[str, Any]:
  """Carries examples from one time to another, and judges where they end."""
  keys, x = keys_of(batch, context), batch["x"]
  t_from, t_to = steps(keys("times"))
  # Two draws of noise: a step need not lead to the point that it was drawn with.
  source, real = (
    interpolate(x, noise(keys(side), x.shape[1:]), t)
    for side, t in (("source", t_from), ("target", t_to))
  )

  def carry(inputs: tuple[jax.Array, ...], **options: bool) -> jax.Array:
    return transported(
      inputs[0], apply("generator", inputs, **options), *inputs[1:], velocity=velocity
    )

  inputs = (source, t_from, t_to)
  return match_fields(
    lambda x, **options: apply("discriminator", (x, t_to), **options),
    real=real,
    fake=carry(inputs),
    generator=functools.partial(carry, keep=False),
    latents=inputs,
  )
