"""The contract of every source, and what is special to each kind."""

import hashlib
import io
import itertools
import subprocess
import sys
import zipfile
from importlib import resources

import numpy as np
import pytest
from small_sets import AXES, NAMES, images, opened, write_idx

from gan_jax.data import (
  KINDS,
  Batches,
  NoSplitError,
  first,
  hold_out,
  load,
  require_labels,
  table,
  take,
  warn_unseen,
)
from gan_jax.data.sources.published.bundle import bundle, evenly_spaced

# name: shape, sizes of train and test, classes
EXPECTED = {
  "mnist10k": ((28, 28, 1), (10000, 2000), 10),
  "digits8x8": ((8, 8, 1), (1500, 297), 10),
  "ring8": ((2,), (None, None), 8),
  "grid25": ((2,), (None, None), 25),
  "stacked:mnist10k": ((28, 28, 3), (None, None), 1000),
  "coloured:mnist10k": ((28, 28, 3), (10000, 2000), 10),
  "gray:coloured:digits8x8": ((8, 8, 1), (1500, 297), 10),
  "class:3:digits8x8": ((8, 8, 1), (153, 30), None),
  "idx:idx": ((9, 9, 1), (40, 20), 10),
  "folder:shapes": ((8, 8, 3), (25, 21), 2),
  "folder:plain": ((10, 14, 1), (21, None), None),
  "npz:images.npz": ((6, 8, 1), (32, 20), 4),
  "npz:points.npz": ((3,), (50, 20), None),
  "npy:deep.npy": ((6, 9, 3), (30, None), None),
  "npy:floats.npy": ((6, 9, 1), (30, None), None),
  "npy:series.npy": ((12, 2), (30, None), None),
  "npy:volumes.npy": ((4, 6, 5, 1), (30, None), None),
  "hdf5:series.hdf5": ((12, 2), (30, None), 3),
  "tfds:tiny_shapes": ((8, 8, 3), (30, 20), 3),
}


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, data_dir: str):
  shape, sizes, classes = EXPECTED[name]
  splits = ("train", "test") if sizes[0] is None or sizes[1] else ("train",)
  for split, size in zip(splits, sizes, strict=False):
    where = {"data_dir": data_dir, "axes": AXES.get(name)}
    source = load(name, split, **where) if size else opened(name, data_dir)
    assert (source.name, source.shape, source.size, source.num_classes) == (
      name,
      shape,
      size,
      classes,
    )
    assert (source.read is None) == (size is None) == (source.draw is not None)
    raw = take(source, 20)
    assert raw["x"].shape == (20, *shape)
    assert raw["x"].dtype == (source.scale.dtype if source.kind != "points" else np.float32)
    assert ("y" in raw) == (classes is not None)
    if classes:
      assert raw["y"].shape == (20,) and raw["y"].dtype == np.int32
      assert raw["y"].min() >= 0 and raw["y"].max() < classes


@pytest.mark.parametrize("name", NAMES)
def test_take_depends_on_the_seed_alone(name: str, data_dir: str):
  source = opened(name, data_dir)
  first, again, other = take(source, 20, 1), take(source, 20, 1), take(source, 20, 2)
  assert (first["x"] == again["x"]).all()
  assert (first["x"] != other["x"]).any()
  assert (take(source, 9, 1)["x"] == first["x"][:9]).all()
  training = next(Batches(source, 20, 1).stream())  # the same seed must not give the same choice
  assert (training["x"] != first["x"]).any()


def test_all_data_of_the_dirac_gan_are_at_0():
  source = load("dirac")
  assert (source.shape, source.size, source.num_classes) == ((1,), None, 1)
  assert take(source, 5)["x"].tolist() == [[0.0]] * 5


