"""Arrays in an .npz file."""

from typing import IO

import numpy as np

from gan_jax import files
from gan_jax.data.images import fit_all
from gan_jax.data.source import NoSplitError, Options, Raw, Source, table

_X = {"train": ("x_train", "x", "images"), "test": ("x_test",)}
_Y = {"train": ("y_train", "y", "labels"), "test": ("y_test",)}


def open_npz(argument: str, split: str, options: Options) -> Source:
  """Opens `npz:<file>`.

  Its arrays are `x` (or `images`, `x_train`), and if there are labels `y` (or `labels`, `y_train`);
  a test split is `x_test`, `y_test`. Images are uint8 [N, H, W, C] or [N, H, W], points are floats
  [N, d].

  Raises:
    FileNotFoundError: no such file.
    NoSplitError: no such split.
    ValueError: damaged, too large, or arrays of another kind.
  """
  name, path = f"npz:{argument}", options.path(argument)
  if not path.is_file():
    raise FileNotFoundError(f"{name}: there is no file {path.absolute()}")
  with path.open("rb") as file:
    arrays = read_npz(name, file, options.memory_limit)
  x = _first(arrays, _X[split])
  if x is None:
    raise NoSplitError(
      f"{name} has the arrays {sorted(arrays)}: the {split} split must be called"
      f" {' or '.join(_X[split])}"
    )
  return table(name, _examples(name, x, options), _first(arrays, _Y[split]))


def read_npz(name: str, file: IO[bytes], memory_limit: int) -> Raw:
  """Reads all arrays of an .npz file.

  Raises:
    ValueError: damaged, pickled objects, or more than `memory_limit` bytes.
  """
  try:
    return files.read_npz(name, file, memory_limit)
  except files.TooLargeError as error:
    raise ValueError(
      f"{error} memory_limit={memory_limit}: raise memory_limit in load(...), or make it a folder"
      " of images, which can be streamed"
    ) from error


def _first(arrays: Raw, names: tuple[str, ...]) -> np.ndarray | None:
  return next((arrays[name] for name in names if name in arrays), None)


def _examples(name: str, x: np.ndarray, options: Options) -> np.ndarray:
  """Checks examples and brings them to uint8 [N, H, W, C] or float32 [N, d]."""
  if x.dtype == np.uint8 and x.ndim in (3, 4) and x.size:
    x = x[..., None] if x.ndim == 3 else x
    if x.shape[3] in (1, 3) or (x.shape[3] == 4 and options.channels):
      return fit_all(name, x, options)
  if np.issubdtype(x.dtype, np.floating) and x.ndim == 2 and x.size:
    if options.image_size or options.channels:
      raise ValueError(f"{name} has points: image_size and channels are for images")
    if not np.isfinite(x).all():
      raise ValueError(f"{name} has points that are not finite (NaN or infinity)")
    return x.astype(np.float32)
  raise ValueError(
    f"{name} has examples of type {x.dtype} and shape {list(x.shape)}: expected images, uint8"
    " [N, H, W, C] with C = 1 or 3 (scale floats to 0..255 and round), or points, float [N, d]"
  )
