"""Data sets in the files that their authors publish, written here as they describe them."""

import collections
import pickle

import numpy as np
import pytest
from small_sets import images

from gan_jax.data import NoSplitError, load, take

PIXELS = images(6, 32, 32, 3)
ROWS = PIXELS.transpose(0, 3, 1, 2).reshape(6, -1)  # planes of red, green and blue
LABELS = [6, 9, 0, 4, 1, 1]


def write_pickle(path, values, protocol=2) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(pickle.dumps(values, protocol))


class Global:
  """Pickled, it is a call of a function that it names."""

  def __init__(self, *call):
    self.call = call

  def __reduce__(self):
    return self.call


@pytest.mark.parametrize("keys", [bytes, str])
@pytest.mark.parametrize("protocol", [3, 4])
def test_cifar10_in_python(keys, protocol, tmp_path, caplog):
  key = lambda text: text.encode() if keys is bytes else text
  folder = tmp_path / "cifar-10-batches-py"
  for i in range(2):
    half = slice(3 * i, 3 * i + 3)
    batch = {key("data"): ROWS[half], key("labels"): LABELS[half]}
    write_pickle(folder / f"data_batch_{i + 1}", batch, protocol)
  names = [key(f"class {i}") for i in range(10)]
  write_pickle(folder / "batches.meta", {key("label_names"): names}, protocol)
  with pytest.raises(NoSplitError, match="has no test_batch"):
    load(f"cifar10:{tmp_path}", "test")
  write_pickle(folder / "test_batch", {key("data"): ROWS[:1], key("labels"): [3]}, protocol)
  for path in (tmp_path, folder):
    source = load(f"cifar10:{path}")
    assert (source.arrays["x"] == PIXELS).all() and source.arrays["y"].tolist() == LABELS
    assert source.classes[3] == "class 3" and source.num_classes == 10
  assert "has 2 of 5 training batches" in caplog.text
  assert load(f"cifar10:{tmp_path}", "test").arrays["y"].tolist() == [3]


def test_cifar_in_binary(tmp_path):
  pixels = [row.tobytes() for row in ROWS]
  records = b"".join(bytes([y]) + row for y, row in zip(LABELS, pixels, strict=True))
  (tmp_path / "data_batch_1.bin").write_bytes(records)
  (tmp_path / "batches.meta.txt").write_text("\n".join(f"class {i}" for i in range(10)) + "\n\n")
  source = load(f"cifar10:{tmp_path}")
  assert (source.arrays["x"] == PIXELS).all() and source.arrays["y"].tolist() == LABELS
  assert source.classes[9] == "class 9"
  records = b"".join(bytes([y, 90 + y]) + row for y, row in zip(LABELS, pixels, strict=True))
  (tmp_path / "train.bin").write_bytes(records)
  source = load(f"cifar100:{tmp_path}")
  assert (source.arrays["y"] == 90 + np.array(LABELS)).all() and source.num_classes == 100
  coarse = load(f"cifar100:{tmp_path}", label="coarse_label")
  assert coarse.arrays["y"].tolist() == LABELS and coarse.num_classes == 20
  with pytest.raises(ValueError, match="labels coarse_label, fine_label, and not 'label'"):
    load(f"cifar100:{tmp_path}", label="label")
  (tmp_path / "train.bin").write_bytes(records[:-1])
  with pytest.raises(ValueError, match="expected records of 3074"):
    load(f"cifar100:{tmp_path}")


@pytest.mark.parametrize(
  ("values", "reason"),
  [
    ({"data": Global(print, ("ran",))}, "asks for builtins.print"),
    ({"data": collections.OrderedDict()}, "asks for collections.OrderedDict"),
    ({"data": np.array([None])}, "arrays of 'O8'"),
    ({"data": ROWS, "labels": LABELS[:5]}, "no data uint8"),
    ({"data": ROWS[:, :30], "labels": LABELS}, "expected rows of 3072"),
    ({"data": ROWS, "labels": [11] * 6}, "the labels 11 to 11: expected 0 to 9"),
    ([1], "it holds no names"),
  ],
)
def test_pickles_run_nothing(values, reason, tmp_path, capsys):
  write_pickle(tmp_path / "data_batch_1", values, 3)
  with pytest.raises(ValueError, match=reason):
    load(f"cifar10:{tmp_path}")
  assert capsys.readouterr().out == ""


