"""TFDS without TensorFlow: what is prepared is read, what cannot be prepared is said at once."""

import importlib.util
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
from small_sets import images

from gan_jax.data import NoSplitError, load
from gan_jax.data.sources import prepare


def test_records_are_those_that_were_written(data_dir: str):
  source = load("tfds:tiny_shapes", data_dir=data_dir)
  written = {image.tobytes(): i % 3 for i, image in enumerate(images(30, 8, 8, 3))}
  read = {x.tobytes(): y for x, y in zip(source.arrays["x"], source.arrays["y"], strict=True)}
  assert read == written


def test_the_environment_names_the_folder_too(data_dir: str, monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
  assert load("tfds:tiny_shapes").size == 30
  assert load("tfds:tiny_shapes", "train[:10]").size == 10


def test_reading_loads_no_tensorflow(data_dir: str):
  code = (
    "import sys; from gan_jax.data import load, take;"
    f"source = load('tfds:tiny_shapes', data_dir={data_dir!r});"
    "assert take(source)['x'].shape == (30, 8, 8, 3);"
    "print('tensorflow' in sys.modules)"
  )
  result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert result.stdout.strip() == "False"


def test_unknown_names_and_splits(data_dir: str):
  with pytest.raises(ValueError, match=r"does not know the data set 'mnits': similar names: mnist"):
    load("tfds:mnits", data_dir=data_dir)
  with pytest.raises(NoSplitError, match=r"tiny_shapes has no split 'half': it has train, test"):
    load("tfds:tiny_shapes", "half", data_dir=data_dir)
  with pytest.raises(ValueError, match=r"cannot open 'mnist:9\.9\.9'"):
    load("tfds:mnist:9.9.9", data_dir=data_dir)


def pretend(monkeypatch: pytest.MonkeyPatch, tensorflow: bool) -> None:
  find_spec = importlib.util.find_spec
  answer = importlib.util.find_spec("json") if tensorflow else None
  replacement = lambda name: answer if name == "tensorflow" else find_spec(name)
  monkeypatch.setattr(importlib.util, "find_spec", replacement)


def test_missing_tensorflow_is_said_at_once(tmp_path, monkeypatch: pytest.MonkeyPatch):
  pretend(monkeypatch, tensorflow=False)
  start = time.monotonic()
  with pytest.raises(ModuleNotFoundError) as error:
    load("tfds:mnist", data_dir=str(tmp_path))
  assert time.monotonic() - start < 150  # TFDS would sleep for over three minutes, to retry
  assert "pip install 'tensorflow-cpu>=2.20'" in str(error.value)
  assert "gan_jax[prepare]" in str(error.value)
  assert f"python -m gan_jax.data.sources.prepare mnist --data_dir={tmp_path}" in str(error.value)


def test_missing_internet_is_said_at_once(tmp_path, monkeypatch: pytest.MonkeyPatch):
  """A proxy that refuses connections stands for a machine without internet."""
  pretend(monkeypatch, tensorflow=True)
  for variable in ("http_proxy", "https_proxy"):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
  monkeypatch.setenv("no_proxy", "")
  start = time.monotonic()
  with pytest.raises(ConnectionError, match="the internet cannot be reached") as error:
    load("tfds:mnist", data_dir=str(tmp_path))
  assert time.monotonic() - start < 150  # TFDS would sleep for over three minutes, to retry
  assert f"prepare mnist --data_dir={tmp_path} --manual_dir=FOLDER" in str(error.value)
  assert "train-images-idx3-ubyte.gz" in str(error.value)


def test_manual_folders_are_looked_at_before_the_internet(tmp_path, monkeypatch):
  pretend(monkeypatch, tensorflow=True)
  monkeypatch.setattr(prepare, "reachable", lambda url: pytest.fail(f"asked for {url}"))
  dataset = prepare.builder("mnist", str(tmp_path))
  for info in dataset.url_infos.values():
    (tmp_path / info.filename).touch()
  prepare.check(dataset, "mnist", None, str(tmp_path))
  with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
    prepare.check(dataset, "mnist", None, "nowhere")
  with pytest.raises(FileNotFoundError, match=r"by hand.*\n.*manual_dir=FOLDER\n.*ILSVRC2012"):
    prepare.check(prepare.builder("imagenet2012", str(tmp_path)), "imagenet2012", None, None)


def test_failure_of_the_child_is_reported(tmp_path, monkeypatch: pytest.MonkeyPatch):
  """The check is made to pass, so the child itself finds that TensorFlow is missing."""
  if importlib.util.find_spec("tensorflow"):
    pytest.skip("TensorFlow is installed: the child would succeed")
  monkeypatch.setattr(prepare, "check", lambda *_: None)
  with pytest.raises(ChildProcessError, match="preparing mnist failed") as error:
    load("tfds:mnist", data_dir=str(tmp_path))
  assert "error: the TFDS data set 'mnist' must be prepared once" in str(error.value)


def test_images_of_different_sizes_or_none(data_dir: str, tmp_path):
  from gan_jax.data.source import Options
  from gan_jax.data.sources.tfds import _keys, _shape

  cats = prepare.builder("cats_vs_dogs", str(tmp_path))
  assert _keys("tfds:cats_vs_dogs", cats) == ("image", "label")
  with pytest.raises(
    ValueError, match=r"images of different sizes: --config\.data_options\.image_size="
  ):
    _shape("tfds:cats_vs_dogs", cats.info.features["image"], Options())
  assert _shape("a", cats.info.features["image"], Options(image_size=64)) == (64, 64, 3)
  text = prepare.builder("imdb_reviews", str(tmp_path))
  with pytest.raises(ValueError, match=r"has no images, only \['label', 'text'\]"):
    _keys("tfds:imdb_reviews", text)


def test_official_mnist_where_it_is_prepared(test_data: pathlib.Path):
  """Every digit of the official files, in whatever order TFDS wrote them."""
  folder = test_data / "tfds"
  if not (folder / "mnist").is_dir():
    pytest.skip(f"no prepared data set in {folder}")
  for split in ("train", "test"):
    digits = []
    for name in ("tfds:mnist", f"idx:{test_data / 'mnist'}"):
      arrays = load(name, split, data_dir=str(folder)).arrays
      rows = np.c_[arrays["x"].reshape(len(arrays["x"]), -1), arrays["y"].astype(np.uint8)]
      digits.append(sorted(row.tobytes() for row in rows))
    assert digits[0] == digits[1]