def test_data_on_a_line_are_at_four_places():
  source = load("line4")
  assert (source.shape, source.size, source.num_classes) == ((1,), None, 4)
  examples = take(source, 400)
  off = examples["x"][:, 0] - (examples["y"] - 1.5)
  # Of 400 draws of N(0, 0.05²): the root mean square is off by more than 15% once in 20,000.
  np.testing.assert_allclose(np.sqrt(np.mean(off**2)), 0.05, rtol=0.15)
  assert set(examples["y"].tolist()) == {0, 1, 2, 3}


def test_the_first_examples_are_a_source_of_their_own():
  whole = load("mnist10k")
  part = first(whole, 30)
  assert (part.size, part.shape, part.num_classes) == (30, whole.shape, 10)
  np.testing.assert_array_equal(take(part)["x"], take(whole)["x"][:30])
  nine = itertools.islice(Batches(part, 10, 0).iterate(), 9)
  seen = {np.asarray(x).tobytes() for batch in nine for x in batch["x"]}
  assert len(seen) == 30  # three epochs of it, and nothing else
  for source, n in ((whole, 10_001), (whole, -1), (load("ring8"), 5)):
    with pytest.raises(ValueError, match=f"it has no first {n} to train on alone"):
      first(source, n)


def test_take_chooses_without_replacement():
  x = np.arange(100, dtype=np.float32)[:, None]
  source = table("points", x, np.arange(100))
  taken = take(source, 100, 3)
  assert (np.sort(taken["y"]) == np.arange(100)).all() and (taken["x"][:, 0] == taken["y"]).all()
  assert (take(source)["x"] == x).all()
  with pytest.raises(ValueError, match="points has 100 examples, and 101"):
    take(source, 101)
  with pytest.raises(ValueError, match=r"endless.*n=\.\.\."):
    take(opened("ring8"))


def test_coloured_images_are_differences_to_one_colour_each():
  plain, mixed = (opened(name) for name in ("mnist10k", "coloured:mnist10k"))
  x, coloured = plain.arrays["x"].astype(int), mixed.arrays["x"].astype(int)
  colours = coloured[:, :1, :1]  # the corners of digits are 0
  assert mixed.shape == (28, 28, 3) and not x[:, 0, 0].any()
  np.testing.assert_array_equal(coloured, np.abs(x - colours))
  np.testing.assert_array_equal(mixed.arrays["y"], plain.arrays["y"])
  assert len(np.unique(colours[:100], axis=0)) == 100


def test_one_class_of_a_source():
  whole, threes = (opened(name) for name in ("digits8x8", "class:3:digits8x8"))
  np.testing.assert_array_equal(threes.arrays["x"], whole.arrays["x"][whole.arrays["y"] == 3])
  assert set(threes.read(np.arange(4))) == {"x"}


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("class:x:digits8x8", "no class is 'x': expected one of classes 0, 1, 2"),
    ("class:3", "class:3 names no class of a source: expected class:<name>:<source>"),
    ("class:3:", "class:3: names no class of a source"),
    ("class:3:stacked:mnist10k", "are not in memory"),
    ("class:3:ring8", "are not in memory"),
  ],
)
def test_a_class_that_cannot_be_chosen_is_named(name: str, message: str):
  with pytest.raises(ValueError, match=message):
    load(name)


def test_options_reach_the_source_within(data_dir: str):
  with pytest.raises(ValueError, match=r"cuts images in the middle.*\(6, 9, 1\)"):
    load("left:npy:floats.npy", data_dir=data_dir, value_range=(0.0, 1.0))
  with pytest.raises(ValueError, match="axes is for npy:<file>.*not for left:folder:plain"):
    load("left:folder:plain", data_dir=data_dir, axes="NHWC")


@pytest.mark.parametrize("name", ["mnist", "mnist10k:x", "folder", "folder:", "ring8:", "tfds", ""])
def test_unknown_names_list_the_forms(name: str):
  with pytest.raises(ValueError, match="unknown data set") as error:
    load(name)
  assert all(kind.form in str(error.value) for kind in KINDS.values())


