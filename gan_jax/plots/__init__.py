"""Figures: arrays in, a matplotlib `Figure` out; nothing is shown and nothing is kept.

    figure = curves({"modes": {"hinge": modes}}, x=rounds)     # [n, seeds]: a line within its band
    save(figure, "modes.svg")                                  # or .png
    scatter_density({"hinge": points}, real=data, style="dark")

A figure that is the value of a notebook's cell is shown. For panels of one's own there is
`with style("dark"): figure, panels = panels([...])`. Colours can be told apart by colour-blind
readers, and have a contrast of at least 3 to 1 with the background in both styles.
"""

from gan_jax.plots.discriminator import DiscriminatorPlot, discriminator_curves
from gan_jax.plots.images import Animation, animation, grid, image_grids, picture, sequences
from gan_jax.plots.lines import curves, history
from gan_jax.plots.matrices import matrix
from gan_jax.plots.points import Field, PhasePortrait, phase_portraits, scatter, scatter_density
from gan_jax.plots.theme import (
  BLUE,
  GREEN,
  GREY,
  ORANGE,
  PURPLE,
  THEMES,
  Style,
  legend,
  panels,
  pixels,
  save,
  style,
)
from gan_jax.plots.traces import traces

__all__ = [
  "BLUE",
  "GREEN",
  "GREY",
  "ORANGE",
  "PURPLE",
  "THEMES",
  "Animation",
  "DiscriminatorPlot",
  "Field",
  "PhasePortrait",
  "Style",
  "animation",
  "curves",
  "discriminator_curves",
  "grid",
  "history",
  "image_grids",
  "legend",
  "matrix",
  "panels",
  "phase_portraits",
  "picture",
  "pixels",
  "save",
  "scatter",
  "scatter_density",
  "style",
  "traces",
]
