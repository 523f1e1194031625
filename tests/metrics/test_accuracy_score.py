"""Classification accuracy score: images that teach, and images that teach nothing."""

import numpy as np
import pytest

from gan_jax.metrics import classification_accuracy_score
from gan_jax.metrics.features import classifier


def bars(n: int, seed: int) -> dict[str, np.ndarray]:
  """Noisy 8 x 8 images whose class, of two, is the half that shines."""
  rng = np.random.default_rng(seed)
  y = rng.integers(2, size=n).astype(np.int32)
  x = (
    rng.integers(0, 100, size=(n, 8, 8, 1))
    + 100 * (np.arange(8) // 4 == y[:, None])[:, :, None, None]
  )
  return {"x": x.astype(np.uint8), "y": y}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(classifier, "STEPS", 40)


def test_what_images_teach_is_tested_on_real_ones():
  real, fake = bars(60, 0), bars(100, 1)
  assert classification_accuracy_score(real, fake, 2) == 1
  swapped = {"x": fake["x"], "y": 1 - fake["y"]}  # a generator that mistakes each class
  assert classification_accuracy_score(real, swapped, 2) == 0


def test_a_class_that_is_never_made_is_never_named():
  real, fake = bars(60, 0), bars(100, 1)
  one = fake["y"] == 0
  found = classification_accuracy_score(real, {"x": fake["x"][one], "y": fake["y"][one]}, 2)
  assert found == (real["y"] == 0).mean()


def test_what_does_not_fit_is_refused():
  real, fake = bars(9, 0), bars(9, 1)
  with pytest.raises(ValueError, match="train labels"):
    classification_accuracy_score(real, {"x": fake["x"], "y": fake["y"] + 1}, 2)
  with pytest.raises(ValueError, match="test images"):
    classification_accuracy_score({"x": real["x"] / 255, "y": real["y"]}, fake, 2)
