"""Fréchet distance: closed forms, an independent formula, streaming, and degenerate sets."""

import functools
import warnings

import numpy as np
import pytest
import scipy.linalg

from gan_jax.metrics import (
  Gaussian,
  Moments,
  class_frechet_distances,
  frechet_distance,
  merge,
  moments,
)


def normal(seed: int, n: int, d: int, scale: float = 1.0) -> np.ndarray:
  rng = np.random.default_rng(seed)
  return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * scale + rng.normal(size=d)


def gaussian(mean: np.ndarray, covariance: np.ndarray, n: int = 2) -> Moments:
  return Moments(n, np.asarray(mean, float), np.asarray(covariance, float) * (n - 1))


def independent(x: np.ndarray, y: np.ndarray) -> float:
  """The textbook form, through the Schur root of the product of the covariances."""
  a, b = np.cov(x.T), np.cov(y.T)
  root = np.real(scipy.linalg.sqrtm(a @ b))
  return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root))


def test_closed_form_of_commuting_gaussians():
  """|m₁ - m₂|² + Σ (√s₁ - √s₂)², here 9 + 16 + (2 - 1)² + (3 - 1)²."""
  a, b = gaussian([0, 0], np.diag([4, 9])), gaussian([3, 4], np.eye(2))
  assert frechet_distance(a, b) == pytest.approx(9 + 16 + 1 + 4, rel=1e-12)


def test_closed_form_of_orthogonal_lines():
  """Covariances whose product is zero: nothing is shared, so both traces remain."""
  a, b = gaussian([0, 0], np.diag([4, 0])), gaussian([0, 0], np.diag([0, 9]))
  assert frechet_distance(a, b) == pytest.approx(13, rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_closed_form_does_not_depend_on_the_basis(seed: int):
  """The zeros must not turn into rounding errors whose roots are seen: 1e-8 here."""
  turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]
  s, t = np.array([1, 2, 3, 4, 5.0]), np.array([5, 4, 3, 0, 0.0])
  a = gaussian(np.zeros(5), turn * s @ turn.T)
  b = gaussian(np.zeros(5), turn * t @ turn.T)
  assert frechet_distance(a, b) == pytest.approx(((s**0.5 - t**0.5) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("d", [1, 3, 64])
def test_agrees_with_an_independent_formula(d: int):
  x, y = normal(0, 500, d), normal(1, 700, d, 2.0)
  ours = frechet_distance(moments(x), moments(y))
  if d > 1:  # np.cov of one variable is a number
    assert ours == pytest.approx(independent(x, y), rel=1e-6)
  scaled = frechet_distance(moments(3 * x), moments(3 * y))
  assert scaled == pytest.approx(9 * ours, rel=1e-9)


def test_symmetric():
  a, b = moments(normal(0, 300, 8)), moments(normal(1, 200, 8))
  assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


@pytest.mark.parametrize("n", [2, 10, 100])
def test_equal_sets_are_at_distance_zero_even_without_full_rank(n: int):
  x = normal(0, n, 32)
  a, shuffled = moments(x), moments(x[::-1])
  assert 0 <= frechet_distance(a, shuffled) <= 1e-12 * np.trace(a.covariance)


def test_rank_deficient_sets_that_differ():
  """Five vectors in 64 dimensions; a shift alone is the squared distance of the means."""
  x = normal(0, 5, 64)
  assert frechet_distance(moments(x), moments(x + 2)) == pytest.approx(4 * 64, rel=1e-12)
  scaled = frechet_distance(moments(x - x.mean(0)), moments(3 * (x - x.mean(0))))
  assert scaled == pytest.approx(4 * np.trace(moments(x).covariance), rel=1e-9)


@pytest.mark.parametrize("n", [5, 40])
def test_the_root_of_a_singular_product_is_the_wrong_form(n: int):
  """The zeros of the product are rounding errors: their roots add up, or the root has no limit."""
  x = normal(0, n, 64)
  x = x - x.mean(0)
  exact = 4 * np.trace(moments(x).covariance)  # of x and 3x
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    wrong = independent(x, 3 * x)
  assert not abs(wrong - exact) < 1e-9 * exact  # NaN counts
  assert frechet_distance(moments(x), moments(3 * x)) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("seed", range(3))
def test_features_of_very_different_scales(seed: int):
  """Commuting covariances with eigenvalues from 1 to 1e-10."""
  turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(40, 40)))[0]
  s, t = np.logspace(0, -10, 40), np.logspace(-1, -9, 40)
  a = gaussian(np.zeros(40), turn * s @ turn.T)
  b = gaussian(np.zeros(40), turn * t @ turn.T)
  assert frechet_distance(a, b) == pytest.approx(((s**0.5 - t**0.5) ** 2).sum(), rel=1e-11)


