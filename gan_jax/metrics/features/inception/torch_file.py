"""Files of PyTorch, read without running what they say.

Such a file is a pickle, a small program that may call anything. `read_torch` knows the few names
that weights are made of and refuses all others.
"""

import collections
import io
import math
import pickle
import reprlib
import zipfile
from typing import Any, NamedTuple

import numpy as np

from gan_jax.files import check_pickle

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of files by PyTorch before 1.6


def read_torch(content: bytes) -> dict[str, np.ndarray]:
  """Reads a file of named tensors that `torch.save` wrote, in its formats before and since 1.6.

  Args:
    content: of the file: names to tensors of float32 or int64.

  Returns:
    Arrays by name.

  Raises:
    Exception: of any kind, if the file is not such a one.
  """
  tensors, storages = (_zip if content[:2] == b"PK" else _legacy)(content)
  named = isinstance(tensors, dict) and all(isinstance(name, str) for name in tensors)
  if not named or not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
    raise ValueError("it holds something other than tensors by name")
  return {name: _array(tensor, storages) for name, tensor in tensors.items()}


class _Storage(NamedTuple):
  key: str
  dtype: str
  size: int  # elements

  @property
  def bytes(self) -> int:
    return self.size * np.dtype(self.dtype).itemsize


class _Tensor(NamedTuple):
  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
  """Builds descriptions of tensors, and refuses all else that a pickle may ask for."""

  def __init__(self, file: io.BytesIO):
    super().__init__(file)
    self._file = file
    self.storages: dict[str, _Storage] = {}
    # Of one's own for each file: a pickle may set attributes of a function that it is given.
    self._known = {
      "collections.OrderedDict": collections.OrderedDict,
      "torch.FloatStorage": "<f4",
      "torch.LongStorage": "<i8",
      "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
      "torch._utils._rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _Tensor(
        storage, offset, shape, strides
      ),
    }

  def load(self) -> Any:
    start = self._file.tell()
    check_pickle(self._file)
    self._file.seek(start)
    return super().load()

  def find_class(self, module: str, name: str) -> Any:
    if (known := self._known.get(f"{module}.{name}")) is None:
      raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights do not need")
    return known

  def persistent_load(self, pid: Any) -> _Storage:
    kind, dtype, key, _, size, *view = pid
    known = kind == "storage" and dtype in ("<f4", "<i8") and not any(v is not None for v in view)
    if not (known and isinstance(key, str) and type(size) is int):
      asked = reprlib.repr(pid)  # which could be longer than there is memory
      raise pickle.UnpicklingError(f"it asks for {asked}, which weights do not need")
    return self.storages.setdefault(key, _Storage(key, dtype, size))


def _legacy(content: bytes) -> tuple[Any, dict[str, bytes]]:
  """Reads five pickles, of which the fourth is the object, and then the storages."""
  file = io.BytesIO(content)
  head = [_Unpickler(file).load() for _ in range(3)]
  if head[:2] != [_MAGIC, _PROTOCOL] or not head[2]["little_endian"]:
    raise ValueError("it does not begin as files of PyTorch do")
  unpickler = _Unpickler(file)
  tensors = unpickler.load()
  storages = {}
  for key in _Unpickler(file).load():
    storage = unpickler.storages[key]
    size = int.from_bytes(file.read(8), "little")
    storages[key] = file.read(storage.bytes)
    if size != storage.size:
      raise ValueError(f"storage {key} has {size} numbers, and {storage.size} were expected")
  return tensors, storages


def _zip(content: bytes) -> tuple[Any, dict[str, bytes]]:
  """Reads an archive of one pickle and a file for each storage."""
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    # PyTorch does not compress, so that nothing unfolds to more than the file has.
    if sum(member.file_size for member in archive.infolist()) > len(content):
      raise ValueError("it is compressed, or its parts overlap")
    names = archive.namelist()
    (pickled,) = (name for name in names if name.endswith("/data.pkl"))
    folder = pickled.removesuffix("/data.pkl")
    order = f"{folder}/byteorder"  # since 1.13
    if order in names and archive.read(order) != b"little":
      raise ValueError("it was written by a big-endian machine")
    unpickler = _Unpickler(io.BytesIO(archive.read(pickled)))
    tensors = unpickler.load()
    read = lambda key: archive.read(f"{folder}/data/{key}")
    return tensors, {key: read(key) for key in unpickler.storages}


def _array(tensor: _Tensor, storages: dict[str, bytes]) -> np.ndarray:
  """Builds a tensor's array, after checking that all of it lies in its storage."""
  storage, offset, shape, strides = tensor
  content = storages[storage.key]
  if len(content) != storage.bytes:
    raise ValueError(f"storage {storage.key} has {len(content)} of {storage.bytes} bytes")
  last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
  inside = min((offset, *shape, *strides)) >= 0 and last < storage.size
  if not inside or math.prod(shape) > storage.size:
    raise ValueError(f"a tensor reaches beyond its storage of {storage.size} numbers")
  flat = np.frombuffer(content, storage.dtype)[offset:]
  view = np.lib.stride_tricks.as_strided(flat, shape, [s * flat.itemsize for s in strides])
  return np.array(view, order="C")
