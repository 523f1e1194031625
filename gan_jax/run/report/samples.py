"""Pictures of samples, made small enough that a page of them stays one."""

import base64
import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from gan_jax.data.sources.images import read_header, read_image
from gan_jax.run.report.gather import Run

FRAMES = 12  # of a run at most: first, last, and evenly between
SIDE = 480  # pixels of the longer side at most
QUALITY = 82  # of WebP

T = TypeVar("T")


class Frame(NamedTuple):
  """A picture.

  Attributes:
    round: when its samples were drawn.
    width, height: in pixels.
    source: a data URI.
  """

  round: int
  width: int
  height: int
  source: str


class Strip(NamedTuple):
  """The pictures of a run.

  Attributes:
    frames: those that are shown, by round.
    there: how many the run has.
    notes: what could not be read, and what was left out.
  """

  frames: Sequence[Frame]
  there: int
  notes: Sequence[str]


def strips(found: Sequence[Run], budget: int) -> list[Strip]:
  """Takes as many pictures of each run as a page has room for.

  Args:
    found: the runs.
    budget: characters that all data URIs may take together; each run has the same share.

  Returns:
    The pictures of each run.
  """
  share = budget // max(1, sum(1 for run in found if run.pictures))
  return [_strip(list(run.pictures.items()), share) for run in found]


def _strip(pictures: Sequence[tuple[int, pathlib.Path]], budget: int) -> Strip:
  """Takes pictures {round: file} of a run, evenly over time, the last one above all."""
  if not pictures:
    return Strip([], 0, [])
  last = _frame(*pictures[-1])
  room = FRAMES if isinstance(last, str) else min(FRAMES, budget // len(last.source))
  frames = [_frame(*picture) for picture in evenly(pictures[:-1], room - 1)] + [last]
  notes = [frame for frame in frames if isinstance(frame, str)]
  good = [frame for frame in frames if isinstance(frame, Frame)]
  while good and sum(len(frame.source) for frame in good) > budget:  # earlier ones may be larger
    good = evenly(good, len(good) - 1)
  if not good and not notes:
    notes = ["its pictures are left out: the page has no room for them"]
  return Strip(good, len(pictures), notes)


def _frame(round: int, path: pathlib.Path) -> Frame | str:
  """Reads a picture and makes it small; says what is wrong with one that cannot be read."""
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
  return Frame(round, image.width, image.height, source)


def evenly(items: Sequence[T], most: int) -> list[T]:
  """Picks at most so many, evenly, the first and the last among them; of one the last."""
  if len(items) <= most:
    return list(items)
  at = np.linspace(len(items) - 1, 0, max(0, most)).round().astype(int)[::-1]
  return [items[i] for i in at]
