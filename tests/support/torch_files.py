"""Files as PyTorch writes them, of stand-ins: no PyTorch is needed."""

import collections
import io
import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

KINDS = {
  "<f8": "DoubleStorage",
  "<f4": "FloatStorage",
  "<f2": "HalfStorage",
  "<i8": "LongStorage",
  "<i4": "IntStorage",
  "|u1": "ByteStorage",
  "|b1": "BoolStorage",
}


class Global:
  """What pickles to the name of a class or function."""

  def __init__(self, name: str):
    self.module, _, self.attribute = name.rpartition(".")


class Called:
  """What pickles to a call of something by name, and a state that is set then."""

  def __init__(self, name: str, *arguments: Any, state: Any = None):
    self.function, self.arguments, self.state = Global(name), arguments, state


class Object:
  """What pickles to an instance of a class by name, whose attributes are these."""

  def __init__(self, name: str, **attributes: Any):
    self.of, self.attributes = Global(name), attributes


class Storage:
  """A tensor's numbers, which a pickle of PyTorch refers to by a key."""

  def __init__(self, key: str, values: np.ndarray, kind: str | None = None):
    self.key, self.values = key, values.ravel(order="K")
    is_bfloat16 = values.dtype == ml_dtypes.bfloat16
    self.kind = kind or ("BFloat16Storage" if is_bfloat16 else KINDS[values.dtype.str])


class Tensor:
  """What pickles to a call of PyTorch's function that puts a tensor together."""

  def __init__(
    self, storage: Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: Any = 0
  ):
    self.storage, self.rest = storage, (offset, shape, strides, False, collections.OrderedDict())


def tensor(array: np.ndarray, key: str = "0") -> Tensor:
  """Makes a tensor of an array, whose strides it keeps."""
  return Tensor(Storage(key, array), array.shape, tuple(s // array.itemsize for s in array.strides))


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
  named = ((name, tensor(array, str(i))) for i, (name, array) in enumerate(arrays.items()))
  return collections.OrderedDict(named)


class Pickler(pickle._Pickler):  # in Python, so that it can be told how to write names
  """Writes stand-ins; tensors by references to storages outside, or with these inside."""

  dispatch = pickle._Pickler.dispatch.copy()

  def __init__(self, file: Any, protocol: int, form: str, view: Any = None):
    super().__init__(file, protocol)
    self.form, self.view, self.storages = form, view, {}

  def persistent_id(self, x: Any) -> Any:
    if not isinstance(x, Storage) or self.form == "bare":
      return None
    self.storages[x.key] = x
    tail = (self.view,) if self.form == "legacy" else ()
    return ("storage", Global(f"torch.{x.kind}"), x.key, "cpu", len(x.values), *tail)

  def save_name(self, x: Global) -> None:
    if self.proto >= 4:
      self.save(x.module)
      self.save(x.attribute)
      self.write(pickle.STACK_GLOBAL)
    else:
      self.write(f"c{x.module}\n{x.attribute}\n".encode())

  def save_call(self, x: Called) -> None:
    self.save(x.function)
    self.save(x.arguments)
    self.write(pickle.REDUCE)
    self.set_state(x.state)

  def save_object(self, x: Object) -> None:
    self.save(x.of)
    self.save(())
    self.write(pickle.NEWOBJ)
    self.set_state(x.attributes)

  def save_tensor(self, x: Tensor) -> None:
    self.save_call(Called("torch._utils._rebuild_tensor_v2", x.storage, *x.rest))

  def save_storage(self, x: Storage) -> None:
    self.save_call(Called("torch.storage._load_from_bytes", written(x, "legacy")))

  def set_state(self, state: Any) -> None:
    if state is not None:
      self.save(state)
      self.write(pickle.BUILD)

  dispatch[Global] = save_name
  dispatch[Called] = save_call
  dispatch[Object] = save_object
  dispatch[Tensor] = save_tensor
  dispatch[Storage] = save_storage


def written(obj: Any, form: str, protocol: int = 2, view: Any = None) -> bytes:
  """Writes an object as `torch.save` does before 1.6 ("legacy") or since ("zip"); or "bare"."""
  file, pickled = io.BytesIO(), io.BytesIO()
  pickler = Pickler(pickled, protocol, form, view)
  pickler.dump(obj)
  storages = pickler.storages
  if form == "bare":
    return pickled.getvalue()
  if form == "zip":
    with zipfile.ZipFile(file, "w") as archive:
      archive.writestr("archive/data.pkl", pickled.getvalue())
      for key, storage in storages.items():
        archive.writestr(f"archive/data/{key}", storage.values.tobytes())
      archive.writestr("archive/version", "3\n")
    return file.getvalue()
  for head in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
    pickle.dump(head, file, 2)
  file.write(pickled.getvalue())
  pickle.dump(list(storages), file, 2)
  for storage in storages.values():
    file.write(len(storage.values).to_bytes(8, "little") + storage.values.tobytes())
  return file.getvalue()


def parameter(array: np.ndarray) -> Called:
  """Makes a parameter of an array."""
  hooks: dict[str, Any] = collections.OrderedDict()
  return Called("torch._utils._rebuild_parameter", tensor(array), True, hooks)


def module_state(arrays: Mapping[str, np.ndarray], make: Any, buffers: Any) -> dict[str, Any]:
  """Arranges arrays by dotted name as the attributes of a module and of those within it.

  Args:
    arrays: of parameters and buffers.
    make: (dotted path of a module within, its attributes) -> what stands for it.
    buffers: name -> whether it is of a buffer.
  """

  def attributes(arrays: Mapping[str, np.ndarray], path: str) -> dict[str, Any]:
    inner: dict[str, dict[str, np.ndarray]] = {}
    own: dict[str, Any] = {"_parameters": {}, "_buffers": {}, "_modules": {}, "training": False}
    for name, array in arrays.items():
      first, _, rest = name.partition(".")
      if rest:
        inner.setdefault(first, {})[rest] = array
      elif buffers(name):
        own["_buffers"][name] = tensor(array)
      else:
        own["_parameters"][name] = parameter(array)
    for name, some in inner.items():
      within = f"{path}{name}"
      own["_modules"][name] = make(within, attributes(some, f"{within}."))
    return own

  return attributes(arrays, "")
