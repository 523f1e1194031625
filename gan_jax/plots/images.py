"""Images in rows: as one array of pixels, as a figure, and as a picture that moves."""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.files import Path, atomic_write
from gan_jax.plots import theme
from gan_jax.plots.points import scatter
from gan_jax.plots.theme import Style

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
  """Tiles images row by row, with a pixel between them.

  Args:
    images: uint8 [n, H, W, C].
    columns: number of images in a row; by default about as many as rows.

  Returns:
    uint8 [rows (H + 1) - 1, columns (W + 1) - 1, C].
  """
  n, height, width, channels = images.shape
  columns = columns or math.ceil(math.sqrt(n))
  rows = math.ceil(n / columns)
  sheet = np.zeros((rows, columns, height + 1, width + 1, channels), np.uint8)
  sheet.reshape(rows * columns, height + 1, width + 1, channels)[:n, :-1, :-1] = images
  tiled = sheet.swapaxes(1, 2).reshape(rows * (height + 1), columns * (width + 1), channels)
  return tiled[:-1, :-1]


def picture(x: np.ndarray, *, columns: int | None = None, real: np.ndarray | None = None) -> Any:
  """Draws examples: images as a grid, points as a scatter plot.

  Args:
    x: uint8 [n, H, W, C] or float [n, d].
    columns: number of images in a row of a grid.
    real: points to draw behind the others.

  Returns:
    uint8 [height, width, channels].
  """
  return grid(x, columns) if x.ndim == 4 else scatter(x, real)


def sequences(steps: Sequence[np.ndarray]) -> np.ndarray:
  """Draws sequences of images, several beside each other, each from left to right.

  Args:
    steps: k arrays uint8 [n, H, W, C], such as images, their translations, and what is translated
      back; C is 1 or 3, not always the same.

  Returns:
    uint8 [height, width, channels].
  """
  x = np.stack(np.broadcast_arrays(*steps), axis=1)
  n, k = x.shape[:2]
  beside = max(1, round((n * x.shape[2] / (k * x.shape[3])) ** 0.5))
  return grid(x.reshape(n * k, *x.shape[2:]), beside * k)


def image_grids(
  images: Mapping[str, np.ndarray],
  *,
  in_row: int | None = None,
  columns: int | None = None,
  size: float = 2.2,
  style: Style = "light",
) -> "Figure":
  """Draws grids of images side by side.

  Args:
    images: {title: uint8 [n, H, W, C]}, with 1 or 3 channels.
    in_row: images in a row of a grid; by default about as many as rows.
    columns: grids in a row.
    size: width of a grid, in inches.
    style: "light" or "dark".

  Returns:
    The figure.

  Raises:
    ValueError: for arrays that are no images.
  """
  tiled = {title: grid(_images(title, x), in_row) for title, x in images.items()}
  with theme.style(style):
    height = max((x.shape[0] / x.shape[1] for x in tiled.values()), default=1.0)
    figure, panels = theme.panels(list(tiled), columns, (size, size * height + 0.25))
    for title, axes in panels.items():
      gray = tiled[title].shape[-1] == 1
      axes.imshow(tiled[title][..., 0] if gray else tiled[title], cmap="gray", vmin=0, vmax=255)
      axes.set_axis_off()
  return figure


def _images(title: str, x: np.ndarray) -> np.ndarray:
  if x.ndim != 4 or x.shape[-1] not in (1, 3) or x.dtype != np.uint8 or not x.size:
    raise ValueError(
      f"{title!r}: expected images uint8 [n, H, W, C] with C = 1 or 3, got {x.dtype} "
      f"{list(x.shape)}; gan_jax.data.to_uint8 makes them of floats"
    )
  return x


class Animation(NamedTuple):
  """A picture that moves, and that notebooks show.

  Attributes:
    gif: the bytes of the file.
  """

  gif: bytes

  def save(self, path: Path) -> None:
    """Writes the file."""
    with atomic_write(path) as temporary:
      temporary.write_bytes(self.gif)

  def __repr__(self) -> str:
    return f"Animation({len(self.gif)} bytes)"

  def _repr_html_(self) -> str:
    return f'<img src="data:image/gif;base64,{base64.b64encode(self.gif).decode()}">'


def animation(figures: Iterable["Figure"], seconds: float = 0.3) -> Animation:
  """Builds an animation of figures of one size, each shown for `seconds`, the last for 2 s more."""
  from PIL import Image

  frames = [Image.fromarray(theme.pixels(figure, 72)).quantize(64) for figure in figures]
  if not frames or len({frame.size for frame in frames}) > 1:
    raise ValueError(f"an animation is of figures of one size; got {[f.size for f in frames]}")
  times = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * seconds) + 2000]
  file = io.BytesIO()
  frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
  return Animation(file.getvalue())
