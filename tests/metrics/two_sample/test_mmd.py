"""MMD with a Gaussian kernel: points, Gaussians, both estimators."""

import numpy as np
import pytest

from gan_jax.metrics import rbf_mmd
from gan_jax.metrics.two_sample import pairs
from gan_jax.metrics.two_sample.mmd import rbf_within


def normal(seed: int, n: int, d: int, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
  return mean + std * np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("unbiased", [False, True])
def test_closed_form_of_two_points(unbiased: bool):
  """All of one set at 0 and all of the other at distance 5."""
  x, y = np.zeros((3, 2)), np.tile([3.0, 4.0], (4, 1))
  found = rbf_mmd(x, y, bandwidth=2, scale=7, unbiased=unbiased)
  assert found == pytest.approx(7 * 2 * (1 - np.exp(-25 / 8)), rel=1e-14)


@pytest.mark.parametrize("unbiased", [False, True])
def test_what_is_of_real_features_alone_may_be_known(unbiased: bool):
  x, y = normal(0, 50, 3).astype(np.float32), normal(1, 40, 3, mean=0.5)
  options = {"bandwidth": 2.0, "unbiased": unbiased}
  known = rbf_within(x, **options)
  assert rbf_mmd(x, y, within_real=known, **options) == rbf_mmd(x, y, **options)


def test_closed_form_of_gaussians():
  """E k(x, y) = (b² / (b² + s² + t²))^(d/2) exp(-|m|² / 2(b² + s² + t²)); 20 draws of 300."""
  b, s, t, m, d = 1.5, 1.0, 1.3, 0.4, 3

  def mean(spread: float, shift: float) -> float:
    total = b**2 + spread
    return (b**2 / total) ** (d / 2) * np.exp(-d * shift**2 / (2 * total))

  expected = mean(2 * s**2, 0) + mean(2 * t**2, 0) - 2 * mean(s**2 + t**2, m)
  found = np.array(
    [
      rbf_mmd(
        normal(2 * i, 300, d, 0, s),
        normal(2 * i + 1, 300, d, m, t),
        bandwidth=b,
        scale=1,
        unbiased=True,
      )
      for i in range(20)
    ]
  )
  error = found.std() / np.sqrt(len(found))
  assert found.mean() == pytest.approx(expected, abs=4 * error) and error < expected / 20


def test_bias_is_what_the_text_says():
  x, y = normal(0, 40, 3), normal(1, 50, 3)
  found = [rbf_mmd(x, y, bandwidth=1, unbiased=unbiased) for unbiased in (False, True)]
  unlike = 1 - 3**-1.5  # 1 - E k(x, x'), by the formula above
  assert found[0] - found[1] == pytest.approx(1000 * (1 / 40 + 1 / 50) * unlike, rel=0.05)


def test_equal_sets_are_at_zero_whatever_the_order():
  x = normal(0, 100, 5)
  assert 0 <= rbf_mmd(x, x[::-1]) < 1e-11
  assert rbf_mmd(x, x, unbiased=True) < 0  # its price for having no bias


def test_symmetric_and_the_same_in_any_tiles(monkeypatch):
  x, y = normal(0, 50, 3), normal(1, 70, 3, 0.3)
  whole = rbf_mmd(x, y)
  assert rbf_mmd(y[::-1], x) == pytest.approx(whole, rel=1e-10)
  monkeypatch.setattr(pairs, "TILE", 16)
  assert rbf_mmd(x, y) == pytest.approx(whole, rel=1e-10)
  assert rbf_mmd(3 * x, 3 * y, bandwidth=30) == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.nan])
def test_bandwidth_is_checked(bandwidth: float):
  with pytest.raises(ValueError, match="expected a positive number"):
    rbf_mmd(np.zeros((2, 1)), np.zeros((2, 1)), bandwidth=bandwidth)
