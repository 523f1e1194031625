"""What the files of a folder or a zip are taken for: splits, classes, and who is told."""

import json
import pathlib
import zipfile

import numpy as np
import pytest
from PIL import Image
from small_sets import images

from gan_jax.data import NoSplitError, load, take


def write(root: pathlib.Path, *names: str, zipped: bool = False, **texts: str) -> str:
  """Writes small images by name, all different, and texts; returns the name of the source."""
  for i, name in enumerate(names):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((2, 2), i, np.uint8)).save(root / name)
  for name, text in texts.items():
    (root / f"{name}.json").write_text(text)
  if not zipped:
    return f"folder:{root}"
  target = root.with_suffix(".zip")
  with zipfile.ZipFile(target, "w") as archive:
    for path in sorted(root.rglob("*"), reverse=True):  # their order means nothing
      archive.write(path, path.relative_to(root.parent).as_posix())
  return f"zip:{target}"


def content(name: str, split: str = "train") -> dict[str, list[int]]:
  """Opens a source: {class: its images, by the number that `write` gave them}."""
  source = load(name, split)
  raw = take(source)
  pixels = raw["x"][:, 0, 0, 0].tolist()
  if source.num_classes is None:
    return {"": pixels}
  labels = [source.classes[place] for place in raw["y"]]
  return {c: [x for x, y in zip(pixels, labels, strict=True) if y == c] for c in source.classes}


@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_below_a_class_is_of_it(zipped, tmp_path):
  names = ("cat/b.png", "cat/old/a.png", "cat/old/very/a.png", "dog/a.png")
  name = write(tmp_path / "d", *names, zipped=zipped)
  assert content(name) == {"cat": [0, 1, 2], "dog": [3]}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("train", ["train", "Train", "training"])
@pytest.mark.parametrize(
  "test", ["test", "TEST", "val", "valid", "Validation", "dev", "eval", "evaluation"]
)
def test_splits_have_many_names(zipped, train, test, tmp_path):
  names = (f"{train}/a/0.png", f"{train}/b/0.png", f"{test}/b/0.png")
  name = write(tmp_path / "d", *names, zipped=zipped)
  assert content(name) == {"a": [0], "b": [1]}
  assert content(name, "test") == {"a": [], "b": [2]}


def test_a_validation_split_beside_a_test_split_is_told(tmp_path, caplog):
  name = write(tmp_path, "train/0.png", "val/0.png", "test/0.png")
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert content(name) == {"": [0]} and content(name, "test") == {"": [2]}
  assert caplog.text.count("val is left out, as test is the test split") == 1


@pytest.mark.parametrize("lone", ["train", "test", "val"])
def test_a_class_may_be_called_like_a_split(lone, tmp_path, caplog):
  name = write(tmp_path, f"{lone}/0.png", "bus/0.png", "car/0.png")
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert content(name) == {"bus": [1], "car": [2], lone: [0]}
  assert f"the folder {lone} is taken for a class, as bus, car beside it are" in caplog.text
  with pytest.raises(NoSplitError, match=r"has no folder test/.*hold_out=0\.1"):
    load(name, "test")


def test_folders_that_nobody_can_tell_are_refused(tmp_path):
  name = write(tmp_path / "a", "train/0.png", "test/0.png", "bus/0.png")
  with pytest.raises(ValueError, match="test, train beside bus, so that nobody knows"):
    load(name)
  name = write(tmp_path / "b", "train/0.png", "training/0.png")
  with pytest.raises(ValueError, match="some for the same split: rename or remove one"):
    load(name)
  name = write(tmp_path / "c", "0.png", "train/0.png", "test/0.png")
  with pytest.raises(ValueError, match=r"images \(0\.png, \.\.\.\) beside folders"):
    load(name)


def test_one_of_two_domains_is_named(tmp_path):
  name = write(tmp_path, "trainA/0.png", "trainB/0.png", "testA/0.png", "testB/0.png")
  with pytest.raises(ValueError, match=r"two domains, in .*such as folder:.*/trainA"):
    load(name)
  assert content(f"{name}/trainB") == {"": [1]} and content(f"{name}/trainB", "test") == {"": [3]}


