"""Figures: arrays in, a matplotlib `Figure` out; nothing is shown and nothing is kept.

    figure = curves({"modes": {"hinge": modes}}, x=rounds)     # [n, seeds]: a line within its band
    save(figure, "modes.svg")                                  # or .png
    clouds({"hinge": points}, real=data, style="dark")

A figure that is the value of a notebook's cell is shown. For panels of one's own there is
`with style("dark"): figure, panels = panels([...])`. Colours can be told apart by colour-blind
readers, and have a contrast of at least 3 to 1 with the background in both styles.
"""

from gan_jax.plots.judged import Judged, judged
from gan_jax.plots.lines import curves, history
from gan_jax.plots.look import (
  BLUE,
  GREEN,
  GREY,
  LOOKS,
  ORANGE,
  PURPLE,
  Style,
  legend,
  panels,
  pixels,
  save,
  style,
)
from gan_jax.plots.matrices import matrix
from gan_jax.plots.points import Field, Portrait, clouds, portraits, scatter
from gan_jax.plots.sheets import Animation, animation, grid, picture, sheets

__all__ = [
  "BLUE",
  "GREEN",
  "GREY",
  "LOOKS",
  "ORANGE",
  "PURPLE",
  "Animation",
  "Field",
  "Judged",
  "Portrait",
  "Style",
  "animation",
  "clouds",
  "curves",
  "grid",
  "history",
  "judged",
  "legend",
  "matrix",
  "panels",
  "picture",
  "pixels",
  "portraits",
  "save",
  "scatter",
  "sheets",
  "style",
]
