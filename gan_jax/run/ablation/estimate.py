"""Estimate of the cost of an ablation, before it is paid."""

import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.game.core import Game, batches_a_round
from gan_jax.game.play import init, play_round
from gan_jax.game.random import make_key
from gan_jax.run.ablation.plan import Group, groups, members, programs
from gan_jax.run.ablation.play import check, population
from gan_jax.run.ablation.table import minutes
from gan_jax.run.experiment import Experiment
from gan_jax.run.population import Population, player, start

ROUNDS = 10  # timed rounds
PROGRAMS = 12  # most programs whose operations are counted; the others cost their mean


def plan_of(asked: ConfigDict) -> str:
  """Formats the programs of an ablation, and its estimated time.

  The first program is compiled and timed for a few rounds; the time of the others is scaled by the
  operations that the compiler counts in some of them, and is as long to compile.

  Args:
    asked: an `ablation`.

  Raises:
    ValueError: a variant cannot be built.
  """
  runs = members(asked)
  experiments = check(runs)
  planned = groups(runs, asked.together)
  compilations, seconds, a_round = _cost(planned, experiments, asked.at_once)
  return "\n".join(
    [
      *(f"  {_line(group)}" for group in planned),
      f"{len(runs)} runs of {len({one.name for one in runs})} variants in {len(planned)} programs, "
      f"{compilations} compilations",
      f"about {minutes(seconds)} (min:s) here, scores not counted: {a_round * 1e3:.3g} ms a round "
      "of the first program, the others by their operations",
    ]
  )


def _line(group: Group) -> str:
  names = list(dict.fromkeys(one.name for one in group.members))
  seeds = len({one.config.seed for one in group.members})
  numbers = f"; varied: {', '.join(group.numbers)}" if group.numbers else ""
  rounds = group.members[0].config.rounds
  return f"{' | '.join(names)}: {seeds} seeds, {rounds} rounds{numbers}"


def _cost(
  planned: Sequence[Group], experiments: Mapping[str, Experiment], vmap_size: int
) -> tuple[int, float, float]:
  """Estimates (compilations, seconds of all rounds and compilers, those of a first round)."""
  built = [experiments[group.members[0].name] for group in planned]
  compiled, a_round = _timed(population(planned[0], built[0]), built[0], vmap_size)
  some = range(0, len(planned), -(-len(planned) // PROGRAMS))
  operations = [_operations(planned[i], built[i]) for i in some]
  rounds = sum(group.members[0].config.rounds for group in planned)
  count = programs(planned)
  scaled = a_round * float(np.mean(operations)) / operations[0]
  return count, scaled * rounds + count * compiled, a_round


def _timed(group: Population, experiment: Experiment, vmap_size: int) -> tuple[float, float]:
  """Measures the seconds of compiling a program, and of one of its rounds."""
  states = start(group, experiment.batches)
  played = player(group, experiment.batches, vmap_size or None)
  clock = time.monotonic()
  states, _ = jax.block_until_ready(played(states, ROUNDS))
  compiled = time.monotonic() - clock
  clock = time.monotonic()
  jax.block_until_ready(played(states, ROUNDS))
  spent = time.monotonic() - clock
  return max(0.0, compiled - spent), spent / ROUNDS


def _operations(group: Group, experiment: Experiment) -> float:
  """Returns the compiler's count of operations in a round of all members; nothing is compiled."""
  game, batches = _unrolled(population(group, experiment).make({})), experiment.batches
  spec = batches.spec(batches_a_round(game))
  state = jax.eval_shape(lambda: init(game, make_key(0), spec))
  lowered = jax.jit(lambda state, batch: play_round(game, state, batch)).lower(state, spec)
  return float((lowered.cost_analysis() or {}).get("flops", 1.0)) * len(group.members)


def _unrolled(game: Game) -> Game:
  """Unrolls repeated turns, as the body of a loop is counted once."""
  once = [turn._replace(repeat=1) for turn in game.turns for _ in range(turn.repeat)]
  return game._replace(turns=tuple(once))
