"""Rows of a run: written to metrics.jsonl and to TensorBoard, and read again.

Writer and reader alone know what columns are called. metrics.jsonl grows by whole lines.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gan_jax.files import Path, atomic_write, error_context, plain, remove_temporaries
from gan_jax.plots.png import save_png

NO_CURVES = {"evaluation"}  # columns that are numbers of things, not measured
SCORE = "score/"  # what columns of scores begin with


@dataclasses.dataclass
class Row:
  """Numbers of a round.

  Attributes:
    metrics: of the game, and of its monitors: means over the rounds since the row before.
    progress: images, seconds, and how fast they came.
    scores: of an evaluation, if one was due.
    evaluation: number of how the scores are made; None without any.
  """

  metrics: dict[str, float]
  progress: Mapping[str, float]
  scores: dict[str, float] = dataclasses.field(default_factory=dict)
  evaluation: int | None = None

  def columns(self) -> dict[str, float]:
    """Returns the numbers by the names that they have in metrics.jsonl."""
    scored = {f"{SCORE}{name}": value for name, value in self.scores.items()}
    how = {} if self.evaluation is None else {"evaluation": self.evaluation}
    return {**self.metrics, **self.progress, **scored, **how}


def scored_rounds(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
  """Lists the rounds of rows that have scores, and these."""
  return [(row["round"], scores) for row in rows if (scores := scores_of(row))]


def scores_of(columns: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the scores of a row that was read, by their names."""
  return {k.removeprefix(SCORE): v for k, v in columns.items() if k.startswith(SCORE)}


class Writer:
  """Appends a row of numbers at a time to metrics.jsonl and to TensorBoard's events."""

  def __init__(self, workdir: Path, first: int = 0):
    """Opens the files.

    Args:
      workdir: folder of the run.
      first: round that training starts from; rows of later rounds, which will be played again, are
        dropped.
    """
    import tensorboardX

    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    self._path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (self._path.parent, self._path.parent / "samples"):
      remove_temporaries(folder)
    rows = [row for row in read_rows(workdir) if row["round"] <= first]
    with atomic_write(self._path) as temporary:
      temporary.write_text("".join(json.dumps(plain(row)) + "\n" for row in rows))
    self._file = self._path.open("a")
    events = str(self._path.parent / "tensorboard")
    # purge_step hides what an interrupted run had written for the rounds from here on.
    # The suffix keeps the files of two runs apart that start within one second.
    self._events = tensorboardX.SummaryWriter(
      events, purge_step=first + 1, filename_suffix=f".{first:08d}"
    )

  def row(self, round: int, values: Mapping[str, float]) -> None:
    """Appends one row, to the disk: no checkpoint may be on it before the rows up to it are."""
    line: dict[str, float] = {"round": round}
    for name, value in values.items():
      try:
        line[name] = float(value)
      except (TypeError, ValueError) as error:
        raise ValueError(f"the column {name!r} of a row is {value!r}: expected a number") from error
    with error_context(self._path):
      self._file.write(json.dumps(plain(line)) + "\n")
      self._file.flush()
      os.fsync(self._file.fileno())
    for name, value in values.items():
      if math.isfinite(value) and name not in NO_CURVES:  # TensorBoard cannot draw NaN
        self._events.add_scalar(name, float(value), round)
    self._events.flush()

  def picture(self, round: int, image: np.ndarray) -> None:
    """Writes samples/<round>.png and shows it in TensorBoard."""
    save_png(self._path.parent / "samples" / f"{round:08d}.png", image)
    self._events.add_image("samples", image, round, dataformats="HWC")

  def close(self) -> None:
    """Closes the files."""
    self._file.close()
    self._events.close()


def read_rows(workdir: Path) -> list[dict[str, Any]]:
  """Loads the rows of a run; a last line that was cut off is left out."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  rows = []
  no_row = (ValueError, TypeError, KeyError, RecursionError)  # a line cut off, or none of ours
  for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
    with contextlib.suppress(*no_row):
      rows.append(_row(json.loads(line)))
  return rows


def _row(values: Any) -> dict[str, Any]:
  """Checks that a row is numbers by name; NaN and infinities were written as text."""
  if type(values["round"]) is not int:
    raise ValueError("it is of no round")
  return {k: v if isinstance(v, int | float) else float(v) for k, v in values.items()}
