"""Probe for a discriminator that remembers its examples, by held-out ones of the same kind."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from gan_jax.data import AnyBatches, Source, take
from gan_jax.game.core import Game, State, StepContext
from gan_jax.game.kinds.sides.monitors import MONITOR
from gan_jax.parallel.mesh import split

PROBE = 256  # examples of each kind whose logits are compared


def held_out_probe(
  game: Game, batches: AnyBatches, held_out: Source | None, mesh: Mesh
) -> Callable[[State], Mapping[str, float]]:
  """Builds a probe that compares a discriminator's logits on training and held-out examples.

  The probe changes no state and has keys of its own: a run plays the same with and without.

  Args:
    game: the game; one whose `probed` is no player is not probed.
    batches: training data; of an endless source nothing can be remembered.
    held_out: examples of the same kind that are not trained on; None if there are none.
    mesh: devices to share the work.

  Returns:
    state -> {"monitor/held_out_auc": probability that a logit of a training example exceeds that of
    a held-out one, 1/2 where the two are alike}; {} where there is nothing to compare.
  """
  sizes = [source.size or 0 for source in (batches.source, held_out) if source is not None]
  size = batches.batch_size
  n = min(max(PROBE, size), *sizes) // size * size  # whole batches suit packing and devices
  player = game.players.get(game.probed)
  if held_out is None or player is None or n == 0 or held_out.shape != batches.source.shape:
    return lambda state: {}
  forward = player.objective.forward

  def logits(state: State, batch: Any) -> jax.Array:
    context = StepContext(jax.random.fold_in(state.key, 2**32 - 1), state.clock, None)
    match, _ = forward(state.params, state.carried, batch, context)
    return match.real_logits  # no fake is computed

  compiled = jax.jit(logits)

  @functools.cache  # read when first needed
  def examples() -> list[Any]:
    rows, sources = np.arange(n, dtype=np.uint32), (batches.source, held_out)
    return [split(batches.finish(take(source, n), 0, rows), mesh) for source in sources]

  def probe(state: State) -> Mapping[str, float]:
    trained, others = (np.asarray(compiled(state, batch)) for batch in examples())
    return {f"{MONITOR}held_out_auc": auc(trained, others)}

  return probe


def auc(high: np.ndarray, low: np.ndarray) -> float:
  """Computes the probability that one of `high` [n] exceeds one of `low` [m]; ties count half."""
  above = np.mean(high[:, None] > low) + np.mean(high[:, None] >= low)
  return float(above / 2)
