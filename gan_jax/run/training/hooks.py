"""Actions on the way of a run, each every so many rounds."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gan_jax.checks import is_integer, shown, takes
from gan_jax.game.core import State
from gan_jax.run.results.rows import Row


class Moment(NamedTuple):
  """A run at a round.

  Attributes:
    round: rounds that have been played.
    last: rounds that the run ends with.
    state: the game's state, on the first process's devices; to read, not to change.
    row: measurements since the row before; `row.metrics["name"] = x` adds a column.
  """

  round: int
  last: int
  state: State
  row: Row


class Every(NamedTuple):
  """An action that is due every so many rounds, and at the last.

  Attributes:
    rounds: rounds between two, each of which has a row then; 0 for the last round alone, None for
      every round that has a row anyway.
    action: function of the moment.
  """

  rounds: int | None
  action: Callable[[Moment], None]


def check_hooks(hooks: Sequence[Every]) -> None:
  """Refuses hooks that cannot be called, before a run is begun."""
  for hook in hooks:
    rounds = hook.rounds if isinstance(hook, Every) else -1
    if rounds is not None and not (is_integer(rounds) and rounds >= 0):
      raise ValueError(f"a hook is {shown(hook)}: expected Every(rounds, action), rounds >= 0")
    if not takes(hook.action, None):
      raise ValueError(f"the action {shown(hook.action)}: expected a function of one moment")


def is_due(rounds: int, round: int, last: int) -> bool:
  """Checks whether an event of every so many rounds, and of the last one, is due at this one."""
  return round == last or (rounds > 0 and round % rounds == 0)


def next_stop(round: int, rounds_per_call: int, last: int, *periods: int) -> int:
  """Returns where the dispatch from `round` ends: at its full length, or where something is due."""
  due = [round - round % rounds + rounds for rounds in periods if rounds]
  return min(round + rounds_per_call, last, *due)
