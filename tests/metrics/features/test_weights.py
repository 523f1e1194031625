"""Weights: found where they are said to be, read in every format, and no file executes anything."""

import collections
import hashlib
import os
import pathlib
import pickle
import sys
from typing import Any

import numpy as np
import pytest
from torch_files import Storage, Tensor, tensors, written

from gan_jax.metrics.features import weights
from gan_jax.metrics.features.weights import Weights, find, load, save
from gan_jax.torch_file import named_arrays
from gan_jax.torch_file import read_torch as read_tree

ARRAYS = {
  "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
  "bn.num_batches_tracked": np.array(7, np.int64),
  "fc.bias": np.array([0.5, -1.5], np.float32),
}
FORMATS = ("legacy", "zip")


def read_torch(content: bytes) -> dict[str, np.ndarray]:
  return named_arrays(read_tree(content), 1 << 20)[0]


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", FORMATS)
def test_both_formats_of_pytorch(form: str, protocol: int):
  assert_same(read_torch(written(tensors(ARRAYS), form, protocol)), ARRAYS)


@pytest.mark.parametrize("form", FORMATS)
def test_attributes_of_the_dictionary_are_harmless(form: str):
  """`state_dict()` of a module carries its version in one."""
  state = tensors(ARRAYS)
  state._metadata = collections.OrderedDict({"": {"version": 1}})
  assert_same(read_torch(written(state, form)), ARRAYS)


@pytest.mark.parametrize("form", FORMATS)
def test_views_of_one_storage(form: str):
  storage = Storage("0", np.arange(10, dtype=np.float32))
  state = {"columns": Tensor(storage, (3, 2), (1, 3), 1), "tail": Tensor(storage, (2,), (4,), 5)}
  expected = {"columns": [[1, 4], [2, 5], [3, 6]], "tail": [5, 9]}
  found = read_torch(written(state, form))
  assert_same(found, {name: np.array(x, np.float32) for name, x in expected.items()})


class Call:
  """What pickles to a call."""

  def __init__(self, function: Any, *arguments: Any):
    self.call = (function, arguments)

  def __reduce__(self) -> Any:
    return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("function", [os.mkdir, eval, getattr])
def test_a_pickle_that_calls_something_is_refused(
  tmp_path: pathlib.Path, form: str, protocol: int, function: Any
):
  made = tmp_path / "made"
  arguments = {
    os.mkdir: (str(made),),
    eval: (f"__import__('os').mkdir({str(made)!r})",),
    getattr: (collections.OrderedDict, "__init__"),
  }
  state = {**tensors(ARRAYS), "x": Call(function, *arguments[function])}
  path = tmp_path / "evil.pth"
  path.write_bytes(written(state, form, protocol))
  name = f"{function.__module__}.{function.__name__}".replace("builtins", "(builtins|__builtin__)")
  with pytest.raises(ValueError, match=f"asks for {name}, which weights do not need"):
    load(path, sha256=None)
  assert not made.exists()


@pytest.mark.parametrize("place", range(5))
def test_every_pickle_of_the_old_format_is_read_in_the_same_way(tmp_path: pathlib.Path, place: int):
  """An old file begins with several: each of them could carry a call."""
  made = tmp_path / "made"
  head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
  head[place] = Call(os.mkdir, str(made))
  with pytest.raises(pickle.UnpicklingError, match=r"asks for \w+.mkdir"):
    read_torch(b"".join(pickle.dumps(part, 2) for part in head))
  assert not made.exists()


@pytest.mark.parametrize(
  "asked",
  [
    b"cos\nmkdir\n(Vmade\ntR.",
    b"(Vmade\nios\nmkdir\n.",
    b"(cos\nmkdir\nVmade\no.",
    b"\x80\x04\x8c\x0ctorch._utils\x8c\x1e_rebuild_tensor_v2.__globals__\x93.",
    b"\x80\x02\x82\x01.",
  ],
  ids=["called", "instance", "object", "attribute", "extension"],
)
def test_other_ways_to_ask_are_refused(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, asked: bytes
):
  """Old protocols; protocol 4 by an attribute of what is known; the registry of extensions."""
  monkeypatch.chdir(tmp_path)
  with pytest.raises((pickle.UnpicklingError, ValueError), match="do not need|extension code 1"):
    read_torch(asked)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
  "shape, strides, offset",
  [
    ((5,), (1,), 0),
    ((2, 2), (3, 1), 0),
    ((1,), (1,), 4),
    ((2,), (1,), -1),
    ((2,), (-1,), 1),
    ((10**9, 10**9), (0, 0), 0),
    ((2,), (1, 1), 0),
    (("2",), (1,), 0),
  ],
)
def test_tensors_beyond_their_storage_are_refused(
  tmp_path: pathlib.Path, form: str, shape: Any, strides: Any, offset: int
):
  storage = Storage("0", np.zeros(4, np.float32))
  path = tmp_path / "w.pth"
  path.write_bytes(written({"x": Tensor(storage, shape, strides, offset)}, form))
  with pytest.raises(ValueError, match="cannot be read as weights saved by PyTorch"):
    load(path, sha256=None)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_no_weight_is_refused(tmp_path: pathlib.Path, form: str):
  path = tmp_path / "w.pth"
  state = tensors(ARRAYS)
  complex_ = Tensor(Storage("0", np.zeros(2), "ComplexFloatStorage"), (2,), (1,))
  for obj, message in (
    ([1, 2], "something other than tensors by name"),
    ({"epoch": 3}, "holds no tensors by name"),
    ({}, "holds no tensors by name"),
    ({"x": complex_}, "asks for torch.ComplexFloatStorage"),
  ):
    path.write_bytes(written(obj, form))
    with pytest.raises(ValueError, match=message):
      load(path, sha256=None)
  path.write_bytes(written(state, "legacy", view=("1", 0, 2)))
  with pytest.raises(ValueError, match="which weights do not need"):
    load(path, sha256=None)


