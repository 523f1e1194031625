"""What an ablation would cost, before it is paid."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.game.core import Game, init, minibatches, play_round
from gan_jax.game.random import make_key
from gan_jax.run.ablation.plan import Group, groups, members, programs
from gan_jax.run.ablation.play import check, population
from gan_jax.run.ablation.table import minutes
from gan_jax.run.experiment import Experiment
from gan_jax.run.population import Population, player, start

ROUNDS = 10  # that are timed
PROGRAMS = 12  # at most, whose operations are counted; the others cost what these do on average


class Cost(NamedTuple):
  """An estimate of what all runs take on this machine.

  Attributes:
    runs: how many.
    compilations: programs.
    seconds: of rounds and compilers; scores are not counted.
    measured: seconds of a round of the first program's runs, all of them.
  """

  runs: int
  compilations: int
  seconds: float
  measured: float


def plan_of(asked: ConfigDict) -> str:
  """Says what an ablation will run, and about how long that takes.

  The first program is compiled and timed for a few rounds; the others are taken to cost what the
  compiler counts of operations in some of them, and as long to compile.

  Args:
    asked: an `ablation`.

  Returns:
    Lines.

  Raises:
    ValueError: for a variant that cannot be built.
  """
  runs = members(asked)
  experiments = check(runs)
  found = groups(runs, asked.together)
  lines = [f"  {_named(group)}" for group in found]
  cost = _cost(found, experiments, asked.at_once)
  return "\n".join(
    [
      *lines,
      f"{cost.runs} runs of {len({one.name for one in runs})} variants in {len(found)} programs, "
      f"{cost.compilations} compilations",
      f"about {minutes(cost.seconds)} (min:s) here, scores not counted: {cost.measured * 1e3:.3g} "
      "ms a round of the first program, the others by their operations",
    ]
  )


def _named(group: Group) -> str:
  names = list(dict.fromkeys(one.name for one in group.members))
  seeds = len({one.config.seed for one in group.members})
  numbers = f"; varied: {', '.join(group.numbers)}" if group.numbers else ""
  rounds = group.members[0].config.rounds
  return f"{' | '.join(names)}: {seeds} seeds, {rounds} rounds{numbers}"


def _cost(found: Sequence[Group], experiments: Mapping[str, Experiment], at_once: int) -> Cost:
  built = [experiments[group.members[0].name] for group in found]
  compiled, a_round = _timed(population(found[0], built[0]), built[0], at_once)
  some = range(0, len(found), -(-len(found) // PROGRAMS))
  work = np.mean([_operations(found[i], built[i]) for i in some]) / _operations(found[0], built[0])
  rounds = sum(group.members[0].config.rounds for group in found)
  needed = programs(found)
  seconds = a_round * float(work) * rounds + needed * compiled
  return Cost(sum(len(g.members) for g in found), needed, seconds, a_round)


def _timed(people: Population, experiment: Experiment, at_once: int) -> tuple[float, float]:
  """Takes the seconds of compiling a program, and of one of its rounds."""
  states = start(people, experiment.batches)
  played = player(people, experiment.batches, at_once or None)
  clock = time.monotonic()
  states, _ = jax.block_until_ready(played(states, ROUNDS))
  compiled = time.monotonic() - clock
  clock = time.monotonic()
  jax.block_until_ready(played(states, ROUNDS))
  spent = time.monotonic() - clock
  return max(0.0, compiled - spent), spent / ROUNDS


def _operations(group: Group, experiment: Experiment) -> float:
  """Asks the compiler how many operations a round of all members has; nothing is compiled."""
  game, batches = _unrolled(experiment.game), experiment.batches
  spec = batches.spec(max(1, minibatches(game)))
  state = jax.eval_shape(lambda: init(game, make_key(0), spec))
  lowered = jax.jit(lambda state, batch: play_round(game, state, batch)).lower(state, spec)
  return float((lowered.cost_analysis() or {}).get("flops", 1.0)) * len(group.members)


def _unrolled(game: Game) -> Game:
  """Writes repeated turns out, as a loop's body is counted once."""
  once = [turn._replace(repeat=1) for turn in game.turns for _ in range(turn.repeat)]
  return game._replace(turns=tuple(once))
