"""Kernel distance: moments on the line, no bias, subsets, and what it was made from."""

import numpy as np
import pytest

from gan_jax.metrics import kernel_distance, polynomial_mmd, squared_mmd
from gan_jax.metrics.two_sample import pairs
from gan_jax.metrics.two_sample.mmd import _shifted_cubes as cubes


def normal(seed: int, n: int, d: int = 4, mean: float = 0.0) -> np.ndarray:
  return mean + np.random.default_rng(seed).normal(size=(n, d))


def test_on_the_line_it_compares_three_moments():
  """With d = 1, (xy + 1)³ = x³y³ + 3x²y² + 3xy + 1, of which means are products of moments."""
  x, y = normal(0, 30, 1), normal(1, 20, 1, 0.5)
  first, second, third = (((x**p).mean() - (y**p).mean()) ** 2 for p in (1, 2, 3))
  found = squared_mmd(cubes, x, y, unbiased=False)
  assert found == pytest.approx(third + 3 * second + 3 * first, rel=1e-12)


def test_by_hand():
  """Kernels of 0 are 1; of 1 with 1 and 2 are 8 and 27; pairs with oneself are left out."""
  x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
  expected = 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4
  assert polynomial_mmd(x, y) == pytest.approx(expected, rel=1e-14)


def test_no_bias_where_the_other_estimator_has_one():
  """400 pairs of small sets of one Gaussian: 0 within 4 standard errors; and far above it."""
  sets = [(normal(2 * i, 10), normal(2 * i + 1, 10)) for i in range(400)]
  for unbiased in (True, False):
    found = np.array([squared_mmd(cubes, x, y, unbiased=unbiased) for x, y in sets])
    sigmas = found.mean() / (found.std() / np.sqrt(len(found)))
    assert abs(sigmas) < 4 if unbiased else sigmas > 20


def test_order_of_samples_and_the_tiles_do_not_matter(monkeypatch):
  x, y = normal(0, 50), normal(1, 70, mean=0.3)
  whole = polynomial_mmd(x, y)
  monkeypatch.setattr(pairs, "TILE", 16)
  assert polynomial_mmd(x[::-1], y[::-1]) == pytest.approx(whole, rel=1e-12)
  assert polynomial_mmd(y, x) == pytest.approx(whole, rel=1e-12)


def test_products_in_float32_keep_six_digits():
  x, y = normal(0, 300, 500).astype(np.float32), normal(1, 300, 500, 0.1).astype(np.float32)
  exact = polynomial_mmd(x.astype(np.float64), y.astype(np.float64))
  assert polynomial_mmd(x, y) == pytest.approx(exact, rel=1e-6)


def test_subsets_of_everything_are_everything():
  x, y = normal(0, 60), normal(1, 60, mean=0.3)
  found = kernel_distance(x, y, subsets=3, subset_size=60, seed=0)
  assert found.mean == pytest.approx(polynomial_mmd(x, y), rel=1e-12)
  assert found.error < 1e-14
  assert found.n == 3


def test_mean_and_error_are_those_of_the_subsets():
  """Averages over subsets estimate the whole; the seed, or its generator, decides the draws."""
  x, y = normal(0, 300), normal(1, 300, mean=0.3)
  found = kernel_distance(x, y, subsets=50, subset_size=30, seed=7)
  assert found == kernel_distance(x, y, subsets=50, subset_size=30, seed=np.random.default_rng(7))
  assert found != kernel_distance(x, y, subsets=50, subset_size=30, seed=8)
  assert found.mean == pytest.approx(polynomial_mmd(x, y), abs=4 * found.error)
  rng = np.random.default_rng(7)
  draw = lambda a: a[rng.choice(300, 30, replace=False)]
  each = [polynomial_mmd(draw(x), draw(y)) for _ in range(50)]
  assert found.mean == pytest.approx(np.mean(each), rel=1e-12)
  assert found.error == pytest.approx(np.std(each, ddof=1) / np.sqrt(50), rel=1e-12)


def test_equal_sets_are_about_zero_and_shifted_ones_are_not():
  x = normal(0, 200)
  same = kernel_distance(x, x, subsets=100, subset_size=50, seed=0)
  apart = kernel_distance(x, x + 0.5, subsets=100, subset_size=50, seed=0)
  assert same.mean < 4 * same.error < apart.mean


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"subset_size": 11}, "subsets of 11 cannot be drawn from 10 real and 12 fake"),
    ({"subset_size": 1}, "100 subsets of 1: expected at least 2 subsets of 2"),
    ({"subset_size": 5, "subsets": 1}, "1 subsets of 5"),
  ],
)
def test_mistakes_are_named(options, message):
  with pytest.raises(ValueError, match=message):
    kernel_distance(normal(0, 10), normal(1, 12), seed=0, **options)
