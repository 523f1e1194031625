"""Pictures of samples over time, made small enough for one page."""

import base64
import io
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gan_jax.data.labels import listed
from gan_jax.data.sources.images import read_header, read_image
from gan_jax.run.report.markup import Markup, tag
from gan_jax.run.report.records import RunRecord
from gan_jax.run.report.tables import swatch

PICTURES = 12  # most of a run: first, last, and evenly between
SIDE = 480  # most pixels of the longer side
QUALITY = 82  # of WebP

T = TypeVar("T")


class Thumbnail(NamedTuple):
  """A small picture.

  Attributes:
    round: round of its samples.
    width, height: size in pixels.
    source: a data URI.
  """

  round: int
  width: int
  height: int
  source: str


class Thumbnails(NamedTuple):
  """The pictures of a run.

  Attributes:
    shown: thumbnails on the page, by round.
    total: number of pictures of the run.
    notes: lines on what could not be read, or was left out.
  """

  shown: Sequence[Thumbnail]
  total: int
  notes: Sequence[str]


def thumbnails(records: Sequence[RunRecord], budget: int) -> list[Thumbnails]:
  """Loads as many pictures of each run as a page has room for.

  Args:
    records: the runs.
    budget: characters of all data URIs together; each run has the same share.
  """
  share = budget // max(1, sum(1 for run in records if run.pictures))
  return [_thumbnails(list(run.pictures.items()), share) for run in records]


def _thumbnails(pictures: Sequence[tuple[int, pathlib.Path]], budget: int) -> Thumbnails:
  """Loads pictures (round, file) of a run, evenly over time, the last one above all."""
  if not pictures:
    return Thumbnails([], 0, [])
  last = _thumbnail(*pictures[-1])
  room = PICTURES if isinstance(last, str) else min(PICTURES, budget // len(last.source))
  loaded = [_thumbnail(*picture) for picture in evenly(pictures[:-1], room - 1)] + [last]
  notes = [one for one in loaded if isinstance(one, str)]
  shown = [one for one in loaded if isinstance(one, Thumbnail)]
  while shown and sum(len(one.source) for one in shown) > budget:  # earlier ones may be larger
    shown = evenly(shown, len(shown) - 1)
  if not shown and not notes:
    notes = ["its pictures are left out: the page has no room for them"]
  return Thumbnails(shown, len(pictures), notes)


def _thumbnail(round: int, path: pathlib.Path) -> Thumbnail | str:
  """Loads a picture and makes it small; returns the error of one that cannot be read."""
  from PIL import Image

  try:
    channels = 1 if read_header(path).channels < 3 else 3
    x = read_image(path, None, channels)
  except (ValueError, OSError) as error:
    return str(error).splitlines()[0]
  image = Image.fromarray(np.repeat(x, 3, axis=-1) if channels == 1 else x)
  image.thumbnail((SIDE, SIDE))
  file = io.BytesIO()
  image.save(file, "WEBP", quality=QUALITY, method=4)
  source = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
  return Thumbnail(round, image.width, image.height, source)


def evenly(items: Sequence[T], most: int) -> list[T]:
  """Returns at most so many items, evenly, the first and the last among them; of one the last."""
  if len(items) <= most:
    return list(items)
  at = np.linspace(len(items) - 1, 0, max(0, most)).round().astype(int)[::-1]
  return [items[i] for i in at]


def samples(records: Sequence[RunRecord], pictures: Sequence[Thumbnails]) -> Any:
  """Builds the samples of all runs at one round, which a slider moves; in print, at all of them."""
  rounds = sorted({one.round for of_run in pictures for one in of_run.shown})
  if not rounds:
    return tag("p", "No run has pictures of samples.")
  pairs = zip(records, pictures, strict=True)
  figures = [_figure(i, run, of_run) for i, (run, of_run) in enumerate(pairs)]
  shown, total = sum(len(of_run.shown) for of_run in pictures), sum(p.total for p in pictures)
  note = f"{shown} of {total} pictures are on this page; the others are in samples/ of each run."
  return [
    _slider(rounds) if len(rounds) > 1 else None,
    tag("div", figures, class_="samples"),
    tag("p", note, class_="note") if shown < total else None,
  ]


def _slider(rounds: Sequence[int]) -> Markup:
  last, value = len(rounds) - 1, f"{rounds[-1]:,}"
  label = ["Round ", tag("output", value, id="round", for_="slider")]
  steps = {"min": 0, "max": last, "value": last, "data_rounds": " ".join(map(str, rounds))}
  return tag(
    "div",
    tag("button", "Play", type="button", id="play", aria_pressed="false"),
    tag("label", label, for_="slider"),
    tag("input", type="range", id="slider", aria_valuetext=f"round {value}", **steps),
    class_="controls sticky",
  )


def _figure(i: int, run: RunRecord, pictures: Thumbnails) -> Markup | None:
  if not pictures.shown:
    return None
  classes = run.summary.classes
  shown = tag("small", f" {run.summary.not_shown}") if run.summary.not_shown else None
  order = tag("small", f" class by class: {listed(classes)[:200]}") if classes else None
  return tag(
    "figure",
    tag("figcaption", swatch(run.color), run.name, order, shown),
    [_frame(run, one, last=one is pictures.shown[-1]) for one in pictures.shown],
    data_run=i,
    class_="frames",
  )


def _frame(run: RunRecord, picture: Thumbnail, last: bool) -> Markup:
  alt = f"Samples of {run.name} at round {picture.round:,}"
  size = {"width": picture.width, "height": picture.height}
  image = tag("img", src=picture.source, alt=alt, decoding="async", **size)
  caption = tag("span", f"round {picture.round:,}")
  return tag("div", image, caption, class_="frame", data_round=picture.round, data_off=not last)
