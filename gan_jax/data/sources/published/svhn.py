"""Street View House Numbers (Netzer et al. 2011), cropped digits in MATLAB's files."""

import math
import pathlib

import numpy as np

from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Source
from gan_jax.data.sources.arrays import array_source


def open_svhn(argument: str, split: str, options: Options) -> Source:
  """Opens `svhn:<dir>`, or `svhn:<dir>/extra`, the additional training images.

  Raises:
    FileNotFoundError: no such files.
    NoSplitError: no such split.
    ValueError: a file is damaged, too large, or has something else.
  """
  name, folder, part = f"svhn:{argument}", options.path(argument), split
  if folder.name == "extra" and not folder.is_dir():
    folder, part = folder.parent, "extra" if split == "train" else "test"
  path = folder / f"{part}_32x32.mat"
  if not path.is_file():
    missing = f"{name}: there is no {path.absolute()}"
    if part == "test" and folder.is_dir():
      raise NoSplitError(f"{missing}; {HOLD_OUT}")
    raise FileNotFoundError(missing)
  x, y = _read(path, options.memory_limit)
  return array_source(name, np.moveaxis(x, 3, 0), y.astype(np.int64) % 10, options, range(10))


def _read(path: pathlib.Path, limit: int) -> tuple[np.ndarray, np.ndarray]:
  """Reads (X uint8 [32, 32, 3, N], y [N] from 1 to 10, where 10 is the digit 0)."""
  from scipy.io import loadmat, whosmat

  try:
    shapes = {name: shape for name, shape, _ in whosmat(path, appendmat=False)}
    if {"X", "y"} <= shapes.keys() and math.prod(shapes["X"]) <= limit:
      values = loadmat(path, appendmat=False, variable_names=["X", "y"])
  except Exception as error:  # a damaged file can fail in any way
    raise ValueError(f"{path} cannot be read as a file of MATLAB ({error}): replace it") from error
  if not {"X", "y"} <= shapes.keys():
    raise ValueError(f"{path} has {', '.join(shapes) or 'nothing'}: expected X and y; replace it")
  if math.prod(shapes["X"]) > limit:
    raise ValueError(
      f"{path} has X of {list(shapes['X'])}, more than memory_limit={limit} bytes: raise"
      " memory_limit in load(...)"
    )
  x, y = values["X"], values["y"]
  fits = x.ndim == 4 and x.shape[2] == 3 and x.shape[3] and y.size == x.shape[3]
  if not fits or x.dtype != np.uint8 or y.dtype.kind not in "iu":
    raise ValueError(
      f"{path} has X {x.dtype} {list(x.shape)} and y {y.dtype} {list(y.shape)}: expected uint8"
      " [32, 32, 3, N] and N whole numbers; replace it"
    )
  if not 1 <= y.min() <= y.max() <= 10:
    raise ValueError(f"{path} has the labels {y.min()} to {y.max()}: expected 1 to 10")
  return x, y.reshape(-1)
