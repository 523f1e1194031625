"""The weights of InceptionV3: found, checked, and read without running what a file says.

A PyTorch file is a pickle, a small program that may call anything. `read_torch` knows the few names
that weights are made of and refuses all others. Converting the file once to arrays alone:

    python -m gan_jax.metrics.features.weights pt_inception-2015-12-05-6726825d.pth OUT.npz
"""

import argparse
import collections
import contextlib
import hashlib
import io
import math
import os
import pathlib
import pickle
import pickletools
import reprlib
import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gan_jax.files import atomic_write, read_npz

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URL = (
  "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
  "pt_inception-2015-12-05-6726825d.pth"
)
FILES = (  # the third is the second, as torch-fidelity names it
  "inception-2015-12-05.npz",
  "pt_inception-2015-12-05-6726825d.pth",
  "weights-inception-2015-12-05-6726825d.pth",
)
LIMIT = 1 << 30  # bytes of an .npz of weights; those of InceptionV3 are 96 MB
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of files by PyTorch before 1.6
_GET_IT = f"get it from {URL} (96 MB, sha256 {SHA256[:8]}...)"
_ELSE = "; --features=classifier, random_projection and pixels need no file"


class Weights(NamedTuple):
  """Arrays of a PyTorch file.

  Attributes:
    arrays: by their names.
    sha256: checksum of the file.
  """

  arrays: dict[str, np.ndarray]
  sha256: str


def find(path: str | os.PathLike[str] | None = None) -> pathlib.Path:
  """Returns the path of the weights.

  Args:
    path: of the file; if None, $GAN_JAX_INCEPTION, or one of `FILES` in $GAN_JAX_CACHE, or in
      ~/.cache/gan_jax if that is not set.

  Returns:
    Its path.

  Raises:
    FileNotFoundError: there is none; says where to get it.
  """
  named = path or os.environ.get("GAN_JAX_INCEPTION")
  cache = pathlib.Path(os.environ.get("GAN_JAX_CACHE") or "~/.cache/gan_jax").expanduser()
  if named:
    places, where = [pathlib.Path(named).expanduser()], str(named)
  else:
    places, where = [cache / name for name in FILES], f"{cache} under any name of {FILES}"
  for place in places:
    if place.is_file():
      return place
  raise FileNotFoundError(
    f"the weights of InceptionV3 are not at {where}: {_GET_IT} and put it into {cache}, or give its"
    f" path, or set GAN_JAX_INCEPTION to it{_ELSE}"
  )


def load(path: str | os.PathLike[str] | None = None, *, sha256: str | None = SHA256) -> Weights:
  """Reads the weights, from a PyTorch file or from an .npz of `save`.

  Args:
    path: see `find`.
    sha256: checksum that the PyTorch file must have, or must have had; None allows any.

  Returns:
    The weights.

  Raises:
    FileNotFoundError: there is no file.
    ValueError: it is damaged, or not what it should be.
  """
  place = find(path)
  if place.suffix == ".npz":
    weights = _read_npz(place)
    _check(place, weights.sha256, sha256)
    return weights
  content = place.read_bytes()
  checksum = hashlib.sha256(content).hexdigest()
  _check(place, checksum, sha256)  # before any of it is interpreted
  with _plainly(place, "weights saved by PyTorch"):
    return Weights(read_torch(content), checksum)


def save(path: str | os.PathLike[str], weights: Weights) -> None:
  """Writes weights as an .npz of arrays and checksums, whole or not at all."""
  path = pathlib.Path(path)
  if path.suffix != ".npz":
    raise ValueError(f"{path} should end in .npz, by which it will be known")
  marks = {"sha256": np.array(weights.sha256), "content": np.array(_digest(weights))}
  with (
    atomic_write(path) as temporary,
    temporary.open("wb") as file,
  ):  # by its name numpy would add .npz
    np.savez(file, allow_pickle=False, **weights.arrays, **marks)


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
    _check_pickle(self._file)
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


def _check_pickle(file: io.BytesIO) -> None:
  """Refuses a pickle of which a few bytes make Python take memory without end.

  It makes room for as many remembered objects as the largest number of one, and for as many bytes
  as one is said to have, before it looks whether they are there.
  """
  most = len(file.getbuffer())
  for code, argument, _ in pickletools.genops(file):
    if code.name.endswith("PUT") and int(argument or 0) > most:
      raise pickle.UnpicklingError("it remembers more objects than it has")
    if code.name in ("BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER", "DUP"):
      raise pickle.UnpicklingError(f"it has {code.name}, which weights do not need")


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


def _check(path: pathlib.Path, checksum: str, expected: str | None) -> None:
  if expected and checksum != expected:
    raise ValueError(
      f"{path} comes from a file with sha256 {checksum[:8]}..., and {expected[:8]}... was expected:"
      f" it is damaged, or another file; {_GET_IT}"
    )


def _read_npz(path: pathlib.Path) -> Weights:
  with _plainly(path, "an .npz of InceptionV3's weights"):
    with path.open("rb") as file:
      arrays = read_npz(str(path), file, LIMIT)
    sha256, content = str(arrays.pop("sha256")), str(arrays.pop("content"))
    weights = Weights(arrays, sha256)
    if _digest(weights) != content:
      raise ValueError("its arrays are not those that were written")
    return weights


@contextlib.contextmanager
def _plainly(path: pathlib.Path, what: str) -> Iterator[None]:
  try:
    yield
  except Exception as error:  # a damaged file can fail in any way
    reason = str(error) or type(error).__name__
    raise ValueError(f"{path} cannot be read as {what} ({reason}): {_GET_IT}") from error


def _digest(weights: Weights) -> str:
  """Computes a checksum of names, types, shapes and values."""
  digest = hashlib.sha256(weights.sha256.encode())
  for name, array in sorted(weights.arrays.items()):
    digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()


def main() -> None:
  """Converts a PyTorch file to an .npz."""
  parser = argparse.ArgumentParser(prog="python -m gan_jax.metrics.features.weights")
  parser.add_argument("source", help=FILES[1])
  parser.add_argument("target", help=f"where to write, best {FILES[0]} in the cache folder")
  arguments = parser.parse_args()
  save(arguments.target, load(arguments.source))


if __name__ == "__main__":
  main()
