"""Digits: the sets that come with the package, and files in MNIST's own format."""

import glob
import gzip
import hashlib
import importlib.resources
import io
import logging
import math
import pathlib
import re
import struct

import numpy as np

from gan_jax.data.labels import encode, encode_split
from gan_jax.data.source import HOLD_OUT, MEMORY_LIMIT, NoSplitError, Options, Source, table
from gan_jax.data.sources.containers.npz import read_npz
from gan_jax.data.sources.images import fit_all
from gan_jax.files import MOST_DEFLATED

_LOG = logging.getLogger(__name__)

BUNDLED = "mnist10k.npz"  # beside each set is what it is, and its checksum
_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}
_IMAGES = re.compile(r"(?:(.+)-)?(?:train|t10k|test)-images[-.]idx3-ubyte(?:\.gz)?")
_MAPPING_LIMIT = 1 << 16  # bytes


def open_bundled(name: str, argument: str, split: str, options: Options) -> Source:
  """Opens digits that come with the package.

  `mnist10k`: 10,000 training or 2,000 test digits of MNIST, the classes equally often; `digits8x8`:
  1,500 and 297 digits of 8 x 8 pixels, of Alpaydin & Kaynak 1998.
  """
  del argument
  folder = importlib.resources.files("gan_jax.data.sources") / "bundled"
  file = folder / f"{name}.npz"
  content = file.read_bytes()
  expected = (folder / f"{name}.npz.sha256").read_text().split()[0]
  if hashlib.sha256(content).hexdigest() != expected:
    raise ValueError(f"{file} is damaged (its sha256 is wrong): reinstall gan_jax")
  arrays = read_npz(name, io.BytesIO(content), options.memory_limit)
  x = fit_all(name, arrays[f"x_{split}"][..., None], options)
  return table(name, x, arrays[f"y_{split}"], range(10))


def open_idx(argument: str, split: str, options: Options) -> Source:
  """Opens `idx:<dir>`: `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` and so on, or .gz.

  Files of other sets have its name first, as in `emnist-letters-train-images-idx3-ubyte`; of
  several in one folder, `idx:<dir>/emnist-letters` names one. EMNIST's images lie with rows and
  columns exchanged, and are turned; the names of its classes are those of its mapping file.

  Raises:
    NoSplitError: the folder has no images of that split.
    FileNotFoundError: no such folder, or no training images in it.
    ValueError: a file is not what its header says, or nobody knows which set is meant.
  """
  name = f"idx:{argument}"
  folder, of = _set(name, options.path(argument))
  try:
    images = find_idx(folder, split, "images", of)
  except FileNotFoundError as error:
    if split == "train" or not folder.is_dir():
      raise
    raise NoSplitError(f"{name} has no {split} split: {error}, or {HOLD_OUT}") from error
  x = read_idx(images, options.memory_limit)
  if of.startswith("emnist"):
    x = x.transpose(0, 2, 1)
  labels, training = (_labels(folder, s, of, options.memory_limit) for s in (split, "train"))
  x = fit_all(name, np.ascontiguousarray(x)[..., None], options)
  mapping = _mapping(folder, of)
  if mapping is not None and labels is not None:
    known, names = mapping
    return table(name, x, encode(f"{name} by {of}-mapping.txt", labels, len(x), known)[0], names)
  y, classes = encode_split(name, labels, len(x), training)
  return table(name, x, y, None if classes is None else classes.tolist())


def _set(name: str, path: pathlib.Path) -> tuple[pathlib.Path, str]:
  """Returns which set of a folder is named: (the folder, the prefix of its files)."""
  if not path.is_dir() and any(path.parent.glob(f"{glob.escape(path.name)}-*-images*")):
    return path.parent, path.name
  names = sorted(p.name for p in path.iterdir()) if path.is_dir() else []
  sets = sorted({match[1] or "" for n in names if (match := _IMAGES.fullmatch(n))})
  if len(sets) > 1 and "" not in sets:
    raise ValueError(
      f"{name} has several sets, {', '.join(sets)}: name one of them, such as {name}/{sets[0]}"
    )
  if len(sets) > 1:
    _LOG.warning("%s: MNIST's own names are read; %s beside them are not", name, sets[1:])
  return path, sets[0] if sets else ""


def _labels(folder: pathlib.Path, split: str, of: str, memory_limit: int) -> np.ndarray | None:
  try:
    return read_idx(find_idx(folder, split, "labels", of), memory_limit)
  except FileNotFoundError:
    return None


def _mapping(folder: pathlib.Path, of: str) -> tuple[np.ndarray, list[str]] | None:
  """Reads the labels of EMNIST's classes and the characters that they are.

  In each line are a label and codes, of which the last is used.
  """
  path = folder / f"{of}-mapping.txt"
  if not of or not path.is_file():
    return None
  try:
    with path.open("rb") as file:
      lines = file.read(_MAPPING_LIMIT).decode().splitlines()
    rows = sorted([int(word) for word in line.split()] for line in lines if line.strip())
    labels = np.array([row[0] for row in rows], np.int64)
    names = [chr(row[1:][-1]) for row in rows]
  except (ValueError, IndexError, OverflowError) as error:
    raise ValueError(
      f"{path} cannot be read ({error}): expected in each line a label and its character's code"
    ) from error
  return labels, names


def find_idx(folder: pathlib.Path, split: str, kind: str, of: str = "") -> pathlib.Path:
  """Returns the file of "images" or "labels" of a split of a set; uncompressed ones come first."""
  dimensions = {"images": 3, "labels": 1}[kind]
  names = [
    f"{of}{'-' if of else ''}{prefix}-{kind}{separator}idx{dimensions}-ubyte{suffix}"
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
