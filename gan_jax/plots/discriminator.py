"""The discriminator beside the optimal one, on a line, as Goodfellow et al. 2014, figure 1."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.plots import theme
from gan_jax.plots.theme import BLUE, GREEN, GREY, ORANGE, Style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

# Styles of the lines by label; without a colour a line takes that of the text.
LINES: dict[str, dict[str, Any]] = {
  "model": dict(color=GREEN, linewidth=2.2, linestyle="-"),
  "data": dict(linewidth=1.8, linestyle=(0, (1, 1.3))),
  "D*": dict(color=ORANGE, linewidth=3.6, linestyle="-"),
  "D": dict(color=BLUE, linewidth=1.6, linestyle=(0, (4, 1.5))),
}
FLOOR = 0.01  # of the densities' sum: where there are no examples D is not drawn


class DiscriminatorPlot(NamedTuple):
  """Densities and discriminators over the points of a line.

  Attributes:
    x: [n].
    data: [n], density of the data.
    model: [n], density of the fakes.
    discriminators: {label: [n]}, probabilities from 0 to 1, as "D" and "D*".
    mapping: latents [m] and their fakes [m], drawn as arrows; None for none.
  """

  x: ArrayLike
  data: ArrayLike
  model: ArrayLike
  discriminators: Mapping[str, ArrayLike]
  mapping: tuple[ArrayLike, ArrayLike] | None = None


def discriminator_curves(
  plots: Mapping[str, DiscriminatorPlot],
  *,
  limits: tuple[float, float] | None = None,
  columns: int | None = None,
  size: tuple[float, float] = (2.4, 2.4),
  style: Style = "light",
) -> "Figure":
  """Draws densities of data and fakes, and discriminators where either is above 0.01.

  Args:
    plots: {title: plot}, such as of several rounds.
    limits: lower and upper end of x.
    columns: number of panels in a row.
    size: width and height of a panel, in inches.
    style: "light" or "dark".

  Returns:
    The figure.

  Raises:
    ValueError: shapes that do not fit.
  """
  with theme.style(style):
    figure, panels = theme.panels(list(plots), columns, size)
    for title, axes in panels.items():
      _draw_panel(axes, plots[title], limits)
    theme.legend(figure)
  return figure


def _draw_panel(axes: "Axes", plot: DiscriminatorPlot, limits: tuple[float, float] | None) -> None:
  x, data, model = _lines(plot)
  has_examples = data + model > FLOOR
  limits = limits or (float(x[0]), float(x[-1]))
  for label, y in {"model": model, "data": data, **_discriminators(plot, len(x))}.items():
    shown = has_examples | (label in ("model", "data"))
    text = axes.spines["left"].get_edgecolor()
    axes.plot(x, np.where(shown, y, np.nan), label=label, **{"color": text, **LINES.get(label, {})})
  for height in (0, 0.5, 1):
    axes.axhline(height, color=GREY, linewidth=0.5, zorder=0)
  top = 1.05 * max(1.0, float(data.max()), float(model.max()))
  axes.set(xlim=limits, ylim=(0, top), xlabel="x")
  axes.set_yticks((0, 0.5, 1), ("0", "½", "1"))
  if plot.mapping is not None:
    z, fakes = (np.asarray(part, np.float64) for part in plot.mapping)
    _draw_mapping(axes, z, fakes, limits)


def _lines(plot: DiscriminatorPlot) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  x, data, model = (np.asarray(part, np.float64) for part in plot[:3])
  if x.ndim != 1 or not x.shape == data.shape == model.shape:
    raise ValueError(
      f"expected x, data and model [n], got {list(x.shape)}, {list(data.shape)} and "
      f"{list(model.shape)}"
    )
  return x, data, model


def _discriminators(plot: DiscriminatorPlot, n: int) -> dict[str, np.ndarray]:
  lines = {label: np.asarray(y, np.float64) for label, y in plot.discriminators.items()}
  for label, y in lines.items():
    if y.shape != (n,):
      raise ValueError(f"{label!r}: expected [{n}], a value for each x, got {list(y.shape)}")
  return lines


def _draw_mapping(
  axes: "Axes", z: np.ndarray, fakes: np.ndarray, limits: tuple[float, float]
) -> None:
  """Draws the generator below the panel: arrows from latents, spread evenly, to where they go."""
  top, bottom = -0.12, -0.42
  low, high = axes.get_xlim()
  starts = low + (z - z.min()) / max(float(np.ptp(z)), 1e-9) * (high - low)
  arrow = dict(arrowstyle="-|>", color=GREEN, linewidth=0.7, shrinkA=0, shrinkB=0, mutation_scale=6)
  for start, end in zip(starts, fakes, strict=True):
    if limits[0] < end < limits[1]:
      axes.annotate("", (end, top), (start, bottom), arrowprops=arrow)
  axes.axhline(top, color=axes.spines["left"].get_edgecolor(), linewidth=0.8)
  axes.axhline(bottom, color=axes.spines["left"].get_edgecolor(), linewidth=0.8)
  axes.set(ylim=(bottom - 0.03, axes.get_ylim()[1]), xticks=[], xlabel="")
  axes.set_yticks((bottom, top, 0, 0.5, 1), ("z", "x", "0", "½", "1"))
  axes.spines[:].set_visible(False)
  axes.tick_params(length=0)
