"""One image file or array to [H, W, C] of the size that was asked for.

Pillow is imported inside the functions, so that experiments without images never load it.
"""

import contextlib
import math
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.data.source import Options
from gan_jax.data.sources.folders.tiff import needs_tifffile, read_tiff, tiff_layout
from gan_jax.data.sources.folders.trees import File

if TYPE_CHECKING:
  from PIL import Image

# What Pillow decodes by itself. It hands PostScript to an interpreter, and would take a damaged
# file for one of the formats that have no mark of their own.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF")
SUFFIXES = (
  *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib"),
  *(".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif"),
)
MAX_PIXELS = 64_000_000  # of one file, before resizing: a larger one is an accident or an attack
_CHANNELS = dict.fromkeys(("1", "L"), 1) | {"LA": 2}
_CHANNELS |= dict.fromkeys(("P", "RGB", "RGBX", "CMYK", "YCbCr"), 3) | {"PA": 4, "RGBA": 4}
RESIZE = "--config.data_options.image_size=64 (score: --image_size=64) crops and resizes them all"
RECOLOUR = (
  "--config.data_options.channels=3 (score: --channels=3) turns all into colour, 1 into gray"
)
_ORIENTATION = 0x0112  # of EXIF; from 5 on width and height change places


class Header(NamedTuple):
  """What the first bytes of an image file say.

  Attributes:
    height, width: in pixels, when upright.
    channels: of uint8 images 2 and 4 mean gray and colour with alpha.
    frames: whether there are several, or pages; the first is read.
    dtype: "uint8", "uint16" or "float32".
  """

  height: int
  width: int
  channels: int
  frames: bool = False
  dtype: str = "uint8"


def read_header(path: File) -> Header:
  """Reads size and channels of an image file without decoding it.

  Raises:
    ValueError: it is no image that can be used; says which file and what to do.
  """
  if needs_tifffile(path):
    layout = tiff_layout(path, MAX_PIXELS)
    return Header(*layout[:3], layout.several, layout.dtype)
  with _open(path) as image:
    deep = _raw_mode(image).endswith((";16B", ";16L", ";16N"))
    if image.mode not in _CHANNELS or deep:
      mode = f"{image.mode};16" if deep and image.mode in _CHANNELS else image.mode
      raise ValueError(
        f"{path} has pixels of type {mode!r}, not 8-bit gray or colour: convert it to 8 bits a"
        " channel, or remove it"
      )
    channels = 4 if "transparency" in image.info else _CHANNELS[image.mode]
    try:
      turned = _orientation(image) >= 5
      # Cameras put previews and depth behind a JPEG: such a file is one photograph.
      frames = image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except Exception as error:  # a damaged file can fail in any way inside the decoder
      raise _unreadable(path, error) from error
    height, width = (image.width, image.height) if turned else (image.height, image.width)
    return Header(height, width, channels, frames)


def _raw_mode(image: "Image.Image") -> str:
  """Returns how pixels lie in the file, which Pillow may turn into fewer bits without a word."""
  tiles: Any = getattr(image, "tile", None)
  args = tiles[0].args if tiles else ""
  if not isinstance(args, tuple) or not args:
    return str(args)
  # A colour PPM has the mode of 8 bits, and the greatest value beside it.
  return f"{args[0]};16B" if image.format == "PPM" and args[1] > 255 else str(args[0])


def _orientation(image: "Image.Image") -> int:
  """Reads how a photograph is turned, without decoding it."""
  if image.format == "TIFF" or image.width == image.height:
    return 1  # Pillow has turned it; its shape is the same either way
  if image.format == "PNG" and "exif" not in image.info:
    exif: Any = _late_exif(image)
  else:
    exif = image.getexif()
  return int(exif.get(_ORIENTATION, 1))


def _late_exif(image: "Image.Image") -> "Image.Exif":
  """Reads the EXIF data of a PNG behind its pixels, where some programs write them."""
  from PIL import Image

  exif, file = Image.Exif(), image.fp  # type: ignore[attr-defined]
  place = file.tell()
  file.seek(8)
  while len(head := file.read(8)) == 8:
    length, kind = struct.unpack(">I4s", head)
    if kind == b"eXIf" and length < 1 << 16:
      exif.load(file.read(length))
      break
    file.seek(length + 4, 1)
  file.seek(place)
  return exif


