"""STL-10 (Coates et al. 2011): binary files of planes that are stored by columns."""

import pathlib

import numpy as np

from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Source
from gan_jax.data.sources.arrays import array_source
from gan_jax.data.sources.published.cifar import read_names

CLASSES = 10
_SHAPE = (3, 96, 96)  # planes, columns, rows


def open_stl10(argument: str, split: str, options: Options) -> Source:
  """Opens `stl10:<dir>`, or `stl10:<dir>/unlabeled`, the images without labels.

  Raises:
    FileNotFoundError: no such files.
    NoSplitError: no such split.
    ValueError: a file has another size, or labels that do not fit.
  """
  name, folder, part = f"stl10:{argument}", options.path(argument), split
  if folder.name == "unlabeled" and not folder.is_dir():
    folder, part = folder.parent, "unlabeled"
    if split == "test":
      raise NoSplitError(f"{name} has no test split")
  inner = folder / "stl10_binary"
  folder = inner if inner.is_dir() else folder
  path = folder / f"{part}_X.bin"
  if not path.is_file():
    missing = f"{name}: there is no {path.absolute()}"
    if part == "test" and folder.is_dir():
      raise NoSplitError(f"{missing}; {HOLD_OUT}")
    raise FileNotFoundError(f"{missing}: name the folder that was unpacked")
  size, each = path.stat().st_size, int(np.prod(_SHAPE))
  if not size or size % each:
    raise ValueError(f"{path} has {size} bytes: expected {each} of each image; replace it")
  planes = np.memmap(path, np.uint8, "r", shape=(size // each, *_SHAPE))
  y = None if part == "unlabeled" else _labels(folder / f"{part}_y.bin", len(planes))
  named = folder / "class_names.txt"
  names = read_names(named, CLASSES) if named.is_file() else range(1, CLASSES + 1)
  return array_source(name, planes.transpose(0, 3, 2, 1), y, options, names)


def _labels(path: pathlib.Path, count: int) -> np.ndarray:
  """Reads labels 1 to 10 as 0 to 9."""
  if not path.is_file() or path.stat().st_size != count:
    raise ValueError(f"{path} should have a byte for each of {count} images: replace it")
  y = np.fromfile(path, np.uint8).astype(np.int64)
  if not 1 <= y.min() <= y.max() <= CLASSES:
    raise ValueError(f"{path} has the labels {y.min()} to {y.max()}: expected 1 to {CLASSES}")
  return y - 1