def test_options_are_checked():
  with pytest.raises(ValueError, match="split is 'valid': expected 'train' or 'test'"):
    load("mnist10k", "valid")
  with pytest.raises(ValueError, match="image_size is 0"):
    load("mnist10k", image_size=0)
  with pytest.raises(ValueError, match="channels is 2: expected 1 or 3"):
    load("mnist10k", channels=2)
  with pytest.raises(ValueError, match="ring8 has points"):
    load("ring8", image_size=32)
  with pytest.raises(ValueError, match=r"manual_dir is for tfds:<name>"):
    load("mnist10k", manual_dir="somewhere")


def test_labels_where_there_are_none(data_dir: str):
  source = load("folder:plain", data_dir=data_dir)
  for ask in (require_labels, lambda source: Batches(source, 4, 0, labels=True)):
    with pytest.raises(ValueError, match=r"folder:plain has no labels.*one subfolder for each"):
      ask(source)
  require_labels(load("mnist10k"))


def test_bad_labels_are_refused():
  x = images(4, 2, 2, 1)
  for y in (np.array([0, 1, 2, -1]), np.zeros(3, int), np.zeros(4), np.zeros((4, 2), int)):
    with pytest.raises(ValueError, match="the labels of bad"):
      table("bad", x, y)
  with pytest.raises(ValueError, match=r"examples of class 3 .*training split, .* classes 0, 1, 2"):
    table("bad", x, np.arange(4), class_names="abc")
  with pytest.raises(ValueError, match="bad has no examples"):
    table("bad", x[:0], None)


@pytest.mark.parametrize(
  ("labels", "y", "names"),
  [
    ([0, 1, 1, 2], [0, 1, 1, 2], None),
    ([1, 2, 2, 1], [0, 1, 1, 0], ("1", "2")),
    ([1000, 0, 0, 1000], [1, 0, 0, 1], ("0", "1000")),
    ([[7], [3], [3], [7]], [1, 0, 0, 1], ("3", "7")),
    (["dog", "cat", "cat", "ant"], [2, 1, 1, 0], ("ant", "cat", "dog")),
    ([True, False, False, True], [1, 0, 0, 1], None),
  ],
)
def test_classes_are_those_there_are_and_keep_their_names(labels, y, names):
  source = table("some", images(4, 2, 2, 1), np.array(labels))
  assert source.arrays["y"].tolist() == y and source.arrays["y"].dtype == np.int32
  assert source.class_names == names and source.num_classes == len(set(y))
  assert source.classes == (names or tuple("012"[: len(set(y))]))


def test_classes_without_an_example_are_told(caplog):
  with caplog.at_level("WARNING", logger="gan_jax"):
    warn_unseen(table("all", images(3, 2, 2, 1), np.arange(3)))
    assert not caplog.text
    warn_unseen(table("some", images(2, 2, 2, 1), np.array([2, 0]), "abcd"))
  assert "some has no example of classes b, d to train on" in caplog.text


# A share that is held out.


def test_what_is_held_out_is_of_all_classes_and_always_the_same():
  y = np.repeat([0, 1, 2], [60, 35, 5])
  source = table("some", np.arange(100, dtype=np.float32)[:, None], y)
  train, test = hold_out(source, 0.2)
  assert np.bincount(test.arrays["y"]).tolist() == [12, 7, 1]
  places = [take(part)["x"][:, 0].tolist() for part in (train, test)]
  assert sorted(places[0] + places[1]) == list(range(100))
  assert all(place == sorted(place) for place in places)
  assert len(set(np.diff(places[1]))) > 2  # no stride: data may have a period
  assert take(hold_out(source, 0.2)[1])["x"][:, 0].tolist() == places[1]
  assert (train.name, test.name) == ("some", "some (0.2 held out)")


def test_no_examples_are_refused_before_their_labels_are_read(tmp_path):
  np.savez(tmp_path / "a.npz", x=images(0, 4, 4, 3), y=np.zeros(0, int))
  with pytest.raises(ValueError, match=r"a\.npz has no examples$"):
    load(f"npz:{tmp_path}/a.npz")


