"""Warnings of a run that fails, and known remedies: a pure function of its rows.

    for warning in diagnose(read_rows(workdir)):
      print(warning)

`gan_jax.game.kinds.sides.monitors` measures in the step; `monitor_summary` reduces all rounds since
the row before to a row's numbers, and `gan_jax.run.evaluation.held_out` scores examples that the
discriminator was not trained on. `detectors` has the bounds on these numbers.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from gan_jax.run.training.log.detectors import DETECTORS, PATH, Detector, Warning_
from gan_jax.run.training.log.monitor_summary import positions, rotation

Rows = Sequence[Mapping[str, Any]]

WARM_UP = 500  # rounds that are not judged: a generator may start collapsed


def diagnose(rows: Rows, rounds: int | None = None) -> tuple[Warning_, ...]:
  """Computes the warnings of a run.

  Args:
    rows: rows of metrics.jsonl, in order.
    rounds: rounds of the whole run; by default the last row's.

  Returns:
    The first warning of each failure, by round.
  """
  last = rounds or (rows[-1]["round"] if rows else 0)
  return tuple(sorted(update(DetectorState(), rows, last).warnings.values()))


class DetectorState(NamedTuple):
  """State of all detectors after some rows, enough to judge the rows that follow.

  Attributes:
    warnings: {name of a failure: its first warning}.
    in_a_row: [detectors] measured rows in a row beyond all thresholds.
    peaks: {column: its maximum so far}.
    path: [< PATH, 2] positions in the last rows.
  """

  warnings: Mapping[str, Warning_] = MappingProxyType({})
  in_a_row: tuple[int, ...] = (0,) * len(DETECTORS)
  peaks: Mapping[str, float] = MappingProxyType({})
  path: np.ndarray = np.empty((0, 2))


def update(state: DetectorState, rows: Rows, rounds: int) -> DetectorState:
  """Computes the state after more rows; the same row by row and all at once.

  Args:
    state: state before these rows.
    rows: rows of metrics.jsonl, in order.
    rounds: rounds of the whole run.
  """
  columns, peaks, path = columns_of(rows, state)
  warnings, in_a_row = dict[str, Warning_](), []
  for detector, count in zip(DETECTORS, state.in_a_row, strict=True):
    start = max(WARM_UP, rounds / 2) if detector.late else WARM_UP
    at, after = _first_time(detector, columns, start, count)
    in_a_row.append(after)
    if at is None:
      continue
    numbers = "; ".join(
      t.format(_name_in(rows, t.column), float(columns[t.column][at])) for t in detector.thresholds
    )
    warning = Warning_(int(columns["round"][at]), detector.name, numbers, detector.remedy)
    warnings[detector.name] = min(warnings.get(detector.name, warning), warning)
  return DetectorState(warnings | dict(state.warnings), tuple(in_a_row), peaks, path)


def first_not_finite(metrics: Mapping[str, np.ndarray]) -> tuple[int, str, float] | None:
  """Returns where a run's numbers stop being finite.

  Args:
    metrics: {name: [rounds]} of consecutive rounds.

  Returns:
    (the first such round, counted from 0; the metric that is most likely the cause: a term before
    the sums and measurements it would spoil; its value), or None if all are finite.
  """
  names = sorted(metrics, key=_causes_first)
  finite = np.stack([np.isfinite(metrics[name]) for name in names])
  if finite.all():
    return None
  at = int(np.argmin(finite.all(0)))
  name = names[int(np.argmin(finite[:, at]))]
  return at, name, float(metrics[name][at])


def _causes_first(name: str) -> tuple[bool, bool, str]:
  return name.endswith("/gradient_norm"), "/" not in name or name.endswith("/loss"), name


def not_finite(round: int, name: str, value: float) -> Warning_:
  """Builds the warning of a number that is not finite."""
  remedy = "a lower learning rate, gradient clipping (clip_norm), or a regularizer"
  return Warning_(round, "not_finite", f"{name} is {value} in round {round}", remedy)


def _first_time(
  detector: Detector, columns: Mapping[str, np.ndarray], start: float, in_a_row: int
) -> tuple[int | None, int]:
  """Computes the first row in which a detector's patience ends, counted from round `start`.

  Also returns how many rows in a row were beyond at the end.
  """
  if not all(t.column in columns for t in detector.thresholds):
    return None, in_a_row
  values = [columns[t.column] for t in detector.thresholds]
  bad = np.all([t.holds(x) for t, x in zip(detector.thresholds, values, strict=True)], axis=0)
  measured = ~np.any(np.isnan(values), axis=0) & (columns["round"] >= start)
  first = None
  for at in np.flatnonzero(measured):
    in_a_row = in_a_row + 1 if bad[at] else 0
    if in_a_row == detector.patience and first is None:
      first = int(at)
  return first, in_a_row


def columns_of(
  rows: Rows, state: DetectorState
) -> tuple[dict[str, np.ndarray], dict[str, float], np.ndarray]:
  """Computes the columns of rows, NaN where nothing was measured, and those of several rows.

  Also returns the peaks and the path of the next state.
  """
  where = positions({name for row in rows for name in row})
  names = (
    {t.column for detector in DETECTORS for t in detector.thresholds}
    | {f"monitor/{name}" for name in ("gradient_norm", "gradient_peak", "turns")}
    | {"round", *where}
  )
  columns = {
    column: np.array([float(row.get(name, math.nan)) for row in rows])
    for column, name in ((column, _name_in(rows, column)) for column in names)
    if any(name in row for row in rows)
  }
  peaks = dict(state.peaks)
  for name in ("monitor/diversity", "monitor/coverage", "monitor/gradient_peak"):
    if name in columns:
      # fmax passes over the rows in which nothing was measured.
      peak = np.fmax.accumulate(np.append(peaks.get(name, math.nan), columns[name]))[1:]
      columns[f"peak of {name}"], peaks[name] = peak, float(peak[-1])
  if {"monitor/gradient_norm", "monitor/gradient_peak"} <= set(columns):
    peak = columns["peak of monitor/gradient_peak"]
    columns["gradient_norm/peak"] = columns["monitor/gradient_norm"] / np.fmax(peak, 1e-30)
  if "monitor/turns" in columns:
    columns["|turns|"] = np.abs(columns["monitor/turns"])
  points = [columns[name] for name in where] or [np.full(len(rows), math.nan)] * 2
  path = np.concatenate([state.path, np.stack(points, axis=-1)])
  if len(path) >= PATH and where:
    windows = np.lib.stride_tricks.sliding_window_view(path, PATH, axis=0).swapaxes(1, 2)
    none = np.full(len(rows) - len(windows), math.nan)  # where rows are the first of all
    for name, values in rotation(windows).items():
      columns[f"{name} of rows"] = np.concatenate([none, values])
    columns["|turns| of rows"] = np.abs(columns.pop("turns of rows"))
  return columns, peaks, path[max(0, len(path) - PATH + 1) :]


def _name_in(rows: Rows, column: str) -> str:
  """Returns the name in rows of a column that any player may have, such as "/D_fake"."""
  if not column.startswith("/"):
    return column
  return next((name for row in rows for name in row if name.endswith(column)), column)
