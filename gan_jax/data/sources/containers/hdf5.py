"""Arrays in an HDF5 file, as BigGAN-PyTorch and StudioGAN write them."""

import math
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_jax.data.labels import encode_split
from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Source
from gan_jax.data.sources.arrays import array_source
from gan_jax.files import MOST_DEFLATED

if TYPE_CHECKING:
  import h5py

_IMAGES, _LABELS = ("imgs", "images", "x"), ("labels", "y")
_NAMED = "_train"  # in the names of files of several splits
_OTHERS = ("_test", "_valid", "_val")


def open_hdf5(argument: str, split: str, options: Options) -> Source:
  """Opens `hdf5:<file>`: `imgs`, examples of `array_source`, and if there are labels `labels`.

  The test split of `X_train.hdf5` is `X_test.hdf5` (or `_valid`) beside it. A file that does not
  fit into the memory limit is read batch by batch.

  Raises:
    FileNotFoundError: no such file.
    NoSplitError: no file of the test split beside it.
    ModuleNotFoundError: h5py is not installed.
    ValueError: damaged, arrays of another kind, or as many labels as not fit them.
  """
  name, path = f"hdf5:{argument}", options.path(argument)
  if not path.is_file():
    raise FileNotFoundError(f"{name}: there is no file {path.absolute()}")
  images, labels = _open(name, path if split == "train" else _other(name, path))
  training = labels
  if split == "test":
    others, training = _open(name, path)
    others.file.close()
  if labels is not None and len(labels) != len(images):
    raise ValueError(
      f"{name} has {len(images)} images and {len(labels)} labels: its writer was stopped between"
      " the two; write it again"
    )
  y, classes = encode_split(name, labels, len(images), training, options.condition)
  names = None if classes is None else classes.tolist()
  source = array_source(name, images, y, options, names)
  if source.arrays:
    images.file.close()
  return source


def _other(name: str, path: pathlib.Path) -> pathlib.Path:
  """Returns the file of the test split."""
  places = [path.with_name(path.name.replace(_NAMED, other)) for other in _OTHERS]
  if _NAMED in path.name and (present := [place for place in places if place.is_file()]):
    return present[0]
  raise NoSplitError(
    f"{name} is one split, and no file ..._train has one ..._test beside it: {HOLD_OUT}"
  )


def _open(name: str, path: pathlib.Path) -> tuple["h5py.Dataset", np.ndarray | None]:
  """Opens the images of a file, and reads its labels."""
  try:
    import h5py
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      f"{name} is read by h5py, which is not installed: pip install 'gan_jax[files]', or h5py"
    ) from error
  try:
    file = h5py.File(path, "r")
    names = sorted(file)
    images, labels = (_dataset(file, of) for of in (_IMAGES, _LABELS))
    y = None if labels is None else np.asarray(labels[()])
  except Exception as error:  # a damaged file can fail in any way
    raise ValueError(f"{path} cannot be read as HDF5 ({error}): replace it") from error
  if images is None or not images.ndim or (y is not None and not y.ndim):
    raise ValueError(f"{path} has {', '.join(names) or 'nothing'}: expected {' or '.join(_IMAGES)}")
  return images, y


def _dataset(file: "h5py.File", names: tuple[str, ...]) -> Any:
  """Returns an array of a file that lies in it as a whole; None if there is none."""
  import h5py

  for name in names:
    if file.get(name, getlink=True) is None:
      continue
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
      raise ValueError(f"{name} is a link, perhaps to another file")
    stored = file[name]
    if not isinstance(stored, h5py.Dataset) or stored.external or stored.is_virtual:
      raise ValueError(f"{name} is no array of this file")
    size = math.prod(stored.shape) * stored.dtype.itemsize
    if size > stored.id.get_storage_size() * MOST_DEFLATED:
      raise ValueError(f"{name} says that it has {size} bytes, more than the file can hold")
    return stored
  return None
