"""What is going wrong in a run, and what is known to help: a pure function of its rows.

    rows = report.read_rows(workdir)
    for alarm in diagnose(rows):
      print(alarm)

`gan_jax.game.monitors` measures in the step; `summarise` makes a row's numbers of all rounds since
the row before, and `gan_jax.run.evaluation.held_out` looks at examples that the discriminator was
not trained on. Thresholds are in `MONITORS`, each with its reason, and nowhere else.
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


class Sign(NamedTuple):
  """One number beyond its threshold.

  Attributes:
    column: of the rows; see also `_columns`.
    above: whether it is bad above the threshold, or below.
    threshold: the number.
    reason: why this number.
  """

  column: str
  above: bool
  threshold: float
  reason: str

  def holds(self, values: np.ndarray) -> np.ndarray:
    """Tells where values are beyond; never where they are not finite."""
    beyond = values > self.threshold if self.above else values < self.threshold
    return beyond & np.isfinite(values)

  def said(self, value: float) -> str:
    """Says what was seen."""
    relation = "above" if self.above else "below"
    return f"{self.column} is {value:.3g}, {relation} {self.threshold:g}"


class Monitor(NamedTuple):
  """A way to fail.

  Attributes:
    name: of the failure; several monitors may see the same one.
    signs: that must all hold.
    remedy: what is known to help.
    patience: measured rows in a row in which they must.
    late: whether only the second half of a run is judged. Some healthy runs find their modes late:
      that of `experiments/goodfellow2014_mnist.py` is one point for its first tenth.
  """

  name: str
  signs: tuple[Sign, ...]
  remedy: str
  patience: int = PATIENCE
  late: bool = False


class Alarm(NamedTuple):
  """A failure that was seen.

  Attributes:
    round: of the row in which patience ended.
    monitor: name of the failure.
    seen: the numbers, beside their thresholds.
    remedy: what is known to help.
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

_ALIKE = Sign("monitor/diversity", False, 0.25, "fakes are four times as alike as examples")
_ABSENT = (
  Sign("monitor/coverage", False, 0.4, "more than half the data have no fake near"),
  Sign("monitor/precision", True, 0.5, "though fakes are where data are, and not just bad"),
)

MONITORS = (
  Monitor(
    "vanishing_gradient",
    (
      Sign("monitor/slope", False, 0.02, "the loss passes on a fiftieth of what it may"),
      Sign("generator/D_fake", False, 0.02, "D is sure of every fake, not G of having won"),
      Sign("gradient_norm/peak", False, 0.2, "what is left is small beside what there was"),
    ),
    "--config.loss=non_saturating, whose slope is 1 there (arXiv:1406.2661), a lower k or learning"
    " rate of the discriminator, or a regularizer that keeps it smooth (r1, gradient_penalty)",
  ),
  Monitor(
    "mode_collapse",
    (_ALIKE, Sign("peak of monitor/diversity", True, 0.5, "what it had before, and has lost")),
    _SPREAD,
  ),
  Monitor("mode_collapse", (_ALIKE,), _SPREAD, late=True),
  Monitor(
    "mode_collapse",
    (*_ABSENT, Sign("peak of monitor/coverage", True, 0.75, "what it had before, and has lost")),
    _SPREAD,
  ),
  Monitor("mode_collapse", _ABSENT, _SPREAD, late=True),
  *(
    Monitor(
      "mode_collapse",
      (Sign(score, True, math.log(2), "as if half of them were missing"),),
      _SPREAD,
      patience=2,  # scores are rare, and of thousands of samples
    )
    for score in ("score/kl", "score/class_kl")
  ),
  Monitor(
    "oscillation",
    (
      Sign("|turns|", True, 1.0, "a full turn within every row"),
      Sign("monitor/coherence", True, 0.7, "all in one direction; noise of n rounds has 1/√n"),
      Sign("monitor/growth", True, 0.9, "play that converges turns in ever smaller circles"),
    ),
    _DAMP,
  ),
  Monitor(
    "oscillation",
    (
      Sign("|turns| of rows", True, 2.5, f"turns in {PATH} rows; a drift makes half of one"),
      Sign("coherence of rows", True, 0.8, "of 9,000 random walks one is beyond all three"),
      Sign("growth of rows", True, 0.9, "play that converges turns in ever smaller circles"),
    ),
    _DAMP,
  ),
  Monitor(
    "discriminator_overfitting",
    (Sign("monitor/held_out_auc", True, 0.8, "four of five held-out examples rank below"),),
    "more data or flips of it (--config.data_options.flip), balanced_consistency"
    " (arXiv:2002.04724), lecam (arXiv:2104.03310), more r1, or a smaller discriminator",
  ),
)


def diagnose(rows: Rows, rounds: int | None = None) -> tuple[Alarm, ...]:
  """Finds what went wrong in a run.

  Args:
    rows: of metrics.jsonl, in order.
    rounds: that the run will have; by default it has ended with the last row.

  Returns:
    An alarm for each failure that was seen, of the first time that it was, by round.
  """
  last = rounds or (rows[-1]["round"] if rows else 0)
  return tuple(sorted(follow(Diagnosis(), rows, last).alarms.values()))


class Diagnosis(NamedTuple):
  """What rows have shown so far, and all that is needed of them to judge the rows that follow.

  Attributes:
    alarms: by monitor's name, of the first time.
    in_a_row: of each monitor, measured rows in a row that were beyond.
    peaks: the highest numbers so far, by column.
    path: [< PATH, 2] positions in the last rows.
  """

  alarms: Mapping[str, Alarm] = MappingProxyType({})
  in_a_row: tuple[int, ...] = (0,) * len(MONITORS)
  peaks: Mapping[str, float] = MappingProxyType({})
  path: np.ndarray = np.empty((0, 2))


