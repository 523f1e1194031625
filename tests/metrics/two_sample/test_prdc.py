"""Precision, recall, density, coverage: by hand, in expectation, and which set is which."""

import numpy as np
import pytest

from gan_jax.metrics import prdc
from gan_jax.metrics.two_sample import pairs
from gan_jax.metrics.two_sample.prdc import radii


def normal(seed: int, n: int, d: int = 8, std: float = 1.0) -> np.ndarray:
  return std * np.random.default_rng(seed).normal(size=(n, d))


def line(*points: float) -> np.ndarray:
  return np.array(points, float)[:, None]


def test_by_hand():
  """Balls of real 0, 1, 3 and 7 reach 1, 1, 2 and 4; those of fake 0.5, 2.5 and 20 2, 2, 17.5."""
  found = prdc(line(0, 1, 3, 7), line(0.5, 2.5, 20), k=1)
  assert found.precision == 2 / 3  # 0.5 and 2.5
  assert found.recall == 1  # 0 and 1 by 0.5's, 3 by 2.5's, 7 by 20's
  assert found.density == pytest.approx(3 / 3)  # 0.5 in the balls of 0 and 1, 2.5 in that of 3
  assert found.coverage == 3 / 4


def test_the_rim_is_outside():
  """Of the ball of 0 that reaches 2, and of a ball of which the centre occurs twice."""
  assert prdc(line(0, 2), line(-2, -9), k=1)[:4] == (0, 1, 0, 0)
  assert prdc(line(0, 2), line(-1.99, -9), k=1)[:4] == (0.5, 1, 0.5, 0.5)
  assert prdc(line(5, 5), line(5, 5), k=1)[:4] == (0, 0, 0, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_radii_may_be_known(dtype):
  """Far from the origin too, of whole numbers, whose distances are the same anywhere."""
  real, fake = (normal(seed, 60, std=20).round().astype(dtype) for seed in (0, 1))
  far = 1e8 if dtype == np.float64 else 0
  assert prdc(real + far, fake + far, real_radii=radii(real + far, 5)) == prdc(real, fake)


def test_swapping_the_sets_swaps_precision_and_recall():
  """A narrow generator is precise and forgets; the wrong order says the contrary."""
  real, fake = normal(0, 300), normal(1, 300, std=0.7)
  found, swapped = prdc(real, fake), prdc(fake, real)
  assert found.precision == swapped.recall > found.recall == swapped.precision


def test_a_common_offset_changes_nothing():
  """Of whole numbers, which an offset of 2^30 leaves exact, as distances are."""
  real, fake = np.random.default_rng(0).integers(0, 40, size=(2, 60, 3)).astype(float)
  assert prdc(real + 2**30, fake + 2**30) == prdc(real, fake)


def test_equal_sets():
  x = normal(0, 200)
  assert prdc(x, x)[:4] == pytest.approx((1, 1, 1, 1))
  assert prdc(x, x[::-1])[:4] == pytest.approx((1, 1, 1, 1))
  assert prdc(x, x + 100)[:4] == (0, 0, 0, 0)


def test_one_distribution_has_the_scores_that_are_known():
  """Density 1, coverage 1 - Π (n - i) / (2n - i), i = 1..k; 20 draws, 4 standard errors."""
  n, k = 100, 5
  found = np.array([prdc(normal(2 * i, n), normal(2 * i + 1, n), k=k)[:4] for i in range(20)])
  mean, error = found.mean(axis=0), found.std(axis=0) / np.sqrt(len(found))
  i = np.arange(1, k + 1)
  assert mean[2] == pytest.approx(1, abs=4 * error[2])
  assert mean[3] == pytest.approx(1 - np.prod((n - i) / (2 * n - i)), abs=4 * error[3])
  assert error[3] < 0.01


def test_an_outlier_fools_precision_and_not_density():
  real = np.concatenate([normal(0, 200), np.full((1, 8), 30.0)])
  fake = normal(1, 200) + 20  # within the outlier's ball alone
  found = prdc(real, fake)
  assert found.precision == 1 and found.density == pytest.approx(1 / 5)
  assert found.coverage == 1 / 201


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_order_of_samples_and_the_tiles_do_not_matter(dtype, monkeypatch):
  real, fake = normal(0, 150).astype(dtype), normal(1, 130, std=0.9).astype(dtype)
  whole = prdc(real, fake)
  monkeypatch.setattr(pairs, "TILE", 40)
  assert prdc(real[::-1], fake[::-1]) == whole


@pytest.mark.parametrize("sizes", [(5, 9), (9, 5)])
def test_too_few_examples_for_k_are_refused(sizes):
  with pytest.raises(ValueError, match=r"shape \[5, 8\]: expected \[n, d\] with n >= 6"):
    prdc(normal(0, sizes[0]), normal(1, sizes[1]), k=5)
  with pytest.raises(ValueError, match="k is 0"):
    prdc(normal(0, 9), normal(1, 9), k=0)
