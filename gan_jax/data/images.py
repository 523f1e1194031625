"""One image file or array to uint8 [H, W, C] of the size that was asked for.

Pillow is imported inside the functions, so that experiments without images never load it.
"""

import math
import pathlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gan_jax.data.source import Options

if TYPE_CHECKING:
  from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_PIXELS = 64_000_000  # of one file, before resizing: a larger one is an accident or an attack
_CHANNELS = {"1": 1, "L": 1, "LA": 2, "P": 3, "RGB": 3, "CMYK": 3, "YCbCr": 3, "PA": 4, "RGBA": 4}


class Header(NamedTuple):
  """What the first bytes of an image file say: 2 and 4 channels mean gray and colour with alpha."""

  height: int
  width: int
  channels: int


def read_header(path: pathlib.Path) -> Header:
  """Reads size and channels of an image file without decoding it.

  Raises:
    ValueError: it is no image that can be used; says which file and what to do.
  """
  with _open(path) as image:
    if image.mode not in _CHANNELS:
      raise ValueError(
        f"{path} has pixels of type {image.mode!r}, not 8-bit gray or colour: convert it to 8 bits"
        " a channel, or remove it"
      )
    channels = 4 if "transparency" in image.info else _CHANNELS[image.mode]
    return Header(image.height, image.width, channels)


def read_image(path: pathlib.Path, size: int | None, channels: int) -> np.ndarray:
  """Decodes an image file, upright, as uint8 [H, W, channels] (see `fit`)."""
  from PIL import ImageOps

  with _open(path) as image:
    try:
      upright = ImageOps.exif_transpose(image)  # decodes all of it
    except Exception as error:  # a damaged file can fail in any way inside the decoder
      raise _unreadable(path, error) from error
    return _fit(upright, size, channels)


def fit(x: np.ndarray, size: int | None, channels: int) -> np.ndarray:
  """Brings one image to a size and a number of channels.

  The shorter side is resized to `size` by Pillow's Lanczos filter, which antialiases when it
  shrinks, and the longer one is cropped to its middle. Gray is the ITU-R 601 luma; what is
  transparent is laid over white.

  Args:
    x: uint8 [H, W, C] with C = 1, 3 or 4.
    size: height and width of the result; None keeps the image as it is.
    channels: 1 or 3.

  Returns:
    uint8 [size, size, channels].
  """
  from PIL import Image

  if x.shape[2] == channels and size in (None, x.shape[0]) and size in (None, x.shape[1]):
    return x
  return _fit(Image.fromarray(x[..., 0] if x.shape[2] == 1 else x), size, channels)


def fit_all(name: str, x: np.ndarray, options: Options) -> np.ndarray:
  """Applies `fit` to uint8 images [N, H, W, C]; returns x itself where there is nothing to do.

  Raises:
    ValueError: the result would be larger than the memory limit.
  """
  size, channels = options.image_size, options.channels or x.shape[3]
  shape = (size or x.shape[1], size or x.shape[2], channels)
  if shape == x.shape[1:]:
    return x
  if len(x) * math.prod(shape) > options.memory_limit:
    raise ValueError(
      f"{name} at image_size={size} would have more than memory_limit={options.memory_limit} bytes:"
      " lower image_size, or raise memory_limit in load(...)"
    )
  return np.stack([fit(image, size, channels) for image in x])


def _fit(image: "Image.Image", size: int | None, channels: int) -> np.ndarray:
  from PIL import Image

  if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
  image = image.convert("L" if channels == 1 else "RGB")
  if size is not None and image.size != (size, size):
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)  # never makes more pixels than are kept
    image = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
  x = np.asarray(image)
  return x[..., None] if channels == 1 else x


def _open(path: pathlib.Path) -> "Image.Image":
  from PIL import Image

  bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
  try:
    image = Image.open(path, formats=("PNG", "JPEG", "WEBP"))
  except bombs as error:
    raise ValueError(f"{path} is far too large ({error}): shrink it, or remove it") from error
  except Exception as error:  # a damaged file can fail in any way inside the decoder
    raise _unreadable(path, error) from error
  if image.width * image.height > MAX_PIXELS:  # asked each time: a file may have been replaced
    image.close()
    raise ValueError(
      f"{path} has {image.width} x {image.height} pixels, more than the {MAX_PIXELS} that are"
      " allowed: shrink it, or remove it"
    )
  return image


def _unreadable(path: pathlib.Path, error: Exception) -> ValueError:
  reason = str(error).replace(repr(str(path)), "").strip() or type(error).__name__
  return ValueError(
    f"{path} cannot be read as a PNG, JPEG or WebP image ({reason}): remove or replace it"
  )
