"""Points of the plane: clouds of samples with their density, and paths through a field."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_jax.plots import theme
from gan_jax.plots.theme import BLUE, GREY, ORANGE, Style

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

Limits = tuple[tuple[float, float], tuple[float, float]]  # of the panel, (x, y)
BINS = 120  # of a density, along each side of a panel


def scatter_density(
  samples: Mapping[str, ArrayLike],
  real: ArrayLike | None = None,
  *,
  limits: Limits | None = None,
  columns: int | None = None,
  size: float = 2.4,
  style: Style = "light",
) -> "Figure":
  """Draws samples as points over their density, and the data behind them; all to one scale.

  The density is a histogram, smoothed; its colour goes with the square root, so that a thin bridge
  between modes is seen beside them.

  Args:
    samples: {title: float [n, 2]}; points that are not finite are not drawn.
    real: float [m, 2].
    limits: of the panels, ((x low, x high), (y low, y high)); by default about the data, or about
      all samples if there are no data.
    columns: panels in a row.
    size: of a panel, in inches.
    style: "light" or "dark".

  Returns:
    The figure.

  Raises:
    ValueError: for points that are not of the plane.
  """
  points = {title: _finite(title, x) for title, x in samples.items()}
  data = None if real is None else _finite("real", real)
  limits = limits or around(data if data is not None else np.concatenate(list(points.values())))
  with theme.style(style):
    figure, panels = theme.panels(list(points), columns, (size, size + 0.2))
    for title, axes in panels.items():
      if data is not None:
        _dots(axes, data, BLUE, "data", size=9, alpha=0.35)
      _density(axes, points[title], limits)
      _dots(axes, points[title], ORANGE, "samples", size=2, alpha=0.5)
      axes.set(xlim=limits[0], ylim=limits[1], xticks=[], yticks=[], aspect="equal")
    if data is not None:
      theme.legend(figure, markerscale=3)
  return figure


def around(points: np.ndarray) -> Limits:
  """Computes limits about points [n, 2], with a margin of 0.3 of their range."""
  points = points if len(points) else np.array([[0.0, 0.0], [1.0, 1.0]])
  low, high = points.min(axis=0), points.max(axis=0)
  space = 0.3 * np.maximum(high - low, 1e-6)
  (left, bottom), (right, top) = (low - space).tolist(), (high + space).tolist()
  return (left, right), (bottom, top)


def _finite(title: str, points: ArrayLike) -> np.ndarray:
  """Checks points and keeps the finite ones."""
  x = np.asarray(points, np.float64)
  if x.ndim != 2 or x.shape[1] != 2:
    raise ValueError(f"{title!r}: expected points [n, 2], got {list(x.shape)}")
  return x[np.isfinite(x).all(axis=1)]


def _dots(axes: "Axes", x: np.ndarray, color: str, label: str, size: float, alpha: float) -> None:
  # As an image: thousands of points make an SVG of megabytes.
  axes.scatter(
    x[:, 0], x[:, 1], s=size, color=color, alpha=alpha, linewidths=0, label=label, rasterized=True
  )


def _density(axes: "Axes", x: np.ndarray, limits: Limits) -> None:
  """Draws where samples lie as a wash of their colour."""
  from matplotlib.colors import LinearSegmentedColormap
  from scipy.ndimage import gaussian_filter

  counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=BINS, range=np.array(limits))
  density = np.sqrt(gaussian_filter(counts.T, sigma=2))
  wash = LinearSegmentedColormap.from_list("wash", [f"{ORANGE}00", f"{ORANGE}CC"])
  extent = (*limits[0], *limits[1])
  axes.imshow(
    density, extent=extent, origin="lower", cmap=wash, interpolation="bilinear", aspect="auto"
  )


# --- paths ----------------------------------------------------------------------------------------


class Field(NamedTuple):
  """Velocities on a grid.

  Attributes:
    x: [n], where along the first axis.
    y: [m].
    velocity: [m, n, 2], the (x, y) components at each place.
  """

  x: ArrayLike
  y: ArrayLike
  velocity: ArrayLike


class PhasePortrait(NamedTuple):
  """Paths of play in the plane of two parameters.

  Attributes:
    paths: {label: [t, 2]}, from their start, which is marked.
    field: where play would lead from other places; None to draw none.
  """

  paths: Mapping[str, ArrayLike]
  field: Field | None = None


def phase_portraits(
  games: Mapping[str, PhasePortrait],
  *,
  rest: tuple[float, float] = (0.0, 0.0),
  reach: float | None = None,
  columns: int | None = None,
  size: float = 2.7,
  style: Style = "light",
) -> "Figure":
  """Draws phase portraits: paths of play, and the field they go through.

  Args:
    games: {title: portrait}.
    rest: the equilibrium, marked by a cross and in the middle of every panel.
    reach: of the panels, from there; by default of the longest path.
    columns: panels in a row.
    size: of a panel, in inches.
    style: "light" or "dark".

  Returns:
    The figure.

  Raises:
    ValueError: for paths or fields of other shapes.
  """
  paths = {
    title: {label: _path(label, path) for label, path in portrait.paths.items()}
    for title, portrait in games.items()
  }
  far = [np.abs(path - rest).max() for of_game in paths.values() for path in of_game.values()]
  reach = reach or 1.1 * float(np.max([x for x in far if np.isfinite(x)], initial=1e-6))
  with theme.style(style) as colors:
    figure, panels = theme.panels(list(games), columns, (size, size))
    for title, axes in panels.items():
      if (field := games[title].field) is not None:
        _arrows(axes, field)
      for label, path in paths[title].items():
        axes.plot(*path.T, linewidth=1, label=label)
        axes.plot(*path[:1].T, "o", color=colors.text, markersize=4)
      axes.plot(*rest, "+", color=colors.text, markersize=9)
      axes.set(
        xlim=(rest[0] - reach, rest[0] + reach),
        ylim=(rest[1] - reach, rest[1] + reach),
        aspect="equal",
        xlabel="θ, the generator",
        ylabel="ψ, the discriminator",
      )
      axes.label_outer()
    if max(map(len, paths.values())) > 1:
      theme.legend(figure)
  return figure


def _path(label: str, path: ArrayLike) -> np.ndarray:
  points = np.asarray(path, np.float64)
  if points.ndim != 2 or points.shape[1] != 2 or not len(points):
    raise ValueError(f"path {label!r}: expected [t, 2], got {list(points.shape)}")
  return points


def _arrows(axes: "Axes", field: Field) -> None:
  """Draws directions; long arrows are cut, so that short ones can be seen."""
  x, y, velocity = (np.asarray(part, np.float64) for part in field)
  if velocity.shape != (len(y), len(x), 2):
    raise ValueError(
      f"a field over {len(x)} x {len(y)} places: expected velocities [{len(y)}, {len(x)}, 2], got "
      f"{list(velocity.shape)}"
    )
  length = np.maximum(np.linalg.norm(velocity, axis=-1, keepdims=True), 1e-9)
  cut = velocity / length * np.minimum(1, length / 0.5)
  axes.quiver(x, y, cut[..., 0], cut[..., 1], color=GREY, alpha=0.55, scale=16, width=0.005)


# --- of a run -------------------------------------------------------------------------------------


def scatter(fake: np.ndarray, real: np.ndarray | None = None, size: int = 480) -> np.ndarray:
  """Draws points: the first two of their coordinates, or a histogram of their only one.

  Args:
    fake: float [n, d].
    real: float [m, d], drawn behind them.
    size: of the picture, in pixels.

  Returns:
    uint8 [size, size, 3].
  """
  from matplotlib.figure import Figure

  figure = Figure(figsize=(size / 100, size / 100), dpi=100)
  axes = figure.add_axes((0.09, 0.07, 0.88, 0.88))
  (_heights if fake.shape[1] == 1 else _spots)(axes, fake, real)
  return theme.pixels(figure)


def _heights(axes: "Axes", fake: np.ndarray, real: np.ndarray | None) -> None:
  both = [(fake, "samples", ORANGE), *([(real, "data", BLUE)] if real is not None else [])]
  for x, label, color in both:
    shown = x[np.isfinite(x)]
    axes.hist(shown, bins=60, density=len(shown) > 0, alpha=0.5, color=color, label=label)
  axes.legend(loc="upper right", fontsize=8)


def _spots(axes: "Axes", fake: np.ndarray, real: np.ndarray | None) -> None:
  if real is not None:
    _dots(axes, real[:, :2], BLUE, "data", size=14, alpha=0.4)
  _dots(axes, fake[:, :2], ORANGE, "samples", size=6, alpha=0.5)
  behind = (fake if real is None else real)[:, :2]
  limits = around(behind[np.isfinite(behind).all(axis=1)])
  axes.set(xlim=limits[0], ylim=limits[1])
  axes.legend(loc="upper right", fontsize=8, markerscale=2)
