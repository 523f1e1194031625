"""One array in an .npy file, of which no more is read than is used."""

import numpy as np

from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Source
from gan_jax.data.sources.arrays import array_source


def open_npy(argument: str, split: str, options: Options) -> Source:
  """Opens `npy:<file>`: examples without labels, of `array_source`.

  Raises:
    FileNotFoundError: no such file.
    NoSplitError: it is the training split.
    ValueError: damaged, pickled objects, or an array of another kind.
  """
  name, path = f"npy:{argument}", options.path(argument)
  if not path.is_file():
    raise FileNotFoundError(f"{name}: there is no file {path.absolute()}")
  if split == "test":
    raise NoSplitError(f"{name} is one array and has no test split: {HOLD_OUT}")
  try:
    stored = np.load(path, mmap_mode="r", allow_pickle=False)
  except Exception as error:  # a damaged header can fail in many ways
    raise ValueError(f"{name} cannot be read as an .npy array without pickle ({error})") from error
  if not isinstance(stored, np.ndarray):
    raise ValueError(f"{name} is an archive of arrays: call it npz:{argument}")
  return array_source(name, stored, None, options)
