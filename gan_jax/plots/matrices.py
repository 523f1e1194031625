"""Matrices of an ablation: a cell for each pair of choices, with its mean and interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.plots import theme
from gan_jax.plots.theme import GREY, Style

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def matrix(
  mean: ArrayLike,
  low: ArrayLike,
  high: ArrayLike,
  *,
  rows: Sequence[str],
  columns: Sequence[str],
  title: str = "",
  better: str = "max",
  notes: Sequence[Sequence[str]] | None = None,
  style: Style = "light",
) -> "Figure":
  """Draws a score of every pair of choices; the brightest cell is the best.

  Args:
    mean: [rows, columns]; a cell that is not finite is grey and says so, one of NaN by its note.
    low: [rows, columns], of the interval.
    high: [rows, columns].
    rows: names of the one choice, as losses.
    columns: names of the other, as penalties.
    title: what the score is.
    better: "max" or "min".
    notes: [rows, columns] of a line more for a cell each, "" for none.
    style: "light" or "dark".

  Returns:
    The figure.

  Raises:
    ValueError: shapes that do not fit the names, or an unknown direction.
  """
  middle, least, most = (np.asarray(x, np.float64) for x in (mean, low, high))
  shape = (len(rows), len(columns))
  texts = [["" for _ in columns] for _ in rows] if notes is None else [list(row) for row in notes]
  if {x.shape for x in (middle, least, most)} != {shape} or {len(row) for row in texts} != {
    shape[1]
  }:
    raise ValueError(
      f"a matrix of {shape[0]} rows and {shape[1]} columns: got means {list(middle.shape)}, "
      f"intervals {list(least.shape)} and {list(most.shape)}"
    )
  if better not in ("max", "min"):
    raise ValueError(f"better is {better!r}: expected 'max' or 'min'")
  with theme.style(style):
    figure, panels = theme.panels([title], size=(2.6 + 1.1 * shape[1], 1.0 + 0.5 * shape[0]))
    axes = panels[title]
    shown = _colors(middle, better)
    axes.imshow(shown, aspect="auto")
    for row, column in np.ndindex(shape):
      numbers = cell(*(float(x[row, column]) for x in (middle, least, most)))
      color, note = readable(shown[row, column]), texts[row][column]
      text = note if note and numbers == "nan" else f"{numbers}\n{note}".rstrip()
      axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(shape[1]), columns)
    axes.set_yticks(range(shape[0]), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
  return figure


def cell(mean: float, low: float, high: float) -> str:
  """Formats a mean and its interval, to as many digits as the interval leaves certain, and one."""
  if not np.isfinite(mean):
    return f"{mean}"
  width = high - low if np.isfinite(high - low) else 0.0
  digits = int(np.clip(1 - np.floor(np.log10(width)), 0, 4)) if width > 0 else 2
  if low == high == mean:
    return f"{mean:.4g}"
  # 0.0000 would say nothing of a small score.
  form = ".3g" if max(map(abs, (mean, low, high))) < 1e-3 else f".{digits}f"
  return f"{mean:{form}}\n{low:{form}} to {high:{form}}"


def _colors(mean: np.ndarray, better: str) -> np.ndarray:
  """Computes the colour of each cell: [rows, columns, 3] from 0 to 1."""
  import matplotlib
  from matplotlib.colors import to_rgb

  finite = np.isfinite(mean)
  worst, best = (mean[finite].min(), mean[finite].max()) if finite.any() else (0.0, 1.0)
  worst, best = (worst, best) if better == "max" else (best, worst)
  share = (np.where(finite, mean, worst) - worst) / ((best - worst) or 1.0)
  colors = matplotlib.colormaps["cividis"](share)[..., :3]
  return np.where(finite[..., None], colors, to_rgb(GREY))


def readable(background: np.ndarray) -> str:
  """Returns black or white, whichever has the higher contrast with a colour [3] from 0 to 1."""
  return "black" if luminance(background) > 0.179 else "white"


def luminance(color: np.ndarray) -> float:
  """Computes the relative luminance of an sRGB colour [3] from 0 to 1, as WCAG 2.1 defines it."""
  linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
  return float(linear @ (0.2126, 0.7152, 0.0722))