def read_image(path: File, size: int | None, channels: int) -> np.ndarray:
  """Decodes an image file, upright, as [H, W, channels] of its type (see `fit`)."""
  from PIL import ImageOps

  if needs_tifffile(path):
    return fit(read_tiff(path, MAX_PIXELS), size, channels)

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
    x: uint8, uint16 or float32 [H, W, C]. Channels other than 1, 3 or 4 of uint8 are resized one by
      one.
    size: height and width of the result; None keeps the image as it is.
    channels: 1 or 3; of other images their own number.

  Returns:
    [size, size, channels] of the same type.

  Raises:
    ValueError: images other than uint8 cannot have other channels.
  """
  from PIL import Image

  if x.shape[2] == channels and size in (None, x.shape[0]) and size in (None, x.shape[1]):
    return x
  if x.dtype == np.uint8 and x.shape[2] in (1, 3, 4) and channels in (1, 3):
    return _fit(Image.fromarray(x[..., 0] if x.shape[2] == 1 else x), size, channels)
  if channels != x.shape[2]:
    raise ValueError(
      f"images of {x.dtype} with {x.shape[2]} channels have no colour that --config.data_options."
      f"channels={channels} could be of: leave it out"
    )
  planes = [
    np.asarray(_resized(Image.fromarray(np.ascontiguousarray(plane, np.float32)), size))
    for plane in np.moveaxis(x, 2, 0)
  ]
  resized = np.stack(planes, axis=2)
  if x.dtype.kind == "f":
    return resized
  top = np.iinfo(x.dtype).max
  return np.clip(np.rint(resized), 0, top).astype(x.dtype)


def fit_all(name: str, x: np.ndarray, options: Options) -> np.ndarray:
  """Applies `fit` to images [N, H, W, C]; returns x itself where there is nothing to do.

  Raises:
    ValueError: the result would be larger than the memory limit.
  """
  size, channels = options.image_size, options.channels or x.shape[3]
  shape = (size or x.shape[1], size or x.shape[2], channels)
  if shape == x.shape[1:]:
    return x
  if len(x) * math.prod(shape) * x.itemsize > options.memory_limit:
    raise ValueError(
      f"{name} at image_size={size} would have more than memory_limit={options.memory_limit} bytes:"
      " lower --config.data_options.image_size, or raise memory_limit in load(...)"
    )
  return fit_each(x, size, channels)


def fit_each(x: np.ndarray, size: int | None, channels: int) -> np.ndarray:
  """Applies `fit` to each of some images [N, H, W, C]."""
  return np.stack([fit(image, size, channels) for image in x])


def _fit(image: "Image.Image", size: int | None, channels: int) -> np.ndarray:
  from PIL import Image

  if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
  x = np.asarray(_resized(image.convert("L" if channels == 1 else "RGB"), size))
  return x[..., None] if channels == 1 else x


def _resized(image: "Image.Image", size: int | None) -> "Image.Image":
  """Resizes the middle of an image to a square."""
  from PIL import Image

  if size is None or image.size == (size, size):
    return image
  side = min(image.size)
  left, top = (image.width - side) // 2, (image.height - side) // 2
  box = (left, top, left + side, top + side)  # never makes more pixels than are kept
  return image.resize((size, size), Image.Resampling.LANCZOS, box=box)


@contextlib.contextmanager
def _open(path: File) -> Iterator["Image.Image"]:
  from PIL import Image

  bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
  with contextlib.ExitStack() as stack:
    try:
      image = Image.open(stack.enter_context(path.open("rb")), formats=_FORMATS)
    except bombs as error:
      raise ValueError(f"{path} is far too large ({error}): shrink it, or remove it") from error
    except Exception as error:  # a damaged file can fail in any way inside the decoder
      raise _unreadable(path, error) from error
    if image.width * image.height > MAX_PIXELS:  # asked each time: a file may have been replaced
      raise ValueError(
        f"{path} has {image.width} x {image.height} pixels, more than the {MAX_PIXELS} that are"
        " allowed: shrink it, or remove it"
      )
    yield image


def _unreadable(path: File, error: Exception) -> ValueError:
  reason = str(error).replace(repr(str(path)), "").strip() or type(error).__name__
  reason = "its bytes are of no such format" if "cannot identify" in reason else reason
  return ValueError(
    f"{path} cannot be read as an image of the formats {', '.join(_FORMATS)} ({reason}): remove or"
    " replace it"
  )
