"""Sliced Wasserstein: shifts and Gaussians in closed form, unequal counts, invariances."""

import numpy as np
import pytest
from scipy import stats

from gan_jax.metrics import random_directions, sliced_wasserstein_distance

LINES = random_directions(6, 100, seed=0)


def normal(seed: int, n: int, d: int = 6) -> np.ndarray:
  return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_closed_form_of_a_shift(order: float):
  """Along θ everything moves by θ·s; over all directions that is ‖s‖ / √d for p = 2."""
  x, shift = normal(0, 50), np.array([1.0, -2, 0, 3, 0.5, 0])
  along = np.abs(LINES @ shift)
  found = sliced_wasserstein_distance(x, x + shift, LINES, order=order)
  assert found == pytest.approx((along**order).mean() ** (1 / order), rel=1e-12)
  if order == 2:
    # The square of a cosine in 6 dimensions has standard deviation .236 around 1/6: of 4,000, the
    # mean is known to 2.2%, and its root to 1.1%.
    many = random_directions(6, 4000, seed=1)
    expected = np.linalg.norm(shift) / np.sqrt(6)
    assert sliced_wasserstein_distance(x, x + shift, many) == pytest.approx(expected, rel=0.05)


def test_closed_form_of_gaussians():
  """N(0, 1) to N(m, 9 I): √(mean of (θ·m)² + (3 - 1)²), here with 20,000 points each.

  Along one line samples miss the distance of their densities by some 3 / √20,000, 1% of it.
  """
  shift = np.array([2.0, 0, 0, 0, 0, 0])
  found = sliced_wasserstein_distance(normal(0, 20_000), 3 * normal(1, 20_000) + shift, LINES)
  assert found == pytest.approx(np.sqrt(((LINES @ shift) ** 2).mean() + 4), rel=0.02)


def test_one_direction_is_the_wasserstein_distance_of_a_line():
  """With unequal counts, against SciPy's own form for p = 1."""
  x, y = normal(0, 37, 1), normal(1, 54, 1) * 2 + 1
  line = np.array([[1.0]])
  expected = stats.wasserstein_distance(x[:, 0], y[:, 0])
  assert sliced_wasserstein_distance(x, y, line, order=1) == pytest.approx(expected, rel=1e-12)


def test_copies_of_a_set_are_the_same_set():
  x, y = normal(0, 9), normal(1, 9)
  once = sliced_wasserstein_distance(x, y, LINES)
  assert sliced_wasserstein_distance(
    np.tile(x, (2, 1)), np.tile(y, (5, 1)), LINES
  ) == pytest.approx(once)


def test_equal_sets_are_at_distance_zero_in_any_order():
  x, y = normal(0, 40), normal(1, 40)
  assert sliced_wasserstein_distance(x, x[::-1], LINES) == 0
  forth, back = (
    sliced_wasserstein_distance(x, y, LINES),
    sliced_wasserstein_distance(y[::-1], x, LINES[::-1]),
  )
  assert 0 < forth == pytest.approx(back, rel=1e-12)
  assert sliced_wasserstein_distance(3 * x, 3 * y, LINES) == pytest.approx(3 * forth, rel=1e-12)


def test_directions_are_drawn_from_the_seed():
  np.testing.assert_allclose(np.linalg.norm(LINES, axis=1), 1, rtol=1e-12)
  np.testing.assert_array_equal(LINES, random_directions(6, 100, seed=0))
  assert (random_directions(6, 100, seed=1) != LINES).all()


def test_what_does_not_fit_is_refused():
  x = normal(0, 5)
  for bad in ((x[:, :5], x, LINES), (x, x[0], LINES), (x, x[:0], LINES), (x, x, LINES[:, :5])):
    with pytest.raises(ValueError, match=r"expected \[n, d\], \[m, d\] and \[k, d\]"):
      sliced_wasserstein_distance(*bad)
  with pytest.raises(ValueError, match="fake has entries that are NaN"):
    sliced_wasserstein_distance(x, np.where(x == x[2, 1], np.nan, x), LINES)
  with pytest.raises(ValueError, match="not of length 1"):
    sliced_wasserstein_distance(x, x, 2 * LINES)
  with pytest.raises(ValueError, match=r"order is 0\.5"):
    sliced_wasserstein_distance(x, x, LINES, order=0.5)
