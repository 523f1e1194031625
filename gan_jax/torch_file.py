"""Files of PyTorch, read without running what they say.

Such a file is a pickle, a small program that may call anything. `read_torch` knows the few names
that weights are made of, and those that a format declares, and refuses all others: whatever is
built of them is a description.
"""

import collections
import hashlib
import io
import math
import os
import pathlib
import pickle
import reprlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from gan_jax.files import check_pickle

LIMIT = 8 << 30  # bytes of a file
MOST_NAMES = 100_000  # of the tensors of a network
DEEPEST = 64  # modules within each other
# Keys under which files keep the weights beside other things, the first that there is.
WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "g_ema")

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of files by PyTorch before 1.6
_DTYPES = {
  "torch.DoubleStorage": np.dtype("<f8"),
  "torch.FloatStorage": np.dtype("<f4"),
  "torch.HalfStorage": np.dtype("<f2"),
  "torch.BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
  "torch.LongStorage": np.dtype("<i8"),
  "torch.IntStorage": np.dtype("<i4"),
  "torch.ShortStorage": np.dtype("<i2"),
  "torch.CharStorage": np.dtype("i1"),
  "torch.ByteStorage": np.dtype("u1"),
  "torch.BoolStorage": np.dtype("?"),
}


class Inert:
  """Description of an object whose class is not here, and does not run.

  Attributes:
    name: dotted name of its class or function.
    arguments: what it was to be called with.
    state: what its attributes were to be set from.
  """

  name = ""

  def __init__(self, *arguments: Any):
    self.arguments, self.state = arguments, None

  def __setstate__(self, state: Any) -> None:
    self.state = state

  @property
  def attributes(self) -> Mapping[str, Any]:
    """Its attributes by name; {} if they are not said in this way."""
    return self.state if isinstance(self.state, dict) else {}


class Storage:
  """Numbers in a row, which tensors are views of.

  Attributes:
    key: name in the file.
    dtype: type of the numbers.
    size: how many there are said to be.
    content: their bytes; None until they are read.
  """

  def __init__(self, key: str, dtype: np.dtype[Any], size: int):
    self.key, self.dtype, self.size = key, dtype, size
    self.content: bytes | None = None

  @property
  def bytes(self) -> int:
    return self.size * self.dtype.itemsize


class Tensor(NamedTuple):
  """Description of a tensor.

  Attributes:
    storage: numbers that it is a view of.
    offset: number that is its first.
    shape: its shape.
    strides: numbers from one entry to the next, along each axis.
  """

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def array(self) -> np.ndarray:
    """Returns its array, a view that cannot be written to.

    Raises:
      ValueError: some of it lies beyond its storage, or the storage is not whole.
    """
    storage, offset, shape, strides = self
    content = storage.content or b""
    if storage.size < 0 or len(content) != storage.bytes:
      raise ValueError(f"storage {storage.key} has {len(content)} of {storage.bytes} bytes")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    numbers = (offset, *shape, *strides)  # of an empty tensor some may be any
    if min(numbers) < 0 or max(numbers) > LIMIT or (last >= storage.size and 0 not in shape):
      raise ValueError(f"a tensor reaches beyond its storage of {storage.size} numbers")
    flat = np.frombuffer(content, storage.dtype)[offset:]
    steps = [stride * flat.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False)