def test_the_only_folder_of_folders_is_gone_into(tmp_path, caplog):
  name = write(tmp_path, "pets/cat/0.png", "pets/dog/0.png")
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert content(name) == {"cat": [0], "dog": [1]}
  assert "all images are in pets, whose folders are used" in caplog.text


def test_splits_below_classes_are_told(tmp_path, caplog):
  name = write(tmp_path, "cat/train/0.png", "cat/test/0.png", "dog/train/0.png")
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert content(name) == {"cat": [1, 0], "dog": [2]}
  assert "images in folders test, train below those of classes are used alike" in caplog.text


# StyleGAN's form.

SHARDS = ("00000/img00000000.png", "00000/img00000001.png", "00001/img00000002.png")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
  ("labels", "expected"),
  [
    ([[SHARDS[2], 4], [SHARDS[0], 4], [SHARDS[1], 1]], {"1": [1], "4": [0, 2]}),
    (None, {"": [0, 1, 2]}),
  ],
)
def test_labels_of_shards_are_those_of_their_file(zipped, labels, expected, tmp_path):
  name = write(tmp_path / "d", *SHARDS, zipped=zipped, dataset=json.dumps({"labels": labels}))
  assert content(name) == expected


def test_shards_without_labels_are_no_classes_and_other_numbers_are_told(tmp_path, caplog):
  assert content(write(tmp_path / "a", *SHARDS)) == {"": [0, 1, 2]}
  with caplog.at_level("WARNING", logger="gan_jax"):
    assert content(write(tmp_path / "b", "00000/0.png", "00003/0.png")) == {
      "00000": [0],
      "00003": [1],
    }
  assert "taken for classes; if they are parts of one set, put a file dataset.json" in caplog.text


@pytest.mark.parametrize(
  ("text", "why"),
  [
    ('{"labels": [["00000/img00000000.png", 1]]}', r"no label for 00000/img00000001\.png \(2 of 3"),
    (json.dumps({"labels": [[n, [0.5]] for n in SHARDS]}), r"label \[0\.5\] .*one whole number"),
    (json.dumps({"labels": [[n, 1 << 70] for n in SHARDS]}), "label 11805.* one whole number"),
    (json.dumps({"labels": [[SHARDS[0], 1], [SHARDS[0], 2]]}), "it names an image twice"),
    ('{"labels": 3}', "cannot be read .*expected"),
    ("[" * 100_000, "cannot be read .*expected"),
  ],
)
def test_labels_that_do_not_fit_are_refused(text, why, tmp_path):
  name = write(tmp_path, *SHARDS, dataset=text)
  with pytest.raises(ValueError, match=rf"dataset\.json .*{why}"):
    load(name)


# Other files.


def test_other_files_are_refused_with_what_is_read(tmp_path):
  for suffix in ("npz", "hdf5", "parquet"):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"?")
    with pytest.raises(ValueError, match=rf"a\.{suffix} is a file, and not a zip.*expected .*npz:"):
      load(f"folder:{path}")


def test_a_link_that_leads_back_is_refused(tmp_path):
  write(tmp_path, "a/0.png")
  (tmp_path / "a" / "again").symlink_to(tmp_path)
  with pytest.raises(ValueError, match="again leads back to .*remove the link"):
    load(f"folder:{tmp_path}")


def test_a_zip_is_streamed_as_it_is_kept(tmp_path):
  for i, image in enumerate(images(5, 6, 6, 3)):
    (tmp_path / "d").mkdir(exist_ok=True)
    Image.fromarray(image).save(tmp_path / "d" / f"{i}.png")
  name = write(tmp_path / "d", zipped=True)
  kept, streamed = (take(load(name, memory_limit=limit), 5, 3)["x"] for limit in (10**9, 10))
  assert (kept == streamed).all() and (np.sort(kept, 0) == np.sort(images(5, 6, 6, 3), 0)).all()