def test_pickles_are_measured_first(tmp_path):
  path = tmp_path / "data_batch_1"
  write_pickle(path, {"data": ROWS, "labels": LABELS}, 3)
  with pytest.raises(ValueError, match="more than memory_limit=1000"):
    load(f"cifar10:{tmp_path}", memory_limit=1000)
  path.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")  # a list, remembered at place 2**31 - 1
  with pytest.raises(ValueError, match="remembers more objects than it has"):
    load(f"cifar10:{tmp_path}")


def test_downsampled_imagenet(tmp_path):
  y = [1, 1000, 2, 500, 3, 7]
  for i in range(2):
    half = slice(3 * i, 3 * i + 3)
    batch = {"data": ROWS[half], "labels": y[half], "mean": np.zeros(3072)}
    write_pickle(tmp_path / "pickled" / f"train_data_batch_{i + 9}", batch, 3)
    (tmp_path / "arrays").mkdir(exist_ok=True)
    np.savez(tmp_path / "arrays" / f"train_data_batch_{i + 9}.npz", **batch)
  for form in ("pickled", "arrays"):
    source = load(f"imagenet:{tmp_path / form}")
    assert (source.arrays["x"] == PIXELS).all() and source.num_classes == 1000
    assert [source.classes[i] for i in source.arrays["y"]] == list(map(str, y))
    with pytest.raises(NoSplitError, match="no val_data"):
      load(f"imagenet:{tmp_path / form}", "test")
  np.savez(tmp_path / "arrays" / "val_data.npz", data=ROWS, labels=np.zeros(6, int))
  with pytest.raises(ValueError, match="the labels 0 to 0: expected 1 to 1000"):
    load(f"imagenet:{tmp_path / 'arrays'}", "test")
  with pytest.raises(ValueError, match="memory_limit"):
    load(f"imagenet:{tmp_path / 'arrays'}", memory_limit=10_000)


def test_svhn(tmp_path):
  from scipy.io import savemat

  savemat(tmp_path / "train_32x32.mat", {"X": PIXELS.transpose(1, 2, 3, 0), "y": [[1], [10]] * 3})
  savemat(tmp_path / "extra_32x32.mat", {"X": PIXELS[:2].transpose(1, 2, 3, 0), "y": [[2], [3]]})
  source = load(f"svhn:{tmp_path}")
  assert (source.arrays["x"] == PIXELS).all() and source.arrays["y"].tolist() == [1, 0] * 3
  assert source.num_classes == 10
  assert load(f"svhn:{tmp_path}/extra").arrays["y"].tolist() == [2, 3]
  with pytest.raises(NoSplitError, match=r"test_32x32\.mat"):
    load(f"svhn:{tmp_path}", "test")
  with pytest.raises(ValueError, match="more than memory_limit=1000"):
    load(f"svhn:{tmp_path}", memory_limit=1000)
  savemat(tmp_path / "train_32x32.mat", {"X": PIXELS.transpose(1, 2, 3, 0), "y": [[1], [0]] * 3})
  with pytest.raises(ValueError, match="the labels 0 to 1"):
    load(f"svhn:{tmp_path}")
  (tmp_path / "train_32x32.mat").write_bytes(b"no MATLAB" * 50)
  with pytest.raises(ValueError, match="cannot be read as a file of MATLAB"):
    load(f"svhn:{tmp_path}")


def test_stl10(tmp_path):
  x = images(3, 96, 96, 3)
  (tmp_path / "train_X.bin").write_bytes(x.transpose(0, 3, 2, 1).tobytes())  # planes by columns
  (tmp_path / "train_y.bin").write_bytes(bytes([1, 10, 4]))
  (tmp_path / "unlabeled_X.bin").write_bytes(x[:1].transpose(0, 3, 2, 1).tobytes())
  for limit in (10**6, 1000):
    source = load(f"stl10:{tmp_path}", memory_limit=limit)
    assert (take(source)["x"] == x).all() and take(source)["y"].tolist() == [0, 9, 3]
    assert source.classes[0] == "1" and bool(source.arrays) == (limit > 1000)
  assert load(f"stl10:{tmp_path}/unlabeled").num_classes is None
  with pytest.raises(NoSplitError, match=r"test_X\.bin"):
    load(f"stl10:{tmp_path}", "test")
  (tmp_path / "train_y.bin").write_bytes(bytes([0, 1]))
  with pytest.raises(ValueError, match="a byte for each of 3 images"):
    load(f"stl10:{tmp_path}")
  (tmp_path / "train_X.bin").write_bytes(b"x")
  with pytest.raises(ValueError, match="has 1 bytes: expected 27648 of each image"):
    load(f"stl10:{tmp_path}")