def load_torch(
  path: str | os.PathLike[str], objects: Mapping[str, type] | None = None
) -> tuple[Any, str]:
  """Reads a file as `read_torch` does.

  Args:
    path: of the file.
    objects: see `read_torch`.

  Returns:
    What is in it, and the sha256 of the file.

  Raises:
    FileNotFoundError: there is no file.
    ValueError: it is too large, damaged, or of another kind; names the file and the reason.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"there is no file {path}")
  if (size := path.stat().st_size) > LIMIT:
    raise ValueError(f"{path} has {size} bytes: expected weights of at most {LIMIT}")
  content = path.read_bytes()
  try:
    return read_torch(content, objects), hashlib.sha256(content).hexdigest()
  except Exception as error:  # a damaged file can fail in any way
    reason = str(error) or type(error).__name__
    raise ValueError(
      f"{path} cannot be read as a file of PyTorch: {reason}; expected the whole of a file of"
      " tensors, as torch.save or pickle writes it"
    ) from error


def read_torch(content: bytes, objects: Mapping[str, type] | None = None) -> Any:
  """Reads what `torch.save` wrote, before or since 1.6, or a pickle with tensors in it.

  Args:
    content: of the file.
    objects: {dotted name: class} of other names that the format has; each becomes a description,
      an instance of the class, which is `Inert` or a kind of dict.

  Returns:
    Dicts, lists, tuples, numbers and text as they are, a `Tensor` for each tensor, and an object
    for each of the other names.

  Raises:
    Exception: of any kind, if the file is not such a one.
  """
  objects = objects or {}
  return (_zip if content[:2] == b"PK" else _pickles)(content, objects)


def named_arrays(tree: Any, most: int) -> tuple[dict[str, np.ndarray], list[str]]:
  """Returns the tensors of a dict, or of the dict within it that has weights (see `WRAPPERS`).

  Args:
    tree: as of `read_torch`.
    most: largest size of all arrays together in bytes: a few numbers of a file may be said to be
      repeated without end.

  Returns:
    Arrays by name, without "module." before all names, and the names of what is left out.

  Raises:
    ValueError: there are no tensors by name, or they are too large.
  """
  outer: list[str] = []
  if isinstance(tree, dict) and (inside := [k for k in WRAPPERS if isinstance(tree.get(k), dict)]):
    outer, tree = [str(name) for name in tree if name != inside[0]], tree[inside[0]]
  if not isinstance(tree, dict) or not all(isinstance(name, str) for name in tree):
    raise ValueError("it holds something other than tensors by name")
  tensors = {name: value for name, value in tree.items() if isinstance(value, Tensor)}
  if not tensors:
    raise ValueError("it holds no tensors by name")
  left = [*outer, *(name for name in tree if name not in tensors)]
  if all(name.startswith("module.") for name in tensors):  # of data-parallel training
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
  return arrays_of(tensors, most), left


def arrays_of(tensors: Mapping[str, Tensor], most: int) -> dict[str, np.ndarray]:
  """Returns the arrays of tensors, which together have at most so many bytes."""
  size = sum(math.prod(x.shape) * x.storage.dtype.itemsize for x in tensors.values())
  if size > most:
    raise ValueError(f"its tensors are said to have {size} bytes, more than {most}")
  return {name: tensor.array() for name, tensor in tensors.items()}


def state_dict(module: Any, attributes: Callable[[Any], Mapping[str, Any]]) -> dict[str, Tensor]:
  """Collects the parameters and buffers of a module and of those within it, by dotted name.

  Args:
    module: description of a module.
    attributes: function that returns the attributes of one.

  Returns:
    Tensors by name, as `torch.nn.Module.state_dict` has them.

  Raises:
    ValueError: more than a network has, or something that is no module.
  """
  tensors: dict[str, Tensor] = {}

  def collect(module: Any, prefix: str, depth: int) -> None:
    own = attributes(module)
    if "_parameters" not in own or depth > DEEPEST:
      raise ValueError(f"{prefix or 'it'} is no module of PyTorch")
    hidden = own.get("_non_persistent_buffers_set") or ()
    for kind in ("_parameters", "_buffers"):
      for name, value in dict(own.get(kind) or {}).items():
        if isinstance(value, Tensor) and not (kind == "_buffers" and name in hidden):
          tensors[f"{prefix}{name}"] = value
    if len(tensors) > MOST_NAMES:  # modules may hold each other many times
      raise ValueError(f"it has more than {MOST_NAMES} tensors")
    for name, inner in dict(own.get("_modules") or {}).items():
      if inner is not None:
        collect(inner, f"{prefix}{name}.", depth + 1)

  collect(module, "", 0)
  return tensors


class _Kind(NamedTuple):
  """Type of the numbers of a storage, as a pickle names it."""

  dtype: np.dtype[Any]


class _Unpickler(pickle.Unpickler):
  """Builds descriptions, and refuses all else that a pickle may ask for.

  Args:
    file: where the pickle begins.
    objects: see `read_torch`.
    inner: whether it is of a storage alone, within another pickle.
  """

  def __init__(
    self, file: io.BytesIO, objects: Mapping[str, type] | None = None, inner: bool = False
  ):
    super().__init__(file)
    self._file = file
    self.storages: dict[str, Storage] = {}
    # Of one's own for each file: a pickle may set attributes of a function that it is given.
    self._known: dict[str, Any] = {name: _Kind(dtype) for name, dtype in _DTYPES.items()}
    if inner:
      return
    self._known |= {
      "collections.OrderedDict": collections.OrderedDict,
      "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
      "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
      "torch._utils._rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _tensor(
        storage, offset, shape, strides
      ),
      "torch.storage._load_from_bytes": lambda content: _storage_within(content),
      "_codecs.encode": lambda text, encoding: _bytes(text, encoding),  # of protocol 2
      "builtins.set": set,
      "__builtin__.set": set,
    }
    for name, base in (objects or {}).items():
      self._known[name] = type(name.rpartition(".")[2], (base,), {"name": name})

  def load(self) -> Any:
    start = self._file.tell()
    check_pickle(self._file)
    self._file.seek(start)
    return super().load()

  def find_class(self, module: str, name: str) -> Any:
    if (known := self._known.get(f"{module}.{name}")) is None:
      asked = f"{module}.{name}"
      shown = asked if len(asked) <= 200 else f"{asked[:200]}..."
      raise pickle.UnpicklingError(f"it asks for {shown}, which weights do not need")
    return known

  def persistent_load(self, pid: Any) -> Storage:
    kind, of, key, _, size, *view = pid
    known = kind == "storage" and isinstance(of, _Kind) and not any(v is not None for v in view)
    if not (known and isinstance(key, str) and type(size) is int):
      asked = reprlib.repr(pid)  # which could be longer than there is memory
      raise pickle.UnpicklingError(f"it asks for {asked}, which weights do not need")
    return self.storages.setdefault(key, Storage(key, of.dtype, size))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
  if not isinstance(storage, Storage):
    raise pickle.UnpicklingError("it has a tensor without a storage")
  if not all(type(n) is int for n in (offset, *shape, *strides)):
    raise pickle.UnpicklingError("it has a tensor whose shape is not of whole numbers")
  return Tensor(storage, offset, tuple(shape), tuple(strides))


def _bytes(text: Any, encoding: Any) -> bytes:
  if encoding != "latin1" or not isinstance(text, str):
    raise pickle.UnpicklingError("it has text in an encoding that weights do not need")
  return text.encode("latin1")


def _storage_within(content: Any) -> Storage:
  """Reads a storage that lies in a pickle as a file of its own, under the same rules."""
  storage = _pickles(content, {}, inner=True) if isinstance(content, bytes) else None
  if not isinstance(storage, Storage):
    raise pickle.UnpicklingError("it has something other than numbers where a storage should be")
  return storage


def _pickles(content: bytes, objects: Mapping[str, type], inner: bool = False) -> Any:
  """Reads a bare pickle; or five, of which the fourth is the object, and then the storages."""
  file = io.BytesIO(content)
  first = _Unpickler(file, objects, inner).load()
  if first != _MAGIC:
    return first
  protocol, about = (_Unpickler(file).load() for _ in range(2))
  if protocol != _PROTOCOL or not about["little_endian"]:
    raise ValueError("it does not begin as files of PyTorch do")
  unpickler = _Unpickler(file, objects, inner)
  tree = unpickler.load()
  for key in _Unpickler(file).load():
    storage = unpickler.storages[key]
    size = int.from_bytes(file.read(8), "little")
    if size != storage.size:
      raise ValueError(f"storage {key} has {size} numbers, and {storage.size} were expected")
    storage.content = file.read(storage.bytes)
  return tree


def _zip(content: bytes, objects: Mapping[str, type]) -> Any:
  """Reads an archive of one pickle and a file for each storage."""
  with zipfile.ZipFile(io.BytesIO(content)) as archive:
    # PyTorch does not compress, so that nothing unfolds to more than the file has.
    if sum(member.file_size for member in archive.infolist()) > len(content):
      raise ValueError("it is compressed, or its parts overlap")
    names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
      raise ValueError("it is a program (TorchScript): expected weights, by torch.save")
    pickled = [name for name in names if name.endswith("/data.pkl")]
    if len(pickled) != 1:
      raise ValueError("it is an archive of something else")
    folder = pickled[0].removesuffix("/data.pkl")
    order = f"{folder}/byteorder"  # since 1.13
    if order in names and archive.read(order) != b"little":
      raise ValueError("it was written by a big-endian machine")
    unpickler = _Unpickler(io.BytesIO(archive.read(pickled[0])), objects)
    tree = unpickler.load()
    for key, storage in unpickler.storages.items():
      storage.content = archive.read(f"{folder}/data/{key}")
    return tree
