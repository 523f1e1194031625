"""TIFF files that Pillow does not read, or reads as less than they hold: by tifffile."""

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.data.sources.folders.trees import File
from gan_jax.files import MOST_DEFLATED

if TYPE_CHECKING:
  import tifffile

_SUFFIXES = (".tif", ".tiff")
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DESCRIPTION = 270  # the tag in which programs say what pages are
_DESCRIBED = ("<?xml", "<OME", "ImageJ", '{"shape"')
_EIGHT_BITS = ("1", "L", "LA", "P", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr")  # modes of Pillow
_CHANNELS = "SC"  # axes of tifffile


class Layout(NamedTuple):
  """Pixels of a TIFF file.

  Attributes:
    height, width, channels: of the image.
    dtype: "uint8", "uint16" or "float32".
    order: places of the axes Y and X, and of channels where there are several.
    several: whether there are other images, which are left out.
  """

  height: int
  width: int
  channels: int
  dtype: str
  order: tuple[int, ...]
  several: bool


def needs_tifffile(path: File) -> bool:
  """Checks for a TIFF file that is not one image of 8 bits a channel, as Pillow reads it."""
  if not str(path).lower().endswith(_SUFFIXES):
    return False
  from PIL import Image

  with path.open("rb") as file:
    if file.read(4) not in _MAGIC:
      return False
    file.seek(0)
    try:
      image: Any = Image.open(file, formats=("TIFF",))
      described = str(image.tag_v2.get(_DESCRIPTION, "")).lstrip().startswith(_DESCRIBED)
      bits = image.tag_v2.get(258, (1,))  # BitsPerSample, of which Pillow may keep 8
      deep = image.mode not in _EIGHT_BITS or max(bits if isinstance(bits, tuple) else (bits,)) > 8
      return deep or (described and image.n_frames > 1)
    except Exception:  # too many channels, or damaged
      return True


def tiff_layout(path: File, most: int) -> Layout:
  """Reads the layout of a TIFF file.

  Args:
    path: the file.
    most: largest number of pixels.

  Raises:
    ModuleNotFoundError: tifffile is not installed.
    ValueError: damaged, too large, or several images of which nobody knows what they are.
  """
  with _series(path) as (series, several, size):
    return _layout(path, series, several, size, most)


def read_tiff(path: File, most: int) -> np.ndarray:
  """Decodes a TIFF file, uint8, uint16 or float32 [H, W, C]; arguments as of `tiff_layout`."""
  with _series(path) as (series, several, size):
    layout = _layout(path, series, several, size, most)
    x = series.asarray(maxworkers=1).reshape([n for n in series.shape if n > 1])
  x = np.transpose(x, layout.order)
  shape = (layout.height, layout.width, layout.channels)
  return np.ascontiguousarray(x.reshape(shape), layout.dtype)


@contextlib.contextmanager
def _series(path: File) -> Iterator[tuple["tifffile.TiffPageSeries", bool, int]]:
  """Opens (the first image of a file, whether there are others, its size in bytes)."""
  try:
    import tifffile
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      f"{path} is a TIFF file of more than 8 bits, of many channels or pages, or damaged, and"
      " tifffile, which reads such files, is not installed: pip install 'gan_jax[files]', or"
      " tifffile"
    ) from error
  try:
    with path.open("rb") as file:
      size = file.seek(0, 2)
      file.seek(0)
      # One file alone: others that it may name are not opened.
      with tifffile.TiffFile(file, _multifile=False) as tiff:
        yield tiff.series[0], len(tiff.series) > 1, size
  except _RefusedError:
    raise
  except Exception as error:  # a damaged file can fail in any way inside the decoder
    raise ValueError(f"{path} cannot be read as TIFF ({error}): remove or replace it") from error


class _RefusedError(ValueError):
  """A sound file of something else."""


def _layout(
  path: File, series: "tifffile.TiffPageSeries", several: bool, size: int, most: int
) -> Layout:
  lengths = {axis: n for axis, n in zip(series.axes, series.shape, strict=True) if n > 1}
  channels = [axis for axis in lengths if axis in _CHANNELS]
  if len(channels) > 1 or not {*lengths} <= {*"YX", *_CHANNELS}:
    raise _RefusedError(
      f"{path} has the axes {series.axes} {list(series.shape)}: expected one image, Y and X and one"
      " of channels, C or S; save each page as a file of its own, or pages that are channels as CYX"
    )
  dtype = series.dtype.newbyteorder("=")
  name = "float32" if dtype.kind == "f" else str(dtype)
  if name not in ("uint8", "uint16", "float32"):
    raise _RefusedError(
      f"{path} has pixels of type {dtype}: expected uint8, uint16 or floats; convert or remove it"
    )
  pixels = math.prod(series.shape)
  if pixels > most or pixels * dtype.itemsize > size * MOST_DEFLATED:
    raise _RefusedError(
      f"{path} has {pixels} numbers, more than are allowed or fit into it: shrink it, or remove it"
    )
  order = tuple([*lengths].index(axis) for axis in ("Y", "X", *channels) if axis in lengths)
  height, width = lengths.get("Y", 1), lengths.get("X", 1)
  return Layout(height, width, lengths[channels[0]] if channels else 1, name, order, several)
