"""Arrays in an .npz file."""

import logging
from collections.abc import Sequence
from typing import IO

import numpy as np

from gan_jax import files
from gan_jax.data.labels import encode_split
from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Raw, Source
from gan_jax.data.sources.arrays import array_source

_LOG = logging.getLogger(__name__)

# Names of examples and of labels: ours, Keras's, MedMNIST's, and what np.savez gives to arrays
# without names, as guided diffusion's samples have them.
_NAMES = {
  "train": (
    ("x_train", "x", "X_train", "train_images", "train_x", "images", "arr_0"),
    ("y_train", "y", "Y_train", "train_labels", "train_y", "labels", "arr_1"),
  ),
  "test": (
    ("x_test", "X_test", "test_images", "test_x"),
    ("y_test", "Y_test", "test_labels", "test_y"),
  ),
  "validation": (
    ("x_val", "X_val", "val_images", "val_x", "x_valid", "valid_images"),
    ("y_val", "Y_val", "val_labels", "val_y", "y_valid", "valid_labels"),
  ),
}
_CLASS_NAMES = "class_names"  # text [K], of labels 0 .. K-1


def open_npz(argument: str, split: str, options: Options) -> Source:
  """Opens `npz:<file>`.

  Its arrays are `x` (or `x_train`, `images`, `train_images`, `arr_0`), and if there are labels `y`
  (or `y_train`, `labels`, `train_labels`, `arr_1`); a test split is `x_test`, `y_test` (or
  `test_images`, `test_labels`; or `val_...` if there is no other). Examples are those of
  `array_source`; labels are whole numbers or text.

  Raises:
    FileNotFoundError: no such file.
    NoSplitError: no such split.
    ValueError: damaged, too large, or arrays of another kind.
  """
  name, path = f"npz:{argument}", options.path(argument)
  if not path.is_file():
    raise FileNotFoundError(f"{name}: there is no file {path.absolute()}")
  if path.suffix.lower() == ".npy":
    raise ValueError(f"{name} is one array without a name: call it npy:{argument}")
  with path.open("rb") as file:
    arrays = read_npz(name, file, options.memory_limit)
  splits = {kind: [_only(name, arrays, names) for names in both] for kind, both in _NAMES.items()}
  train, test, validation = splits["train"], splits["test"], splits["validation"]
  x_key, y_key = train if split == "train" else test if test[0] else validation
  if x_key is None:
    expected = " or ".join(_NAMES[split][0])
    hint = f", or {HOLD_OUT}" if split == "test" else ""
    raise NoSplitError(
      f"{name} has the arrays {sorted(arrays)}: the {split} split must be called {expected}{hint}"
    )
  if split == "train":
    _warn_left_out(name, arrays, [*train, *(test if test[0] else validation), _CLASS_NAMES])
  labels, training = (None if key is None else arrays[key] for key in (y_key, train[1]))
  if split == "test" and train[0] is None:
    training = labels
  x = arrays[x_key]
  y, classes = encode_split(name, labels, len(x) if x.ndim else 0, training, options.condition)
  names = None if classes is None else _names(name, arrays, classes)
  return array_source(name, x, y, options, names)


def _only(name: str, arrays: Raw, names: Sequence[str]) -> str | None:
  """Returns the one of some names that an array has; None if none has."""
  present = [key for key in names if key in arrays]
  if len(present) > 1:
    raise ValueError(
      f"{name} has both {present[0]} and {present[1]}, and nobody knows which is meant: leave one"
      " out"
    )
  return present[0] if present else None


def _warn_left_out(name: str, arrays: Raw, used: Sequence[str | None]) -> None:
  """Warns of arrays that look like examples or labels, and are not used."""
  size = len(arrays[str(used[0])]) if arrays[str(used[0])].ndim else 0
  images = {key for names, _ in _NAMES.values() for key in names}
  unused = [
    f"{key} {list(array.shape)}"
    for key, array in arrays.items()
    if key not in used and array.ndim and (key in images or len(array) == size)
  ]
  if unused:
    read = [key for key in used if key and key != _CLASS_NAMES]
    _LOG.warning("%s: left out %s; used are %s", name, ", ".join(unused), ", ".join(read))


def _names(name: str, arrays: Raw, classes: np.ndarray) -> Sequence[object]:
  """Returns names of classes: the file's own names if it has them, else the labels."""
  names = arrays.get(_CLASS_NAMES)
  if names is None or classes.dtype.kind == "U":
    return classes.tolist()
  if names.dtype.kind != "U" or names.ndim != 1 or len(names) <= classes.max():
    raise ValueError(
      f"{name} has {_CLASS_NAMES} {names.dtype} {list(names.shape)}: expected text, one for each"
      f" label from 0 to {classes.max()}"
    )
  return names[classes].tolist()


def read_npz(name: str, file: IO[bytes], memory_limit: int) -> Raw:
  """Reads all arrays of an .npz file.

  Raises:
    ValueError: damaged, pickled objects, or more than `memory_limit` bytes.
  """
  try:
    return files.read_npz(name, file, memory_limit)
  except files.TooLargeError as error:
    raise ValueError(
      f"{error} memory_limit={memory_limit}: make it a folder of images, which is streamed as"
      " folder:DIR, or in Python raise memory_limit in load(...)"
    ) from error