def test_each_class_has_the_distance_of_its_own_examples():
  x, y = normal(0, 60, 3), normal(1, 50, 3)
  of_x, of_y = np.arange(60) % 3 + 4, np.arange(50) % 3 + 4
  found = class_frechet_distances(x, of_x, y, of_y)
  assert list(found) == [4, 5, 6]
  for label, distance in found.items():
    alone = frechet_distance(moments(x[of_x == label]), moments(y[of_y == label]))
    assert distance == alone


def test_exchanged_classes_are_seen_by_class_alone():
  """A generator that makes a 1 for a 0 and a 0 for a 1 has the right examples, all in all."""
  x = np.concatenate([normal(0, 50, 3), normal(1, 50, 3) + 10])
  labels = np.repeat([0, 1], 50)
  right, wrong = (class_frechet_distances(x, labels, x, y) for y in (labels, 1 - labels))
  assert max(right.values()) < 1e-12 and min(wrong.values()) > 100


def test_labels_that_do_not_fit_are_refused():
  x = np.zeros((4, 2))
  with pytest.raises(ValueError, match=r"4 fake features have labels \[3\]"):
    class_frechet_distances(x, np.zeros(4, int), x, np.zeros(3, int))
  with pytest.raises(ValueError, match="class 1 has 2 real and 0 fake examples"):
    class_frechet_distances(x, np.array([0, 0, 1, 1]), x, np.zeros(4, int))


def test_constant_features():
  a, b = moments(np.zeros((4, 3))), moments(np.ones((4, 3)))
  assert frechet_distance(a, a) == 0
  assert frechet_distance(a, b) == 3


def test_moments_are_those_of_numpy():
  x = normal(0, 50, 4).astype(np.float32)
  found = moments(x)
  assert found.n == 50 and found.mean.dtype == found.scatter.dtype == np.float64
  np.testing.assert_allclose(found.mean, x.astype(np.float64).mean(0), rtol=1e-14)
  np.testing.assert_allclose(found.covariance, np.cov(x.astype(np.float64).T), rtol=1e-12)


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [499], [100, 200, 333]])
def test_streaming_in_any_batches_is_the_same(cuts: list[int]):
  x = normal(0, 500, 6) + 1e4  # far from the origin, where sums of squares would lose all digits
  whole = moments(x)
  parts = [moments(part) for part in np.split(x, cuts)]
  for order in (parts, parts[::-1]):
    streamed = functools.reduce(merge, order)
    assert streamed.n == whole.n
    np.testing.assert_allclose(streamed.mean, whole.mean, rtol=1e-14)
    scale = np.abs(whole.scatter).max()
    np.testing.assert_allclose(streamed.scatter, whole.scatter, rtol=0, atol=1e-12 * scale)


def test_features_that_are_not_finite_are_refused():
  x = np.zeros((5, 3))
  x[2, 1], x[4, 0] = np.nan, np.inf
  with pytest.raises(ValueError, match="2 of 5 feature vectors .* NaN or infinite"):
    moments(x)
  fine = Gaussian(None, np.zeros(2), np.eye(2))
  for bad in (np.nan, np.inf):  # they would be at a distance of 0 from anything
    spoiled = {"mean": np.array([0, bad]), "covariance": np.full((2, 2), bad)}
    for one in (fine._replace(**{name: value}) for name, value in spoiled.items()):
      with pytest.raises(ValueError, match="NaN or infinite"):
        frechet_distance(fine, one)


def test_what_makes_no_sense_is_refused():
  for bad in (np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2))):
    with pytest.raises(ValueError, match=r"expected \[n, d\]"):
      moments(bad)
  one, two, wide = moments(np.zeros((1, 3))), moments(np.zeros((2, 3))), moments(np.zeros((2, 4)))
  with pytest.raises(ValueError, match="at least 2 feature vectors"):
    frechet_distance(one, two)
  with pytest.raises(ValueError, match="width 3 and 4"):
    frechet_distance(two, wide)
  with pytest.raises(ValueError, match="width 3 and 4"):
    merge(two, wide)