def test_every_class_gives_its_share_wherever_the_classes_before_it_end():
  # Of 21 examples a half of each pair, whose first would be the one that rounding holds out.
  y = np.repeat(np.arange(11), [1] + [2] * 10)
  _, test = hold_out(table("pairs", np.zeros((21, 1), np.float32), y), 0.5)
  assert test.arrays["y"].tolist() == [*range(1, 11)]
  for share, size in itertools.product((0.3, 0.7, 0.9), range(1, 12)):
    counts = np.array([size, 3, 7, 11, 2])
    y = np.repeat(np.arange(5), counts)
    _, test = hold_out(table("some", np.zeros((len(y), 1), np.float32), y), share)
    held = np.bincount(test.arrays["y"], minlength=5)
    assert (held < counts).all() and (abs(held - share * counts) < 1).all()


def test_what_is_held_out_of_streamed_data_is_neither_lost_nor_seen(data_dir):
  whole = load("folder:plain", data_dir=data_dir)
  streamed = load("folder:plain", data_dir=data_dir, memory_limit=10)
  for resident, part in zip(hold_out(whole, 0.3), hold_out(streamed, 0.3), strict=True):
    assert (take(resident)["x"] == take(part)["x"]).all() and part.size in (6, 15)
    assert (take(resident, 5, 1)["x"] == take(part, 5, 1)["x"]).all()


def test_shares_that_leave_a_side_empty_are_refused():
  source = table("few", np.zeros((9, 1), np.float32), np.zeros(9, int))
  for share, why in ((0.1, "of the 9 examples of few are none"), (1.0, "between 0 and 1")):
    with pytest.raises(ValueError, match=rf"--config\.data_options\.hold_out={share}.*{why}"):
      hold_out(source, share)
  lone = table("lone", np.zeros((9, 1), np.float32), np.arange(9))
  with pytest.raises(ValueError, match="every class keeps one to train on"):
    hold_out(lone, 0.5)
  assert hold_out(source, 0.99)[0].size == 1
  with pytest.raises(ValueError, match="ring8 is endless"):
    hold_out(load("ring8"), 0.5)


def test_the_first_examples_of_sorted_classes_are_told(caplog):
  source = table("sorted", np.zeros((9, 1), np.float32), np.arange(9) // 3)
  with caplog.at_level("WARNING", logger="gan_jax"):
    first(source, 5)
  assert "the first 5 examples of sorted are of 2 of its 3 classes" in caplog.text


# Images of any kind are resized and recoloured in the same way.


def test_image_size_and_channels_reach_every_kind(data_dir: str):
  for name in ("mnist10k", "idx:idx", "folder:shapes", "npz:images.npz", "tfds:tiny_shapes"):
    source = load(name, "test", data_dir=data_dir, image_size=5, channels=3)
    assert source.shape == (5, 5, 3) and take(source)["x"].shape[1:] == (5, 5, 3)
  assert load("stacked:mnist10k", image_size=14).shape == (14, 14, 3)


def test_resizing_keeps_the_mean():
  """Halving averages. Lanczos also rings at edges, and clipping that adds a few greys."""
  whole, half = load("mnist10k", "test"), load("mnist10k", "test", image_size=14)
  means = [s.arrays["x"].mean(axis=(1, 2, 3)) for s in (whole, half)]
  assert np.abs(means[0] - means[1]).max() < 6
  assert (whole.arrays["y"] == half.arrays["y"]).all()


def test_resizing_is_bounded_before_it_begins():
  with pytest.raises(ValueError, match=r"image_size=10000 would have more than memory_limit"):
    load("mnist10k", image_size=10000)


# The bundled digits.


def test_bundled_digits_are_balanced_and_intact():
  for split, count in (("train", 1000), ("test", 200)):
    source = load("mnist10k", split)
    assert (np.bincount(source.arrays["y"]) == count).all()
    assert source.arrays["x"].min() == 0 and source.arrays["x"].max() == 255
  folder = resources.files("gan_jax.data.sources") / "bundled"
  content = (folder / "mnist10k.npz").read_bytes()
  checksum = (folder / "mnist10k.npz.sha256").read_text().split()[0]
  assert hashlib.sha256(content).hexdigest() == checksum
  assert len(content) < 3_000_000
  assert "CC BY-SA 3.0" in (folder / "mnist10k.md").read_text()


def test_damaged_bundle_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path):
  (tmp_path / "bundled").mkdir()
  (tmp_path / "bundled" / "mnist10k.npz").write_bytes(b"something else")
  (tmp_path / "bundled" / "mnist10k.npz.sha256").write_text("0" * 64 + "  mnist10k.npz\n")
  monkeypatch.setattr(resources, "files", lambda _: tmp_path)
  with pytest.raises(ValueError, match=r"mnist10k\.npz is damaged.*reinstall gan_jax"):
    load("mnist10k")