def follow(before: Diagnosis, rows: Rows, rounds: int) -> Diagnosis:
  """Goes on with a diagnosis: row by row or all at once, it comes to the same.

  Args:
    before: of the rows up to these.
    rows: of metrics.jsonl, in order.
    rounds: that the run will have.
  """
  columns, peaks, path = _columns(rows, before)
  alarms, in_a_row = dict[str, Alarm](), []
  for monitor, count in zip(MONITORS, before.in_a_row, strict=True):
    start = max(WARM_UP, rounds / 2) if monitor.late else WARM_UP
    at, after = _first_time(monitor, columns, start, count)
    in_a_row.append(after)
    if at is None:
      continue
    seen = "; ".join(sign.said(float(columns[sign.column][at])) for sign in monitor.signs)
    alarm = Alarm(int(columns["round"][at]), monitor.name, seen, monitor.remedy)
    alarms[monitor.name] = min(alarms.get(monitor.name, alarm), alarm)
  return Diagnosis(alarms | dict(before.alarms), tuple(in_a_row), peaks, path)


def first_not_finite(metrics: Mapping[str, np.ndarray]) -> tuple[int, str, float] | None:
  """Finds where a run's numbers stop being finite.

  Args:
    metrics: of rounds in a row, [rounds] each.

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


def not_finite(round: int, name: str, value: float) -> Alarm:
  """Makes the alarm of a number that went bad, the first of its round."""
  remedy = "a lower learning rate, gradient clipping (clip_norm), or a regularizer"
  return Alarm(round, "not_finite", f"{name} is {value} in round {round}", remedy)


def _first_time(
  monitor: Monitor, columns: Mapping[str, np.ndarray], start: float, in_a_row: int
) -> tuple[int | None, int]:
  """Finds the row in which a monitor's patience ends first, counted from round `start`.

  Also returns how many in a row were beyond at the end.
  """
  if not all(sign.column in columns for sign in monitor.signs):
    return None, in_a_row
  values = [columns[sign.column] for sign in monitor.signs]
  bad = np.all([s.holds(x) for s, x in zip(monitor.signs, values, strict=True)], axis=0)
  measured = ~np.any(np.isnan(values), axis=0) & (columns["round"] >= start)
  first = None
  for at in np.flatnonzero(measured):
    in_a_row = in_a_row + 1 if bad[at] else 0
    if in_a_row == monitor.patience and first is None:
      first = int(at)
  return first, in_a_row


def _columns(
  rows: Rows, before: Diagnosis
) -> tuple[dict[str, np.ndarray], dict[str, float], np.ndarray]:
  """Makes columns of rows, NaN where nothing was measured, and adds what takes several rows.

  Also returns the peaks and the path of a diagnosis that goes on.
  """
  names = (
    {sign.column for monitor in MONITORS for sign in monitor.signs}
    | {f"monitor/{name}" for name in ("gradient_norm", "gradient_peak", "turns")}
    | {"round", *POSITIONS}
  )
  columns = {
    name: np.array([float(row.get(name, math.nan)) for row in rows])
    for name in names
    if any(name in row for row in rows)
  }
  peaks = dict(before.peaks)
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
  here = np.stack([columns.get(name, nowhere) for name in POSITIONS], axis=-1)
  path = np.concatenate([before.path, here])
  if len(path) >= PATH and set(POSITIONS) <= set(columns):
    windows = np.lib.stride_tricks.sliding_window_view(path, PATH, axis=0).swapaxes(1, 2)
    none = np.full(len(rows) - len(windows), math.nan)  # where rows are the first of all
    for name, values in rotation(windows).items():
      columns[f"{name} of rows"] = np.concatenate([none, values])
    columns["|turns| of rows"] = np.abs(columns.pop("turns of rows"))
  return columns, peaks, path[max(0, len(path) - PATH + 1) :]


# --- what a row says ------------------------------------------------------------------------------

POSITIONS = ("monitor/position_discriminator", "monitor/position_generator")
GRADIENT = "generator/gradient_norm"


def summarise(history: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Makes the numbers of a row of what was measured in each round since the one before.

  Args:
    history: arrays [rounds] of metrics "monitor/..." and of the generator's gradient norm, by name.

  Returns:
    Means over the rounds; of positions the last; median and peak of the gradient
    norm; and of the path that both positions make, turns, coherence and growth (see `rotation`) and
    the distance travelled over the distance gained.
  """
  found = {name: float(np.mean(x)) for name, x in history.items() if name.startswith("monitor/")}
  found |= {name: float(history[name][-1]) for name in POSITIONS if name in history}
  if GRADIENT in history:
    found["monitor/gradient_norm"] = float(np.median(history[GRADIENT]))
    found["monitor/gradient_peak"] = float(np.max(history[GRADIENT]))
  if set(POSITIONS) <= set(history):
    path = np.stack([np.asarray(history[name], np.float64) for name in POSITIONS], axis=-1)
    found |= {f"monitor/{name}": float(value) for name, value in rotation(path).items()}
    travelled = np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1))
    gained = np.linalg.norm(path[-1] - path[0])
    found["monitor/travelled_over_gained"] = float(
      (travelled + 1e-30) / max(gained, 1e-6 * travelled, 1e-30)
    )
  return found


def rotation(path: np.ndarray) -> dict[str, np.ndarray]:
  """Measures how a path in the plane goes round its centroid.

  Args:
    path: [..., n, 2]; coordinates are scaled to the same deviation.

  Returns:
    turns [...]: how often it goes round, positive from the first axis to the second; coherence:
    |sum of turning angles| over the sum of their sizes, 1 of a rotation, about 1/√n of noise;
    growth: rms radius of its second half over that of the first. 0 of a path that rests.
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
