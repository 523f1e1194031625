"""Pickles of arrays, lists and text, read without running what they say."""

import io
import pathlib
import pickle
from typing import Any

import numpy as np

from gan_jax.files import check_pickle

_NUMBERS = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def read_pickle(path: pathlib.Path, limit: int) -> dict[str, Any]:
  """Reads values by name, as Python 2 or 3 pickled them.

  Args:
    path: the file.
    limit: largest size in bytes.

  Returns:
    Numbers, text, bytes, lists and arrays, by name.

  Raises:
    ValueError: too large, damaged, or it asks for anything but arrays.
  """
  if (size := path.stat().st_size) > limit:
    raise ValueError(
      f"{path} has {size} bytes, more than memory_limit={limit}: raise memory_limit in load(...)"
    )
  try:
    values = _Unpickler(path.read_bytes()).load()
    if not isinstance(values, dict):
      raise ValueError("it holds no names")
    return {_text(key): _plain(value) for key, value in values.items()}
  except Exception as error:  # a damaged pickle can fail in any way
    reason = str(error) or type(error).__name__
    raise ValueError(
      f"{path} cannot be read as a pickle of arrays ({reason}): replace it"
    ) from error


class _Array:
  """What a pickle says of an array."""

  array: np.ndarray | None = None

  def __setstate__(self, state: Any) -> None:
    _, shape, dtype, by_columns, content = state
    array = np.frombuffer(content, dtype.numpy())
    self.array = array.reshape(shape, order="F" if by_columns else "C")


class _Type:
  """What a pickle says of the type of an array."""

  def __init__(self, code: Any):
    self._code, self._order = _text(code), "<"
    if self._code not in _NUMBERS:
      raise pickle.UnpicklingError(f"it has arrays of {self._code!r:.20}, and not of numbers")

  def __setstate__(self, state: Any) -> None:
    self._order = _text(state[1])

  def numpy(self) -> np.dtype[Any]:
    return np.dtype((self._order if self._order in "<>" else "<") + self._code)


class _Unpickler(pickle.Unpickler):
  """Builds descriptions of arrays, and refuses all else that a pickle may ask for."""

  def __init__(self, content: bytes):
    check_pickle(io.BytesIO(content))
    super().__init__(io.BytesIO(content), encoding="bytes")
    # Of one's own for each file: a pickle may set attributes of a function that it is given.
    self._known: dict[str, Any] = {
      "numpy.ndarray": "ndarray",
      "numpy.dtype": lambda code, *_: _Type(code),
    }
    for room in ("numpy.core.multiarray", "numpy._core.multiarray"):
      self._known[f"{room}._reconstruct"] = lambda *_: _Array()

  def find_class(self, module: str, name: str) -> Any:
    if (known := self._known.get(f"{module}.{name}")) is None:
      raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need")
    return known

  def persistent_load(self, pid: Any) -> Any:
    raise pickle.UnpicklingError("it asks for something outside of it")


def _text(value: Any) -> str:
  return value.decode() if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
  if isinstance(value, _Array):
    if value.array is None:
      raise ValueError("it has an array without content")
    return value.array
  return value