def test_bundle_is_what_the_script_makes(test_data):
  made = bundle(test_data / "mnist")
  for split in ("train", "test"):
    bundled = load("mnist10k", split).arrays
    assert (made[f"x_{split}"][..., None] == bundled["x"]).all()
    assert (made[f"y_{split}"] == bundled["y"]).all()


def test_choice_is_even_and_in_order():
  y = np.repeat(np.arange(10), 7)
  assert (evenly_spaced(y, 2).reshape(10, 2) == 7 * np.arange(10)[:, None] + [0, 3]).all()


# MNIST's own format.


def test_full_mnist(test_data):
  """Counts of each digit as published with the data set."""
  counts = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
  }
  for split, count in counts.items():
    source = load(f"idx:{test_data / 'mnist'}", split)
    assert source.shape == (28, 28, 1) and source.num_classes == 10
    assert np.bincount(source.arrays["y"]).tolist() == count
    mean = source.arrays["x"].mean() / 255
    assert abs(mean - {"train": 0.1307, "test": 0.1325}[split]) < 1e-4  # the well-known constants


def idx_folder(path, x: np.ndarray, y: np.ndarray | None = None) -> str:
  write_idx(path / "train-images-idx3-ubyte", x)
  if y is not None:
    write_idx(path / "train-labels-idx1-ubyte", y)
  return f"idx:{path}"


def test_idx_gives_the_pixels_and_may_lack_labels(tmp_path):
  x = images(5, 4, 3)
  source = load(idx_folder(tmp_path, x))
  assert (source.arrays["x"][..., 0] == x).all() and source.num_classes is None
  with pytest.raises(NoSplitError, match="no test split.*has no t10k-images-idx3-ubyte"):
    load(f"idx:{tmp_path}", "test")


def test_idx_errors_name_the_file(tmp_path):
  path = tmp_path / "train-images-idx3-ubyte"
  good = idx_folder(tmp_path, images(5, 4, 3), np.zeros(4, np.uint8))
  with pytest.raises(
    ValueError, match=r"the labels of idx:.* uint8 \[4\]: expected integers \[5\]"
  ):
    load(good)
  content = path.read_bytes()
  for damaged, reason in (
    (content[:-1], r"has fewer bytes than its shape \[5, 4, 3\]"),
    (content + b"\0", r"has more bytes than its shape"),
    (b"\0\0\x09\x03" + content[4:], "is not an idx file of 3 dimensions"),
    (content[:9], "is not an idx file of 3 dimensions"),
    (content[:4] + b"\xff" * 12, "more than memory_limit"),
  ):
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=reason) as error:
      load(f"idx:{tmp_path}")
    assert str(path) in str(error.value)
  path.unlink()
  for damaged in (b"not gzip", io.BytesIO(b"\x1f\x8b").read()):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"ubyte\.gz cannot be read.*replace it"):
      load(f"idx:{tmp_path}")


