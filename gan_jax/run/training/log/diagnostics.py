"""Warnings of a run that fails, and known remedies: a pure function of its rows.

    for warning in diagnose(read_rows(workdir)):
      print(warning)

`gan_jax.game.monitors` measures in the step; `summarise` reduces all rounds since the row before to
a row's numbers, and `gan_jax.run.evaluation.held_out` scores examples that the discriminator was
not trained on. Thresholds are in `DETECTORS`, each with its reason, and nowhere else.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

Rows = Sequence[Mapping[str, Any]]

WARM_UP = 500  # rounds that are not judged: a generator may start collapsed
PATIENCE = 3  # measured rows in a row that must be beyond the threshold
PATH = 32  # rows that a slow rotation is looked for in


class Threshold(NamedTuple):
  """A bound on one column.

  Attributes:
    column: name among the rows' columns and those of `_columns`.
    above: whether values above the bound are bad, or below.
    bound: the number.
    reason: why this number.
  """

  column: str
  above: bool
  bound: float
  reason: str

  def holds(self, values: np.ndarray) -> np.ndarray:
    """Computes where values [n] are beyond the bound: bool [n], False where they are not finite."""
    beyond = values > self.bound if self.above else values < self.bound
    return beyond & np.isfinite(values)

  def format(self, value: float) -> str:
    """Formats a value beside the bound."""
    relation = "above" if self.above else "below"
    return f"{self.column} is {value:.3g}, {relation} {self.bound:g}"


class Detector(NamedTuple):
  """A detector of a failure.

  Attributes:
    name: name of the failure; several detectors may have the same.
    thresholds: bounds that must all be crossed.
    remedy: known remedy.
    patience: measured rows in a row in which they must be crossed.
    late: whether only the second half of a run is judged. Some healthy runs find their modes late:
      that of `experiments/goodfellow2014_mnist.py` is one point for its first tenth.
  """

  name: str
  thresholds: tuple[Threshold, ...]
  remedy: str
  patience: int = PATIENCE
  late: bool = False


class Warning_(NamedTuple):
  """A detected failure.

  Attributes:
    round: round of the row in which patience ended.
    monitor: name of the failure.
    seen: the numbers beside their thresholds.
    remedy: known remedy.
  """

  round: int
  monitor: str
  seen: str
  remedy: str

  def __str__(self) -> str:
    return f"warning: {self.monitor} at round {self.round}: {self.seen}. Try {self.remedy}"


_SPREAD = (
  "--config.packing=2, --config.regularizers.r1, or --config.loss=relativistic with r1 and r2"
  " (arXiv:1712.04086, 1801.04406, 2501.05441); a lower learning rate"
)
_DAMP = (
  "--config.regularizers.r1, which makes play converge locally (arXiv:1801.04406), a lower learning"
  " rate, or optimistic_adam_v2"
)

_ALIKE = Threshold("monitor/diversity", False, 0.25, "fakes are four times as alike as examples")
_ABSENT = (
  Threshold("monitor/coverage", False, 0.4, "more than half the data have no fake near"),
  Threshold("monitor/precision", True, 0.5, "though fakes are where data are, and not just bad"),
)

DETECTORS = (
  Detector(
    "vanishing_gradient",
    (
      Threshold("monitor/slope", False, 0.02, "the loss passes on a fiftieth of what it may"),
      Threshold("generator/D_fake", False, 0.02, "D is sure of every fake, not G of having won"),
      Threshold("gradient_norm/peak", False, 0.2, "what is left is small beside what there was"),
    ),
    "--config.loss=non_saturating, whose slope is 1 there (arXiv:1406.2661), a lower k or learning"
    " rate of the discriminator, or a regularizer that keeps it smooth (r1, gradient_penalty)",
  ),
  Detector(
    "mode_collapse",
    (_ALIKE, Threshold("peak of monitor/diversity", True, 0.5, "what it had before, and has lost")),
    _SPREAD,
  ),
  Detector("mode_collapse", (_ALIKE,), _SPREAD, late=True),
  Detector(
    "mode_collapse",
    (
      *_ABSENT,
      Threshold("peak of monitor/coverage", True, 0.75, "what it had before, and has lost"),
    ),
    _SPREAD,
  ),
  Detector("mode_collapse", _ABSENT, _SPREAD, late=True),
  *(
    Detector(
      "mode_collapse",
      (Threshold(score, True, math.log(2), "as if half of them were missing"),),
      _SPREAD,
      patience=2,  # scores are rare, and of thousands of samples
    )
    for score in ("score/kl", "score/class_kl")
  ),
  Detector(
    "oscillation",
    (
      Threshold("|turns|", True, 1.0, "a full turn within every row"),
      Threshold("monitor/coherence", True, 0.7, "all in one direction; noise of n rounds has 1/√n"),
      Threshold("monitor/growth", True, 0.9, "play that converges turns in ever smaller circles"),
    ),
    _DAMP,
  ),
  Detector(
    "oscillation",
    (
      Threshold("|turns| of rows", True, 2.5, f"turns in {PATH} rows; a drift makes half of one"),
      Threshold("coherence of rows", True, 0.8, "of 9,000 random walks one is beyond all three"),
      Threshold("growth of rows", True, 0.9, "play that converges turns in ever smaller circles"),
    ),
    _DAMP,
  ),
  Detector(
    "discriminator_overfitting",
    (Threshold("monitor/held_out_auc", True, 0.8, "four of five held-out examples rank below"),),
    "more data or flips of it (--config.data_options.flip), balanced_consistency"
    " (arXiv:2002.04724), lecam (arXiv:2104.03310), more r1, or a smaller discriminator",
  ),
)


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
  columns, peaks, path = _columns(rows, state)
  warnings, in_a_row = dict[str, Warning_](), []
  for detector, count in zip(DETECTORS, state.in_a_row, strict=True):
    start = max(WARM_UP, rounds / 2) if detector.late else WARM_UP
    at, after = _first_time(detector, columns, start, count)
    in_a_row.append(after)
    if at is None:
      continue
    numbers = "; ".join(t.format(float(columns[t.column][at])) for t in detector.thresholds)
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


def _columns(
  rows: Rows, state: DetectorState
) -> tuple[dict[str, np.ndarray], dict[str, float], np.ndarray]:
  """Computes the columns of rows, NaN where nothing was measured, and those of several rows.

  Also returns the peaks and the path of the next state.
  """
  names = (
    {t.column for detector in DETECTORS for t in detector.thresholds}
    | {f"monitor/{name}" for name in ("gradient_norm", "gradient_peak", "turns")}
    | {"round", *POSITIONS}
  )
  columns = {
    name: np.array([float(row.get(name, math.nan)) for row in rows])
    for name in names
    if any(name in row for row in rows)
  }
  peaks = dict(state.peaks)
  for name in ("monitor/diversity", "monitor/coverage", "monitor/gradient_peak"):
    if name in columns:
      peak = np.fmax.accumulate(np.append(peaks.get(name, math.nan), columns[name]))[1:]
      columns[f"peak of {name}"], peaks[name] = peak, float(peak[-1])
  if {"monitor/gradient_norm", "monitor/gradient_peak"} <= set(columns):
    peak = columns["peak of monitor/gradient_peak"]
    columns["gradient_norm/peak"] = columns["monitor/gradient_norm"] / np.fmax(peak, 1e-30)
  if "monitor/turns" in columns:
    columns["|turns|"] = np.abs(columns["monitor/turns"])
  nowhere = np.full(len(rows), math.nan)
  positions = np.stack([columns.get(name, nowhere) for name in POSITIONS], axis=-1)
  path = np.concatenate([state.path, positions])
  if len(path) >= PATH and set(POSITIONS) <= set(columns):
    windows = np.lib.stride_tricks.sliding_window_view(path, PATH, axis=0).swapaxes(1, 2)
    none = np.full(len(rows) - len(windows), math.nan)  # where rows are the first of all
    for name, values in rotation(windows).items():
      columns[f"{name} of rows"] = np.concatenate([none, values])
    columns["|turns| of rows"] = np.abs(columns.pop("turns of rows"))
  return columns, peaks, path[max(0, len(path) - PATH + 1) :]


# --- the numbers of a row -------------------------------------------------------------------------

POSITIONS = ("monitor/position_discriminator", "monitor/position_generator")
GRADIENT = "generator/gradient_norm"


def summarise(history: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Reduces the measurements of each round since the row before to the numbers of a row.

  Args:
    history: {name: [rounds]} of metrics "monitor/..." and the generator's gradient norm.

  Returns:
    Means over the rounds; of positions the last; median and peak of the gradient norm; and of the
    path of both positions, turns, coherence and growth (see `rotation`) and the distance travelled
    over the distance gained.
  """
  numbers = {name: float(np.mean(x)) for name, x in history.items() if name.startswith("monitor/")}
  numbers |= {name: float(history[name][-1]) for name in POSITIONS if name in history}
  if GRADIENT in history:
    numbers["monitor/gradient_norm"] = float(np.median(history[GRADIENT]))
    numbers["monitor/gradient_peak"] = float(np.max(history[GRADIENT]))
  if set(POSITIONS) <= set(history):
    path = np.stack([np.asarray(history[name], np.float64) for name in POSITIONS], axis=-1)
    numbers |= {f"monitor/{name}": float(value) for name, value in rotation(path).items()}
    travelled = np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1))
    gained = np.linalg.norm(path[-1] - path[0])
    numbers["monitor/travelled_over_gained"] = float(
      (travelled + 1e-30) / max(gained, 1e-6 * travelled, 1e-30)
    )
  return numbers


