"""What a run remembers of its rows, however many they are: all that it needs while it trains."""

from collections.abc import Mapping
from typing import Any

from gan_jax.run.training.diagnostics import Alarm, Diagnosis, Rows, follow

Row = Mapping[str, Any]

LIMIT = 1000  # rows to draw, and as many with scores; a curve is some 400 pixels wide


class History:
  """The rows of a run, as far as warnings and curves need them.

  It is the same whether a run was stopped on the way or not.
  """

  def __init__(self, rows: Rows, rounds: int):
    """Starts.

    Args:
      rows: that there are already.
      rounds: that the run will have.
    """
    self.last: int | None = None  # round
    self._rounds = rounds
    self._diagnosis = follow(Diagnosis(), rows, rounds)
    self._plain, self._scored = Thinned(), Thinned()
    for row in rows:
      self._keep(row)

  def add(self, row: Row) -> list[Alarm]:
    """Takes a row; returns the alarms that are new."""
    known = self._diagnosis.alarms
    self._diagnosis = follow(self._diagnosis, [row], self._rounds)
    self._keep(row)
    return sorted(a for name, a in self._diagnosis.alarms.items() if name not in known)

  def rows(self) -> list[Row]:
    """Lists rows to draw, in order."""
    return sorted([*self._plain.kept, *self._scored.kept], key=lambda row: row["round"])

  def _keep(self, row: Row) -> None:
    """Keeps a row; those with scores, which are rare, are thinned out among themselves."""
    self.last = row["round"]
    is_scored = any(name.startswith("score/") for name in row)
    (self._scored if is_scored else self._plain).add(row)


class Thinned:
  """Evenly spaced ones of the things that were added, the first among them: at most LIMIT."""

  def __init__(self) -> None:
    """Starts with none."""
    self.kept: list[Any] = []
    self._added, self._step = 0, 1

  def add(self, thing: Any) -> None:
    """Adds one; where there are too many, every second is left out."""
    if self._added % self._step == 0:
      self.kept.append(thing)
    if len(self.kept) > LIMIT:
      self.kept, self._step = self.kept[::2], 2 * self._step
    self._added += 1