def test_truncated_and_foreign_files_give_a_plain_error(tmp_path: pathlib.Path):
  whole = {form: written(tensors(ARRAYS), form) for form in FORMATS}
  cut = [content[:n] for content in whole.values() for n in range(0, len(content) - 1, 7)]
  foreign = [b"<!DOCTYPE html><title>Not found</title>", b"\x89PNG\r\n\x1a\n" + bytes(40), b"PK"]
  for suffix in (".pth", ".npz"):
    path = tmp_path / f"w{suffix}"
    for content in (*cut, *foreign, *(whole.values() if suffix == ".npz" else ())):
      path.write_bytes(content)
      with pytest.raises(ValueError, match=r"cannot be read as .*: get it from https://.*6726825d"):
        load(path, sha256=None)


def test_the_checksum_is_verified_before_a_byte_is_interpreted(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  content = written(tensors(ARRAYS), "legacy")
  path = tmp_path / "w.pth"
  path.write_bytes(content)
  checksum = hashlib.sha256(content).hexdigest()
  assert load(path, sha256=checksum).sha256 == checksum
  monkeypatch.setattr(weights, "read_torch", lambda _: pytest.fail("read"))
  with pytest.raises(ValueError, match=rf"{checksum[:8]}\.\.\., and 6726825d\.\.\. was expected"):
    load(path)
  path.write_bytes(content[:-1])
  with pytest.raises(ValueError, match=rf"and {checksum[:8]}\.\.\. was expected"):
    load(path, sha256=checksum)


def test_the_checksum_is_the_one_in_the_file_name():
  assert len(weights.SHA256) == 64
  for name in (weights.URL, *weights.FILES[1:]):
    assert name.endswith(f"-{weights.SHA256[:8]}.pth")


def test_npz_of_ours(tmp_path: pathlib.Path):
  found = Weights(ARRAYS, "12" * 32)
  save(tmp_path / "w.npz", found)
  again = load(tmp_path / "w.npz", sha256="12" * 32)
  assert again.sha256 == found.sha256
  assert_same(again.arrays, ARRAYS)
  assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]
  with pytest.raises(ValueError, match=r"sha256 12121212\.\.\., and 6726825d\.\.\. was expected"):
    load(tmp_path / "w.npz")
  with pytest.raises(ValueError, match="should end in .npz"):
    save(tmp_path / "w.pth", found)


def test_an_npz_that_was_changed_is_noticed(tmp_path: pathlib.Path):
  path = tmp_path / "w.npz"
  save(path, Weights(ARRAYS, "12" * 32))
  with np.load(path) as file:
    kept = dict(file)
  for change in (
    {"fc.bias": kept["fc.bias"] + 1},
    {"fc.bias": kept["fc.bias"].reshape(2, 1)},
    {"more": kept["fc.bias"]},
    {"sha256": np.array(weights.SHA256)},
  ):
    np.savez(path, allow_pickle=False, **{**kept, **change})
    with pytest.raises(ValueError, match="not those that were written"):
      load(path, sha256=None)
  np.savez(path, allow_pickle=True, **kept, x=np.array([Call(os.mkdir, "x")], object))
  with pytest.raises(ValueError, match="cannot be read as an .npz"):
    load(path, sha256=None)
  np.savez(path, **ARRAYS)
  with pytest.raises(ValueError, match="cannot be read as an .npz"):
    load(path, sha256=None)


def test_converting(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  content = written(tensors(ARRAYS), "zip")
  source, target = tmp_path / "w.pth", tmp_path / "w.npz"
  source.write_bytes(content)
  monkeypatch.setattr(sys, "argv", ["weights", str(source), str(target)])
  with pytest.raises(ValueError, match="6726825d... was expected"):
    weights.main()
  assert not target.exists()
  monkeypatch.setattr(load, "__kwdefaults__", {"sha256": hashlib.sha256(content).hexdigest()})
  weights.main()
  assert_same(load(target).arrays, ARRAYS)


def test_where_they_are_looked_for(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  """The argument, then the variable, then the cache, where our own file comes first."""
  cache, home = tmp_path / "cache", tmp_path / "home"
  given, named = tmp_path / "given.pth", tmp_path / "named.pth"
  monkeypatch.setenv("HOME", str(home))
  monkeypatch.setenv("GAN_JAX_CACHE", str(cache))
  monkeypatch.delenv("GAN_JAX_INCEPTION", raising=False)
  for folder in (cache, home / ".cache" / "gan_jax"):
    folder.mkdir(parents=True)
  message = rf"not at {cache} under.*get it from {weights.URL} \(96 MB, sha256 6726825d"
  with pytest.raises(FileNotFoundError, match=message):
    find()
  for name in reversed(weights.FILES):
    (cache / name).touch()
    assert find() == cache / name
  monkeypatch.setenv("GAN_JAX_INCEPTION", str(named))
  with pytest.raises(FileNotFoundError, match=f"not at {named}: get it"):  # not another instead
    find()
  named.touch()
  assert find() == named
  with pytest.raises(FileNotFoundError, match=f"not at {given}: get it"):
    find(given)
  given.touch()
  assert find(given) == given
  monkeypatch.delenv("GAN_JAX_INCEPTION")
  monkeypatch.delenv("GAN_JAX_CACHE")
  kept = home / ".cache" / "gan_jax" / weights.FILES[1]
  kept.touch()
  assert find() == kept