def test_other_sets_of_a_folder_are_named(tmp_path, caplog):
  for of in ("emnist-letters", "emnist-digits"):
    write_idx(tmp_path / f"{of}-train-images-idx3-ubyte", images(4, 5, 3))
    write_idx(tmp_path / f"{of}-train-labels-idx1-ubyte", np.array([1, 3, 3, 2], np.uint8))
  write_idx(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz", images(2, 5, 3))
  write_idx(tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz", np.array([3, 4], np.uint8))
  with pytest.raises(ValueError, match="several sets, emnist-digits, emnist-letters: name one of"):
    load(f"idx:{tmp_path}")
  digits = load(f"idx:{tmp_path}/emnist-digits")
  assert (digits.arrays["x"][..., 0] == images(4, 5, 3).transpose(0, 2, 1)).all()  # as it is turned
  assert digits.class_names == ("1", "2", "3") and digits.arrays["y"].tolist() == [0, 2, 2, 1]
  with pytest.raises(ValueError, match="examples of class 4 in one split"):
    load(f"idx:{tmp_path}/emnist-letters", "test")
  (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n4 68 100\n")
  letters = load(f"idx:{tmp_path}/emnist-letters", "test")
  assert letters.class_names == ("a", "b", "c", "d") and letters.arrays["y"].tolist() == [2, 3]
  (tmp_path / "emnist-letters-mapping.txt").write_text("1 x")
  with pytest.raises(ValueError, match=r"mapping\.txt cannot be read .* a label and its character"):
    load(f"idx:{tmp_path}/emnist-letters")
  write_idx(tmp_path / "train-images-idx3-ubyte", images(4, 6, 6))
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert load(f"idx:{tmp_path}").shape == (6, 6, 1)
  assert (
    "MNIST's own names are read; ['emnist-digits', 'emnist-letters'] beside them" in caplog.text
  )


# Arrays in a file.


PIXELS, LABELS = images(6, 8, 8, 3), np.array([5, 2, 2, 9, 5, 2])


@pytest.mark.parametrize(
  ("x", "y", "held_x", "held_y"),
  [
    ("x", "y", "x_test", "y_test"),
    ("images", "labels", "test_images", "test_labels"),
    ("arr_0", "arr_1", None, None),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_images", "train_labels", "val_images", "val_labels"),
  ],
)
def test_npz_has_many_names_of_arrays(x, y, held_x, held_y, tmp_path):
  arrays = {x: PIXELS, y: LABELS[:, None]}  # as MedMNIST has them
  arrays |= {held_x: PIXELS[:3], held_y: LABELS[3:]} if held_x else {}
  np.savez(tmp_path / "a.npz", **arrays)
  source = load(f"npz:{tmp_path}/a.npz")
  assert (source.arrays["x"] == PIXELS).all() and source.class_names == ("2", "5", "9")
  assert source.arrays["y"].tolist() == [1, 0, 0, 2, 1, 0]
  if held_x:
    test = load(f"npz:{tmp_path}/a.npz", "test")
    assert (test.arrays["x"] == PIXELS[:3]).all() and test.arrays["y"].tolist() == [2, 1, 0]
    assert test.class_names == source.class_names


def test_npz_says_what_it_leaves_out_and_what_it_cannot_tell(tmp_path, caplog):
  def made(**arrays) -> str:
    np.savez(tmp_path / "a.npz", **arrays)
    return f"npz:{tmp_path}/a.npz"

  three = {f"{split}_images": PIXELS for split in ("train", "val", "test")}
  with caplog.at_level("WARNING", logger="gan_jax"):
    load(made(**three, target=LABELS))
  assert "left out val_images [6, 8, 8, 3], target [6]; used are train_images, test_images" in (
    caplog.text
  )
  with pytest.raises(ValueError, match="has both x and images"):
    load(made(x=PIXELS, images=PIXELS))
  with pytest.raises(
    ValueError, match=r"uint8 and shape \[2, 3072\].*Rows of pixels do not say how they lie"
  ):
    load(made(x=np.zeros((2, 3072), np.uint8)))
  with pytest.raises(ValueError, match="examples of class 9 in one split"):
    load(made(x=PIXELS[:3], y=LABELS[:3], x_test=PIXELS, y_test=LABELS), "test")
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert load(made(x=PIXELS, y=LABELS, x_test=PIXELS), "test").num_classes is None
  assert "has labels in one of its splits, and none in another" in caplog.text


def test_npz_turns_planes_into_pixels_and_reads_names_of_classes(tmp_path):
  planes = PIXELS.transpose(0, 3, 1, 2)
  names = np.array(["ant", "bee", "cat", "dog"])
  np.savez(tmp_path / "a.npz", x=planes, y=np.array([3, 1, 1, 3, 3, 1]), class_names=names)
  source = load(f"npz:{tmp_path}/a.npz")
  assert (source.arrays["x"] == PIXELS).all() and source.class_names == ("bee", "dog")
  np.savez(tmp_path / "a.npz", x=PIXELS, y=LABELS, class_names=names)
  with pytest.raises(ValueError, match="expected text, one for each label from 0 to 9"):
    load(f"npz:{tmp_path}/a.npz")


@pytest.mark.parametrize(
  ("arrays", "reason"),
  [
    ({"z": np.zeros(3)}, r"has the arrays \['z'\]: the train split must be called x_train or x or"),
    ({"x": np.zeros((3, 4, 4, 1))}, "values from 0 to 0, which cannot be scaled"),
    ({"x": np.zeros((3, 4, 4, 2), np.uint8)}, r"C = 1 or 3"),
    ({"x": np.zeros((0, 4, 4, 1), np.uint8)}, r"shape \[0, 4, 4, 1\]"),
    ({"x": np.array([[0.0, np.nan]])}, "not finite"),
    ({"x": np.array([None, 1])}, "without pickle"),
    (
      {"x": np.zeros((3, 2)), "y": np.zeros(2, int)},
      r"the labels of npz:.* expected integers \[3\]",
    ),
    ({"x": np.zeros((3000, 2000))}, "more than memory_limit=1000000"),
  ],
)
def test_npz_errors(arrays: dict[str, np.ndarray], reason: str, tmp_path):
  path = tmp_path / "a.npz"
  np.savez_compressed(path, **arrays)
  with pytest.raises(ValueError, match=reason) as error:
    load(f"npz:{path}", memory_limit=1_000_000)
  assert str(path) in str(error.value)


def test_npz_that_is_missing_or_damaged(tmp_path):
  path = tmp_path / "a.npz"
  with pytest.raises(FileNotFoundError, match=r"there is no file .*a\.npz"):
    load("npz:a.npz", data_dir=str(tmp_path))
  path.write_bytes(b"not a zip file")
  with pytest.raises(ValueError, match="cannot be read as .npz arrays"):
    load(f"npz:{path}")


def test_npz_without_a_test_split(tmp_path):
  np.savez(tmp_path / "a.npz", x=images(4, 8, 8, 1))
  with pytest.raises(NoSplitError, match=r"arrays \['x'\]: the test split must be called x_test"):
    load(f"npz:{tmp_path / 'a.npz'}", "test")


def test_npz_header_that_lies_allocates_nothing(tmp_path):
  """A few bytes may announce an array of 4 TB."""
  file = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    file, {"descr": "|u1", "fortran_order": False, "shape": (2**42,)}
  )
  with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
    archive.writestr("x.npy", file.getvalue())
  with pytest.raises(ValueError, match="needs 4398046511104 bytes, more than memory_limit"):
    load(f"npz:{tmp_path / 'a.npz'}")


def test_import_is_cheap():
  code = (
    "import sys, gan_jax.data;"
    "print(sorted({'PIL', 'grain', 'tensorflow_datasets', 'tensorflow', 'matplotlib'}"
    " & set(sys.modules)))"
  )
  result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert result.stdout.strip() == "[]"
