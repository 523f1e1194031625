"""Images as PNG files."""

import io
import pathlib
from collections.abc import Sequence

import numpy as np

from gan_jax.files import Path, atomic_write


def save_png(path: Path, image: np.ndarray, about: str = "") -> None:
  """Writes an image.

  Args:
    path: the file.
    image: uint8 [H, W, C] with 1 or 3 channels.
    about: description in the file, if any.
  """
  content = png(image, about)
  with atomic_write(path) as temporary:
    temporary.write_bytes(content)


def png(image: np.ndarray, about: str = "") -> bytes:
  """Encodes an image as the content of a PNG file; arguments as of `save_png`."""
  from PIL import Image
  from PIL.PngImagePlugin import PngInfo

  info, file = PngInfo(), io.BytesIO()
  if about:
    info.add_itxt("Description", about)
  picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
  picture.save(file, "PNG", pnginfo=info)
  return file.getvalue()


def save_images(folder: Path, images: np.ndarray, classes: Sequence[str] | None = None) -> None:
  """Writes each image as a PNG of its own; `folder:` reads them back, with their classes.

  Args:
    folder: the folder; with classes there is a folder of each in it.
    images: uint8 [n, H, W, C] with 1 or 3 channels.
    classes: [n] name of the class of each.

  Raises:
    ValueError: no folder can have the name of a class.
  """
  folder, width = pathlib.Path(folder), len(str(max(len(images) - 1, 1)))
  for name in sorted(set(classes or ())):
    if not name or name.startswith(".") or pathlib.PurePath(name).name != name or "\\" in name:
      raise ValueError(
        f"no folder can be called as the class {name!r} is: write arrays, --npz=FILE"
      )
  for i, image in enumerate(images):
    save_png((folder / classes[i] if classes else folder) / f"{i:0{width}}.png", image)
