"""Files of PyTorch: what they may hold, told apart from what would run."""

import collections

import ml_dtypes
import numpy as np
import pytest
from torch_files import (
  Called,
  Global,
  Object,
  Storage,
  Tensor,
  module_state,
  tensor,
  tensors,
  written,
)

from gan_jax.torch_file import Inert, load_torch, named_arrays, read_torch, state_dict

FORMS = ("legacy", "zip", "bare")
MOST = 1 << 20
ARRAY = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)


def arrays_of(obj, form="zip", protocol=2):
  return named_arrays(read_torch(written(obj, form, protocol)), MOST)


@pytest.mark.parametrize("form", FORMS)
def test_every_type_of_numbers_is_read(form):
  kinds = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.uint8, np.bool_)
  arrays = {np.dtype(kind).name: np.array([0, 1, 1]).astype(kind) for kind in kinds}
  found, _ = arrays_of(tensors(arrays), form)
  for name, array in arrays.items():
    np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("form", FORMS)
def test_tensors_lie_as_their_strides_say(form):
  """Channels last; and five numbers that are one, of which a file has one."""
  last = np.ascontiguousarray(ARRAY.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
  expanded = Tensor(Storage("1", np.float32([3])), (5,), (0,))
  found, _ = arrays_of({"last": tensor(last), "expanded": expanded}, form)
  np.testing.assert_array_equal(found["last"], ARRAY)
  np.testing.assert_array_equal(found["expanded"], np.full(5, 3, np.float32))


def test_a_few_bytes_are_not_expanded_to_many():
  much = Tensor(Storage("0", np.float32([3])), (10**5, 10**5), (0, 0))
  with pytest.raises(ValueError, match=r"are said to have 40000000000 bytes, more than 1048576"):
    arrays_of({"x": much})


def test_numbers_that_no_array_has_are_refused():
  """Of one entry, or none, a stride says nothing, and may be longer than a machine's numbers."""
  for shape, strides in (((1,), (2**70,)), ((0, 2**70), (1, 1))):
    with pytest.raises(ValueError, match="reaches beyond its storage of 1 numbers"):
      arrays_of({"x": Tensor(Storage("0", np.float32([3])), shape, strides)})


@pytest.mark.parametrize(
  "wrapped, names, left",
  [
    (lambda own: {"state_dict": own, "optimizer": {"state": {}}, "step": 3}, ("a",), ["optimizer"]),
    (lambda own: {"model_state_dict": own, "global_step": 3}, ("a",), ["global_step"]),
    (lambda own: {"params_ema": own, "params": own}, ("a",), ["params"]),
    (lambda own: {f"module.{name}": x for name, x in own.items()}, ("a",), []),
    (lambda own: {**own, "epoch": 3}, ("a",), ["epoch"]),
  ],
)
def test_weights_are_found_in_what_lies_around_them(wrapped, names, left):
  found, unused = arrays_of(wrapped(tensors({"a": ARRAY})))
  assert (*found,) == names and unused[: len(left)] == left


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_modules_are_descriptions_whose_tensors_have_dotted_names(protocol):
  """Of both ways to pickle a module; buffers that it does not keep are left out."""
  arrays = {"conv.weight": ARRAY, "conv.mask": ARRAY[0], "norm.mean": ARRAY[0, 0]}
  kinds = {"conv": "theirs.Conv", "norm": "theirs.Norm"}
  hidden = lambda path: {"mask"} if path == "conv" else set()
  make = lambda path, own: Object(
    kinds[path], **own, _non_persistent_buffers_set=hidden(path), _hooks=collections.OrderedDict()
  )
  state = module_state(arrays, make, lambda name: name in ("mask", "mean"))
  content = written({"net": Called("theirs.rebuild", 1, state=state)}, "bare", protocol)
  objects = dict.fromkeys((*kinds.values(), "theirs.rebuild"), Inert)
  net = read_torch(content, objects)["net"]
  assert net.name == "theirs.rebuild" and net.arguments == (1,)
  found = state_dict(net, lambda module: module.attributes)
  assert [*found] == ["conv.weight", "norm.mean"]
  np.testing.assert_array_equal(found["conv.weight"].array(), ARRAY)
  with pytest.raises(Exception, match=r"it asks for theirs\.rebuild, which weights do not need"):
    read_torch(content, dict.fromkeys(kinds.values(), Inert))


@pytest.mark.parametrize(
  "inner, why",
  [
    (Called("os.mkdir", "made"), r"asks for os\.mkdir"),
    (Global("collections.OrderedDict"), r"asks for collections\.OrderedDict"),
    ([1, 2], "other than numbers where a storage should be"),
  ],
)
def test_storages_within_a_pickle_are_held_to_the_same(tmp_path, monkeypatch, inner, why):
  monkeypatch.chdir(tmp_path)
  storage = Called("torch.storage._load_from_bytes", written(inner, "legacy"))
  content = written(
    {"x": Called("torch._utils._rebuild_tensor_v2", storage, 0, (1,), (1,))}, "bare"
  )
  path = tmp_path / "evil.pkl"
  path.write_bytes(content)
  with pytest.raises(ValueError, match=rf"evil\.pkl cannot be read as a file of PyTorch: .*{why}"):
    load_torch(path)
  assert [p.name for p in tmp_path.iterdir()] == ["evil.pkl"]


def test_what_is_no_file_of_weights_is_said_by_its_name(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.pth"):
    load_torch(tmp_path / "nowhere.pth")
  path = tmp_path / "x.pth"
  script = written(tensors({"a": ARRAY}), "zip").replace(
    b"archive/version", b"x/constants.pkl"[:15]
  )
  path.write_bytes(script.replace(b"archive/version", b"x/constants.pkl"))
  with pytest.raises(ValueError, match=r"x\.pth cannot be read.*a program \(TorchScript\)"):
    load_torch(path)
  path.write_bytes(b"<!DOCTYPE html>")
  with pytest.raises(
    ValueError, match=r"x\.pth cannot be read as a file of PyTorch: .*; expected the whole"
  ):
    load_torch(path)
