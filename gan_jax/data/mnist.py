"""Digits: the 12,000 that come with the package, and files in MNIST's own format."""

import gzip
import hashlib
import importlib.resources
import io
import math
import pathlib
import struct

import numpy as np

from gan_jax.data.arrays import read_npz
from gan_jax.data.images import fit_all
from gan_jax.data.source import MEMORY_LIMIT, NoSplitError, Options, Source, table

BUNDLED = "mnist10k.npz"
MOST_DEFLATED = 1032  # bytes that one byte of a gzip file can stand for
_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}


def open_bundled(argument: str, split: str, options: Options) -> Source:
  """Opens `mnist10k`: 10,000 training or 2,000 test digits of MNIST, the classes equally often."""
  del argument
  folder = importlib.resources.files("gan_jax.data") / "bundled"
  content = (folder / BUNDLED).read_bytes()
  expected = (folder / f"{BUNDLED}.sha256").read_text().split()[0]
  if hashlib.sha256(content).hexdigest() != expected:
    raise ValueError(f"{folder / BUNDLED} is damaged (its sha256 is wrong): reinstall gan_jax")
  arrays = read_npz("mnist10k", io.BytesIO(content), options.memory_limit)
  x = fit_all("mnist10k", arrays[f"x_{split}"][..., None], options)
  return table("mnist10k", x, arrays[f"y_{split}"], 10)


def open_idx(argument: str, split: str, options: Options) -> Source:
  """Opens `idx:<dir>`: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` and so on, or .gz.

  Raises:
    NoSplitError: the folder has no images of that split.
    FileNotFoundError: no such folder, or no training images in it.
    ValueError: a file is not what its header says.
  """
  name, folder = f"idx:{argument}", options.path(argument)
  try:
    images = find_idx(folder, split, "images")
  except FileNotFoundError as error:
    if split == "train" or not folder.is_dir():
      raise
    raise NoSplitError(f"{name} has no {split} split: {error}") from error
  x = read_idx(images, options.memory_limit)
  try:
    y = read_idx(find_idx(folder, split, "labels"), options.memory_limit)
  except FileNotFoundError:
    y = None
  return table(name, fit_all(name, x[..., None], options), y)


def find_idx(folder: pathlib.Path, split: str, kind: str) -> pathlib.Path:
  """Finds the file of "images" or "labels" of a split; uncompressed ones come first."""
  dimensions = {"images": 3, "labels": 1}[kind]
  names = [
    f"{prefix}-{kind}{separator}idx{dimensions}-ubyte{suffix}"
    for suffix in ("", ".gz")
    for prefix in _PREFIXES[split]
    for separator in "-."
  ]
  for name in names:
    if (folder / name).is_file():
      return folder / name
  raise FileNotFoundError(
    f"{folder.absolute()} has no {names[0]} (nor .gz): put MNIST's files there, or use mnist10k"
  )


def read_idx(path: pathlib.Path, memory_limit: int = MEMORY_LIMIT) -> np.ndarray:
  """Reads a file of images [N, H, W] or labels [N], uint8, that may be gzipped.

  Raises:
    ValueError: the header is not MNIST's, or the file is longer or shorter than it says.
  """
  dimensions = 3 if "idx3" in path.name else 1
  try:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
      header = file.read(4 + 4 * dimensions)
      if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(
          f"{path} is not an idx file of {dimensions} dimensions of bytes (it begins with"
          f" {header[:4].hex()}): replace it"
        )
      shape = struct.unpack(f">{dimensions}I", header[4:])
      if math.prod(shape) > memory_limit:
        raise ValueError(
          f"{path} says that it has shape {list(shape)}, more than memory_limit={memory_limit}"
          " bytes: replace it, or raise memory_limit in load(...)"
        )
      unfolded = path.stat().st_size * (MOST_DEFLATED if path.suffix == ".gz" else 1)
      if unfolded < len(header) + math.prod(shape):  # known before room is made for it
        raise _wrong_size(path, "fewer", shape)
      content = file.read(math.prod(shape) + 1)
  except (OSError, EOFError) as error:  # gzip says BadGzipFile or EOFError
    raise ValueError(f"{path} cannot be read ({error}): replace it") from error
  if len(content) != math.prod(shape):
    raise _wrong_size(path, "more" if len(content) > math.prod(shape) else "fewer", shape)
  return np.frombuffer(content, np.uint8).reshape(shape)


def _wrong_size(path: pathlib.Path, has: str, shape: tuple[int, ...]) -> ValueError:
  return ValueError(f"{path} has {has} bytes than its shape {list(shape)} needs: replace it")
