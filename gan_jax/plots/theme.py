"""The theme of figures: colours, light and dark, panels, legends; and the files they are saved to.

matplotlib is imported when it is used, and by its objects: no figure is the current one, and none
is kept.
"""

import contextlib
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gan_jax.files import Path, atomic_write

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

Style = Literal["light", "dark"]

# Okabe & Ito's palette, which colour-blind readers can tell apart: those of its colours that have a
# contrast of 3 to 1 with white and with black alike.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#888888"
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.3)))


class Theme(NamedTuple):
  """The colours of a style.

  Attributes:
    background: of figure and panels.
    text: and axes.
    series: of lines, in order. Every two of them differ by 16 or more in CIE L*a*b*, also as seen
      in deuteranopia and protanopia (simulated as by Machado et al. 2009).
  """

  background: str
  text: str
  series: tuple[str, ...]


_BOTH = (BLUE, ORANGE, GREEN, PURPLE)
THEMES: dict[Style, Theme] = {
  "light": Theme("#FFFFFF", "#1A1A1A", (*_BOTH, "#000000", "#4010E0", "#5C4300", "#8A0030")),
  "dark": Theme("#15191D", "#E8E8E8", (*_BOTH, "#F0E442", "#56B4E9", "#E69F00", "#FFFFFF")),
}


@contextlib.contextmanager
def style(name: Style = "light") -> Iterator[Theme]:
  """Sets the style of all figures drawn within the context.

    with plots.style("dark") as theme:
      figure, panels = plots.panels(["left", "right"])

  Args:
    name: "light" or "dark".

  Yields:
    Its colours.

  Raises:
    ValueError: for another name.
  """
  if name not in THEMES:
    raise ValueError(f"unknown style {name!r}: expected one of {', '.join(THEMES)}")
  import matplotlib

  with matplotlib.rc_context(_settings(THEMES[name])):
    yield THEMES[name]


def _settings(theme: Theme) -> Any:
  from cycler import cycler

  again = len(DASHES)  # the colours come round once for each kind of dash
  dashes = [dash for dash in DASHES for _ in theme.series]
  drawn_in_text = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
  return {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), theme.background),
    **dict.fromkeys(drawn_in_text, theme.text),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "axes.labelsize"), 8),
    "axes.prop_cycle": cycler(color=theme.series * again) + cycler(linestyle=dashes),
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "image.cmap": "cividis",
    "image.interpolation": "nearest",
    "legend.fontsize": 8,
    "legend.framealpha": 0.7,
    "legend.edgecolor": "none",
    "lines.linewidth": 1.4,
  }


def panels(
  titles: Sequence[str],
  columns: int | None = None,
  size: tuple[float, float] = (3.6, 2.8),
  **shared: Any,
) -> tuple["Figure", dict[str, "Axes"]]:
  """Builds a figure of panels, row by row.

  Args:
    titles: titles of the panels.
    columns: number of panels in a row; by default all, up to four.
    size: width and height of one panel, in inches.
    shared: options of `Figure.subplots`, such as `sharex` and `sharey`.

  Returns:
    (the figure, {title: panel}).

  Raises:
    ValueError: if there are no panels, or two of one title.
  """
  if not titles or len(set(titles)) < len(titles):
    raise ValueError(f"panels need titles, each of them once; got {list(titles)}")
  from gan_jax.plots.figure import Shown

  columns = min(columns or 4, len(titles))
  rows = math.ceil(len(titles) / columns)
  figure = Shown(figsize=(size[0] * columns, size[1] * rows), dpi=100, layout="constrained")
  every = list(figure.subplots(rows, columns, squeeze=False, **shared).flat)
  panels = dict(zip(titles, every, strict=False))
  for title, axes in panels.items():
    axes.set_title(title)
  for axes in every[len(titles) :]:
    axes.remove()
  return figure, panels


def legend(figure: "Figure", markerscale: float = 1.0) -> None:
  """Draws one legend for all panels if their labels are the same, else one in each of them."""
  entries = [(axes, *axes.get_legend_handles_labels()) for axes in figure.axes]
  named = [(axes, handles, labels) for axes, handles, labels in entries if labels]
  if named and all(labels == named[0][2] for _, _, labels in named):
    _, handles, labels = named[0]
    width = 0.6 + 0.08 * max(map(len, labels))  # inches of a column: a line, and its name
    columns = min(len(labels), max(1, int(figure.get_figwidth() / width)))
    below: dict[str, Any] = dict(loc="outside lower center", ncols=columns, frameon=False)
    figure.legend(handles, labels, markerscale=markerscale, **below)
    return
  for axes, *_ in named:
    axes.legend(markerscale=markerscale)


def pixels(figure: "Figure", dpi: float = 100) -> np.ndarray:
  """Renders a figure at so many pixels an inch: uint8 [H, W, 3]."""
  from matplotlib.backends.backend_agg import FigureCanvasAgg

  figure.set_dpi(dpi)
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(figure: "Figure", path: Path, dpi: float = 150) -> None:
  """Writes a figure as PNG or SVG, whole or not at all.

  Args:
    figure: figure to save.
    path: path of the file, with the suffix of its format.
    dpi: pixels an inch of a PNG, and of rasterized points and images within an SVG.

  Raises:
    ValueError: for another suffix.
  """
  kind = pathlib.Path(path).suffix.lower().removeprefix(".")
  if kind not in ("png", "svg"):
    raise ValueError(f"{path}: figures are written as .png or .svg")
  import matplotlib

  settings: Any = {
    "svg.hashsalt": "gan_jax",  # the same figure, the same file
    "svg.fonttype": "none",  # text stays text: it can be searched, edited and read out
  }
  with atomic_write(path) as temporary, matplotlib.rc_context(settings):
    figure.savefig(
      temporary, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else {}
    )
