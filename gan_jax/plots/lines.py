"""Learning curves: lines over rounds, with bands over seeds."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.game.kinds.sides.monitors import MONITOR
from gan_jax.plots import theme
from gan_jax.plots.theme import GREY, Style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

Series = Mapping[str, Any]  # {label: values [n] or [n, seeds], or a pair (x [n], values)}
Middle = tuple[np.ndarray, np.ndarray, np.ndarray]  # of each row: what stands for it, low, high


def _error(values: np.ndarray) -> Middle:
  values = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, np.nan)
  mean = values.mean(axis=1)
  error = values.std(axis=1, ddof=1) / math.sqrt(values.shape[1])
  return mean, mean - error, mean + error


def _quartiles(values: np.ndarray) -> Middle:
  # A quantile that is one of the values: between 8 and infinity there is no other.
  low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1, method="inverted_cdf")
  return middle, low, high


BANDS = {"error": _error, "quartiles": _quartiles}


def curves(
  panels: Mapping[str, Series],
  x: ArrayLike | None = None,
  *,
  band: str = "error",
  log: Collection[str] = (),
  lines: Mapping[str, tuple[str, float]] | None = None,
  xlabel: str = "round",
  columns: int | None = None,
  size: tuple[float, float] = (3.6, 2.6),
  style: Style = "light",
) -> "Figure":
  """Draws series, a panel for each thing measured; several seeds as a line within a band.

  Where a seed is not finite a mean stops, since that of the others would flatter. To quartiles
  infinity is a number, and they stop at NaN.

  Args:
    panels: {title: {label: values}}, values [n] or [n, seeds], or a pair (x, values) where series
      have their own x.
    x: [n], common to all; 0, 1, ... by default.
    band: "error", the mean and its standard error over seeds; or "quartiles", the median and the
      middle half.
    log: titles of panels with a logarithmic axis.
    lines: {title: (label, height)}, a level to compare with.
    xlabel: what x is.
    columns: panels in a row.
    size: of a panel, in inches.
    style: "light" or "dark".

  Returns:
    The figure.

  Raises:
    ValueError: shapes that do not fit, or an unknown band.
  """
  if band not in BANDS:
    raise ValueError(f"unknown band {band!r}: expected one of {', '.join(BANDS)}")
  with theme.style(style):
    figure, axes_by_title = theme.panels(list(panels), columns, size)
    for title, axes in axes_by_title.items():
      for label, values in panels[title].items():
        _draw(axes, label, *_pair(label, values, x), band)
      if lines and title in lines:
        label, height = lines[title]
        axes.axhline(height, color=GREY, linewidth=1, linestyle="--", label=label)
      axes.set_yscale("log" if title in log else "linear")
      axes.set_xlabel(xlabel)
      axes.grid()
    theme.legend(figure)
  return figure


def _pair(label: str, values: Any, x: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
  """Reads a series: x [n] and values [n, seeds]."""
  if isinstance(values, tuple):
    x, values = values
  y = np.asarray(values, np.float64)
  y = y[:, None] if y.ndim == 1 else y
  x = np.arange(len(y)) if x is None else np.asarray(x)
  if y.ndim != 2 or x.shape != (len(y),) or not y.shape[1]:
    raise ValueError(
      f"series {label!r}: expected x [n] and values [n] or [n, seeds], got {list(x.shape)} and "
      f"{list(np.shape(values))}"
    )
  return x, y


def _draw(axes: "Axes", label: str, x: np.ndarray, y: np.ndarray, band: str) -> None:
  """Draws one series, and its band where there are several seeds."""
  middle, low, high = BANDS[band](y) if y.shape[1] > 1 else (y[:, 0],) * 3
  (line,) = axes.plot(x, middle, label=label, marker="." if len(x) < 12 else None)
  if y.shape[1] > 1:
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


# --- of a run -------------------------------------------------------------------------------------


def history(
  rows: Sequence[Mapping[str, Any]], scores: Mapping[str, str] | None = None
) -> np.ndarray | None:
  """Draws the metrics of a run over its rounds.

  Args:
    rows: as `read_rows` returns them.
    scores: their labels -> their names in the rows.

  Returns:
    uint8 [H, W, 3], or None if there are fewer than two rows.
  """
  series = measured(rows, scores)
  if len(rows) < 2 or not series:
    return None
  lines = {"D(x) and D(G(z))": ("1/2", 0.5), "V(D, G)": ("-log 4", -math.log(4))}
  log = ("gradient norm",)
  return theme.pixels(curves(series, log=log, lines=lines, columns=2, size=(5.2, 2.9)))


def measured(
  rows: Sequence[Mapping[str, Any]], scores: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
  """Groups the finite metrics of a run into panels.

  Args:
    rows: as `read_rows` returns them.
    scores: their labels -> their names in the rows.

  Returns:
    {title: {label: (rounds [n], values [n])}}; what was never measured is left out.
  """
  panels = {title: _series(rows, names) for title, names in _names(rows).items()}
  for label, name in (scores or {}).items():
    panels[label.replace("_", " ")] = _series(rows, {label: name})
  return {title: series for title, series in panels.items() if series}


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
  """Returns the metrics of each panel: {title: {label: name}}."""
  names = sorted({name for row in rows for name in row})
  players = lambda what: {
    name.removesuffix(what): name
    for name in names
    if name.endswith(what) and not name.startswith(MONITOR)
  }
  return {
    "loss": players("/loss"),
    "D(x) and D(G(z))": {"D(x)": "D_real", "D(G(z))": "D_fake"},
    "V(D, G)": {"V": "V"},
    "logits": {"real": "logits_real", "fake": "logits_fake"},
    "estimated distance": {"distance": "distance"},
    "gradient norm": players("/gradient_norm"),
  }


def _series(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> dict[str, Any]:
  series = {label: finite(rows, name) for label, name in names.items()}
  return {label: pair for label, pair in series.items() if len(pair[0])}


def finite(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns a metric where it is finite: rounds [n] and values [n]."""
  pairs = [(row["round"], float(row[name])) for row in rows if name in row]
  pairs = [(x, y) for x, y in pairs if math.isfinite(y)]
  return np.array([x for x, _ in pairs], int), np.array([y for _, y in pairs], float)
