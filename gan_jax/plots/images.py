"""Images in rows: as one array of pixels, as a figure, and as a picture that moves."""

import base64
import io
import math
import pathlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.files import Path, atomic_write
from gan_jax.plots import theme
from gan_jax.plots.points import scatter
from gan_jax.plots.theme import Style

if TYPE_CHECKING:
  from matplotlib.figure import Figure

TILE, GAP, LINE = 48, 3, 14  # pixels of a sheet: least side of an image, between them, of a name


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


def enlarged(image: np.ndarray, least: int) -> np.ndarray:
  """Repeats the pixels of an image [H, W, C] until its shorter side has at least so many."""
  times = -(-least // min(image.shape[:2]))
  return image.repeat(times, axis=0).repeat(times, axis=1)


def sheet(images: np.ndarray, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> np.ndarray:
  """Tiles images under names of columns and beside names of rows, enlarged if they are small.

  Args:
    images: uint8 [m, n, H, W, 1 or 3].
    rows: name of each row, [m]; () for none.
    columns: name of each column, at most n; () for none.

  Returns:
    uint8 [height, width, 1 or 3], of white paper.
  """
  from PIL import Image, ImageDraw, ImageFont

  m, n, *_, channels = images.shape
  times = -(-TILE // min(images.shape[2:4]))
  tiles = images.repeat(times, axis=2).repeat(times, axis=3)
  height, width = tiles.shape[2] + GAP, tiles.shape[3] + GAP
  font = ImageFont.load_default()
  left = GAP + round(max((font.getlength(name) for name in rows), default=0)) + GAP * bool(rows)
  top = LINE if columns else GAP
  paper = np.full((top + m * height, left + n * width, channels), 255, np.uint8)
  cells = paper[top:, left:].reshape(m, height, n, width, channels)
  cells[:, :-GAP, :, :-GAP] = tiles.swapaxes(1, 2)
  canvas = Image.fromarray(paper[..., 0] if channels == 1 else paper)
  draw = ImageDraw.Draw(canvas)
  ink: Any = 0 if channels == 1 else (0, 0, 0)
  for i, name in enumerate(rows):
    draw.text((GAP, top + i * height + height // 2), name, ink, font, anchor="lm")
  for i, name in enumerate(columns):
    draw.text((left + i * width + width // 2, LINE // 2), name, ink, font, anchor="mm")
  return np.asarray(canvas).reshape(paper.shape)


def strips(
  images: np.ndarray, rows: Sequence[str], columns: Sequence[str], length: int
) -> np.ndarray:
  """Draws sheets of at most `length` columns below each other; arguments as of `sheet`."""
  n = images.shape[1]
  length = min(length, n)
  blank = np.full((len(images), -n % length, *images.shape[2:]), 255, np.uint8)
  full = np.concatenate([images, blank], axis=1)
  starts = range(0, n, length)
  parts = [sheet(full[:, at : at + length], rows, columns[at : at + length]) for at in starts]
  return np.concatenate(parts)


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


def film(frames: Iterable[np.ndarray], fps: float = 20) -> Animation:
  """Builds an animation of images of one size that begins again when it has ended.

  Args:
    frames: uint8 [H, W, 1 or 3] each. Gray ones keep their levels, colours become 256 a frame.
    fps: frames a second; a GIF counts in hundredths of one.
  """
  from PIL import Image

  images = [
    Image.fromarray(frame[..., 0]) if frame.shape[-1] == 1 else Image.fromarray(frame).quantize(256)
    for frame in frames
  ]
  file = io.BytesIO()
  options: dict[str, Any] = {"save_all": True, "append_images": images[1:], "loop": 0}
  images[0].save(file, "GIF", duration=10 * max(1, round(100 / fps)), **options)
  return Animation(file.getvalue())


FFMPEG = (
  "an .mp4 is written by ffmpeg, which imageio-ffmpeg has, and that is not installed: pip install"
  " imageio-ffmpeg, or write a .gif"
)


def check_film(path: Path) -> None:
  """Checks that a film can be written, before there is one.

  Raises:
    ValueError: another ending than .gif and .mp4.
    ImportError: ffmpeg is not there.
  """
  kind = pathlib.Path(path).suffix.lower()
  if kind not in (".gif", ".mp4"):
    raise ValueError(f"expected a name in .gif or .mp4, got one in {kind!r}")
  if kind == ".gif":
    return
  try:
    import imageio_ffmpeg

    imageio_ffmpeg.get_ffmpeg_exe()
  except (ImportError, RuntimeError) as error:
    raise ImportError(FFMPEG) from error


def save_film(path: Path, frames: Iterable[np.ndarray], fps: float = 20) -> None:
  """Writes images as a film, GIF or MP4 (H.264) by its ending, whole or not at all.

  Args:
    path: file in .gif or .mp4.
    frames: uint8 [H, W, 1 or 3] each, of one size; an MP4 leaves out a last odd row or column.
    fps: frames a second.

  Raises:
    As `check_film`.
  """
  check_film(path)
  if pathlib.Path(path).suffix.lower() == ".gif":
    film(frames, fps).save(path)
    return
  import imageio_ffmpeg

  with atomic_write(path) as temporary:
    writer = None
    for frame in frames:
      height, width = (side // 2 * 2 for side in frame.shape[:2])  # as 4:2:0 has half the colours
      if writer is None:
        # The format by name: that of a temporary path does not show in its ending.
        options: dict[str, Any] = {"macro_block_size": 2, "output_params": ["-f", "mp4"]}
        writer = imageio_ffmpeg.write_frames(str(temporary), (width, height), fps=fps, **options)
        with warnings.catch_warnings():
          # JAX warns of every fork; this one becomes ffmpeg at once.
          warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
          writer.send(None)
      colour = np.broadcast_to(frame[:height, :width], (height, width, 3))
      writer.send(np.ascontiguousarray(colour))
    if writer is not None:
      writer.close()


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
