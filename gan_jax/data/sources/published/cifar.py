"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), in their Python and binary versions."""

import logging
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Source
from gan_jax.data.sources.arrays import array_source
from gan_jax.data.sources.published.pickles import read_pickle

_LOG = logging.getLogger(__name__)

_PIXELS = 3 * 32 * 32  # bytes of an image: planes of red, green and blue, each by rows


class Version(NamedTuple):
  """Files of a data set.

  Attributes:
    folders: names of the folder that they are published in.
    train, test: patterns of their names; .bin is that of the binary version.
    batches: number of files of the training split.
    meta: name of the file with the names of classes; of the binary version {label}_names.txt.
    labels: names of the labels, as a record of the binary version has them.
    classes: number of classes of each.
  """

  folders: tuple[str, str]
  train: str
  test: str
  batches: int
  meta: str
  labels: tuple[str, ...]
  classes: tuple[int, ...]


VERSIONS = {
  "cifar10": Version(
    ("cifar-10-batches-py", "cifar-10-batches-bin"),
    *(r"data_batch_(\d+)", r"test_batch", 5, "batches.meta", ("label",), (10,)),
  ),
  "cifar100": Version(
    ("cifar-100-python", "cifar-100-binary"),
    *("train", "test", 1, "meta", ("coarse_label", "fine_label"), (20, 100)),
  ),
}


def open_cifar(kind: str, argument: str, split: str, options: Options) -> Source:
  """Opens `cifar10:<dir>` or `cifar100:<dir>`, whose labels are the fine ones by default.

  Raises:
    FileNotFoundError: no such files.
    NoSplitError: no such split.
    ValueError: a file is damaged, or asks for more than arrays.
  """
  name, version = f"{kind}:{argument}", VERSIONS[kind]
  label = options.label or version.labels[-1]
  if label not in version.labels:
    raise ValueError(
      f"{name} has labels {', '.join(version.labels)}, and not {label!r}: choose another"
      " --config.data_options.label"
    )
  folder = options.path(argument)
  inner = [folder / of for of in version.folders if (folder / of).is_dir()]
  folder = inner[0] if inner else folder
  paths = _files(name, folder, split, version)
  place = version.labels.index(label)
  read = _read_binary if paths[0].suffix == ".bin" else _read_python
  parts = [read(path, version, place, options.memory_limit) for path in paths]
  x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
  names = _class_names(folder, version, place, binary=read is _read_binary)
  if y.size and not 0 <= y.min() <= y.max() < version.classes[place]:
    raise ValueError(
      f"{name} has the labels {y.min()} to {y.max()}: expected 0 to {version.classes[place] - 1};"
      " replace its files"
    )
  return array_source(name, x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), y, options, names)


def _files(name: str, folder: pathlib.Path, split: str, version: Version) -> Sequence[pathlib.Path]:
  """Lists the files of a split in their order, of the Python version if both are there."""
  pattern = {"train": version.train, "test": version.test}[split]
  present = sorted(folder.iterdir()) if folder.is_dir() else []
  for suffix in ("", r"\.bin"):
    matches = [(path, re.fullmatch(pattern + suffix, path.name)) for path in present]
    if not (paths := {path: match for path, match in matches if match}):
      continue
    if split == "train" and len(paths) < version.batches:
      _LOG.warning("%s has %d of %d training batches", name, len(paths), version.batches)
    number = lambda path, of=paths: int(of[path][1]) if of[path].groups() else 0
    return sorted(paths, key=number)
  first = pattern.replace(r"(\d+)", "1")
  expected = f"{folder.absolute()} has no {first}, nor {first}.bin"
  if split == "test" and present:
    raise NoSplitError(f"{name} has no test split: {expected}; {HOLD_OUT}")
  raise FileNotFoundError(f"{name}: {expected}: name the folder that was unpacked")


def _read_python(
  path: pathlib.Path, version: Version, place: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
  """Reads (pixels uint8 [n, 3072], labels [n]) of a pickle."""
  values, label = read_pickle(path, limit), f"{version.labels[place]}s"
  return pixels_and_labels(path, values.get("data"), values.get(label), label, _PIXELS)


def pixels_and_labels(
  path: pathlib.Path, x: Any, y: Any, label: str, width: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """Checks the values of a file: pixels uint8 [n, width] and as many whole numbers, as int64."""
  y = np.array(y) if isinstance(y, list) and {*map(type, y)} <= {int} else y
  arrays = isinstance(x, np.ndarray) and isinstance(y, np.ndarray)
  if not arrays or x.dtype != np.uint8 or y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
    raise ValueError(
      f"{path} has no data uint8 [n, 3 S S] and as many {label}, whole numbers: replace it"
    )
  if x.ndim != 2 or x.shape[1] != (width or x.shape[1]):
    raise ValueError(f"{path} has data {list(x.shape)}: expected rows of {width or '3 S S'}")
  return x, y.astype(np.int64)


def _read_binary(
  path: pathlib.Path, version: Version, place: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
  """Reads (pixels uint8 [n, 3072], labels [n]) of records of labels and then pixels."""
  size, record = path.stat().st_size, len(version.labels) + _PIXELS
  if size > limit or not size or size % record:
    raise ValueError(
      f"{path} has {size} bytes: expected records of {record}, and no more than"
      f" memory_limit={limit}; replace it"
    )
  records = np.fromfile(path, np.uint8).reshape(-1, record)
  return records[:, len(version.labels) :], records[:, place].astype(np.int64)


def _class_names(
  folder: pathlib.Path, version: Version, place: int, binary: bool
) -> Sequence[object]:
  """Reads the names of classes; their numbers where there is no file of names."""
  label, count = version.labels[place], version.classes[place]
  text = "batches.meta.txt" if version.meta == "batches.meta" else f"{label}_names.txt"
  path = folder / (text if binary else version.meta)
  if not path.is_file():
    return range(count)
  if binary:
    return read_names(path, count)
  names = read_pickle(path, 1 << 20).get(f"{label}_names")
  if not isinstance(names, list) or len(names) != count:
    raise ValueError(f"{path} has no {count} {label}_names: replace it, or remove it")
  return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def read_names(path: pathlib.Path, count: int) -> Sequence[str]:
  """Reads the names of classes, in each line one; empty lines at the end are no names."""
  with path.open("rb") as file:
    names = file.read(1 << 20).decode(errors="replace").split("\n")
  names = [name.strip() for name in names if name.strip()]
  if len(names) != count:
    raise ValueError(f"{path} has {len(names)} names of {count} classes: replace it, or remove it")
  return names
