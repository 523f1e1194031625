"""A page of sliders, one for each direction: one HTML file that needs nothing else."""

import base64
from collections.abc import Sequence

import numpy as np

from gan_jax.plots.images import grid
from gan_jax.plots.png import png
from gan_jax.run.report.markup import Markup, document, tag

STEPS = 25  # pictures of a slider: an odd number, so that the middle one is unmoved
LIMIT = 1 << 28  # bytes of all pictures before they are compressed


def check(directions: int, examples: int, shape: tuple[int, ...]) -> None:
  """Refuses more pictures than a page has room for.

  Args:
    directions: number of directions.
    examples: number of examples side by side.
    shape: shape of an example.

  Raises:
    ValueError: the page would be too large.
  """
  size = directions * examples * STEPS * int(np.prod(shape))
  if size > LIMIT:
    raise ValueError(
      f"a page of {directions} directions with {STEPS} pictures of {examples} examples each has"
      f" {size:,} bytes before compression: expected at most {LIMIT:,}; give fewer by --num or"
      " --seeds, or rows, --out=rows.png"
    )


def page(images: np.ndarray, reach: float, notes: Sequence[str], title: str, about: str) -> str:
  """Builds a page whose pictures have been drawn: what a slider moves is which one is seen.

  Args:
    images: uint8 [k, n, steps, H, W, 1 or 3], n examples moved along each of k directions.
    reach: how far to both sides, in standard deviations.
    notes: a line on each direction.
    title: title of the page.
    about: a line on what is shown.

  Returns:
    The page; see `markup.document`.
  """
  steps = np.linspace(-reach, reach, images.shape[2])
  places = [f"{step:+.3g}" if step else "0" for step in steps]
  figures = [
    _figure(i, [grid(x) for x in np.moveaxis(moved, 1, 0)], places, note)
    for i, (moved, note) in enumerate(zip(images, notes, strict=True))
  ]
  body = [
    tag("header", tag("h1", title), tag("p", about, class_="lead")),
    tag("main", _controls(), tag("div", figures, class_="samples")),
  ]
  page = tag("div", body, class_="page")
  return document(title, page, {}, styles=["page.css"], scripts=["sliders.js"])


def _controls() -> Markup:
  keys = "Sliders move by mouse, by touch, and by the arrow keys."
  button = tag("button", "Back to the middle", type="button", id="middle")
  return tag("div", button, tag("small", keys), class_="controls")


def _figure(i: int, pictures: Sequence[np.ndarray], places: Sequence[str], note: str) -> Markup:
  """Builds the pictures of a direction, of which one is seen, and their slider."""
  last, middle = len(pictures) - 1, len(pictures) // 2
  unit = "standard deviations"
  frames = [
    tag(
      "div",
      tag("img", src=_source(x), alt=f"Direction {i}, {place} {unit}", width=x.shape[1]),
      tag("span", f"{place} {unit}"),
      class_="frame",
      data_off=j != middle,
    )
    for j, (x, place) in enumerate(zip(pictures, places, strict=True))
  ]
  slider = tag(
    "input",
    type="range",
    min=0,
    max=last,
    value=middle,
    aria_label=f"Direction {i}",
    aria_valuetext=f"{places[middle]} {unit}",
  )
  caption = tag("figcaption", f"Direction {i}", tag("small", note))
  return tag("figure", caption, frames, tag("div", slider, class_="controls"), class_="frames")


def _source(image: np.ndarray) -> str:
  return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"