def rotation(path: np.ndarray) -> dict[str, np.ndarray]:
  """Computes the rotation of a path in the plane round its centroid.

  Args:
    path: [..., n, 2]; coordinates are scaled to the same deviation.

  Returns:
    turns [...]: number of turns, positive from the first axis to the second; coherence [...]:
    |sum of turning angles| over the sum of their sizes, 1 of a rotation, about 1/√n of noise;
    growth [...]: rms radius of the second half over that of the first. All 0 of a path that rests.
  """
  with np.errstate(all="ignore"):
    x = path - path.mean(axis=-2, keepdims=True)
    x = np.nan_to_num(x / x.std(axis=-2, keepdims=True), posinf=0.0, neginf=0.0)
  angle = np.arctan2(x[..., 1], x[..., 0])
  turning = (np.diff(angle, axis=-1) + np.pi) % (2 * np.pi) - np.pi
  total, size = turning.sum(axis=-1), np.abs(turning).sum(axis=-1)
  half = path.shape[-2] // 2
  radius = lambda part: np.sqrt(np.sum(part**2, axis=(-2, -1)) / max(part.shape[-2], 1))
  first, second = radius(x[..., :half, :]), radius(x[..., half:, :])
  return {
    "turns": total / (2 * np.pi),
    "coherence": np.abs(total) / np.maximum(size, 1e-30),
    "growth": second / np.maximum(first, 1e-30),
  }
