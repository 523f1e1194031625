"""Downsampled ImageNet (Chrabaszcz et al. 2017, arXiv:1707.08819), as .npz files or pickles."""

import math
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from gan_jax import files
from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Source
from gan_jax.data.sources.arrays import array_source
from gan_jax.data.sources.published.cifar import pixels_and_labels
from gan_jax.data.sources.published.pickles import read_pickle

CLASSES = 1000
_FILES = {
  "train": re.compile(r"train_data(?:_batch_(\d+))?(?:\.npz)?"),
  "test": re.compile(r"val_data(?:\.npz)?()"),
}


def open_imagenet(argument: str, split: str, options: Options) -> Source:
  """Opens `imagenet:<dir>`: `train_data_batch_1` and so on, and `val_data`, or .npz of these.

  Images are stored as planes. Classes keep their numbers, 1 to 1000, whose order is that of the
  authors' map_clsloc.txt.

  Raises:
    FileNotFoundError: no such files.
    NoSplitError: no validation images, which are the test split.
    ValueError: a file is damaged, too large, or asks for more than arrays.
  """
  name, folder = f"imagenet:{argument}", options.path(argument)
  paths = _paths(name, folder, split)
  left, parts = options.memory_limit, []
  for path in paths:
    parts.append(_read(path, left))
    left -= parts[-1][0].nbytes
  x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
  side = math.isqrt(x.shape[1] // 3)
  if 3 * side**2 != x.shape[1]:
    raise ValueError(f"{name} has rows of {x.shape[1]} pixels: expected 3 S S; replace its files")
  if y.size and not 1 <= y.min() <= y.max() <= CLASSES:
    raise ValueError(f"{name} has the labels {y.min()} to {y.max()}: expected 1 to {CLASSES}")
  images = x.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
  return array_source(name, images, y - 1, options, range(1, CLASSES + 1))


def _paths(name: str, folder: pathlib.Path, split: str) -> Sequence[pathlib.Path]:
  """Lists the files of a split in the order of their numbers."""
  names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
  numbers = {n: int(match[1] or 0) for n in names if (match := _FILES[split].fullmatch(n))}
  if len({*numbers.values()}) < len(numbers):
    raise ValueError(f"{name} has batches both as .npz and as pickles: keep one of each")
  if numbers:
    return [folder / n for n in sorted(numbers, key=numbers.__getitem__)]
  if split == "test" and names:
    raise NoSplitError(
      f"{name} has no test split: there is no val_data, nor val_data.npz; {HOLD_OUT}"
    )
  raise FileNotFoundError(f"{name}: {folder.absolute()} has no train_data_batch_1, nor .npz")


def _read(path: pathlib.Path, limit: int) -> tuple[np.ndarray, np.ndarray]:
  """Reads (pixels uint8 [n, 3 S S], labels from 1 [n]) of a batch."""
  if path.suffix == ".npz":
    with path.open("rb") as file:
      try:
        values = files.read_npz(str(path), file, limit, only=("data", "labels"))
      except files.TooLargeError as error:
        raise ValueError(f"{error} memory_limit: raise memory_limit in load(...)") from error
  else:
    values = read_pickle(path, limit)
  return pixels_and_labels(path, values.get("data"), values.get("labels"), "labels")
