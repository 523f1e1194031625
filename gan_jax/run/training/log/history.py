"""Rows that a run keeps in memory while it trains: bounded, however long it is."""

from collections.abc import Mapping
from typing import Any

from gan_jax.run.results.rows import scores_of
from gan_jax.run.training.log.detectors import Warning_
from gan_jax.run.training.log.diagnostics import DetectorState, Rows, update

Row = Mapping[str, Any]

LIMIT = 1000  # rows to draw, and as many with scores; a curve is some 400 pixels wide


class History:
  """The rows of a run, as far as warnings and curves need them.

  It is the same whether a run was stopped on the way or not.
  """

  def __init__(self, rows: Rows, rounds: int):
    """Starts from the rows of an earlier start.

    Args:
      rows: rows so far.
      rounds: rounds of the whole run.
    """
    self.last: int | None = None  # round
    self._rounds = rounds
    self._state = update(DetectorState(), rows, rounds)
    self._plain, self._scored = Thinned(), Thinned()
    for row in rows:
      self._append(row)

  def add(self, row: Row) -> list[Warning_]:
    """Adds a row; returns the new warnings."""
    before = self._state.warnings
    self._state = update(self._state, [row], self._rounds)
    self._append(row)
    return sorted(w for name, w in self._state.warnings.items() if name not in before)

  def rows(self) -> list[Row]:
    """Returns the rows to draw, in order."""
    return sorted([*self._plain.items, *self._scored.items], key=lambda row: row["round"])

  def _append(self, row: Row) -> None:
    """Appends a row; those with scores, which are rare, are thinned out among themselves."""
    self.last = row["round"]
    (self._scored if scores_of(row) else self._plain).add(row)


class Thinned:
  """Evenly spaced items of all that were added, the first among them: at most LIMIT."""

  def __init__(self) -> None:
    """Starts with none."""
    self.items: list[Any] = []
    self._added, self._step = 0, 1

  def add(self, item: Any) -> None:
    """Adds an item; where there are too many, every second is left out."""
    if self._added % self._step == 0:
      self.items.append(item)
    if len(self.items) > LIMIT:
      self.items, self._step = self.items[::2], 2 * self._step
    self._added += 1
