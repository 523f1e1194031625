"""Class coverage, divergence and consistency, counted by hand."""

import math

import numpy as np
import pytest

from gan_jax.metrics import class_accuracy, class_coverage, class_kl, class_shares

UNIFORM = np.full(4, 0.25)


def labels(*counts: int) -> np.ndarray:
  return np.repeat(np.arange(len(counts)), counts)


def test_shares():
  np.testing.assert_array_equal(class_shares(labels(1, 0, 3), 4), [0.25, 0, 0.75, 0])


@pytest.mark.parametrize(
  ("counts", "least", "covered"),
  [
    ((25, 25, 25, 25), 0.1, 4),
    ((100, 0, 0, 0), 0.1, 1),
    ((97, 3, 0, 0), 0.1, 2),  # 3% is more than a tenth of a quarter
    ((98, 2, 0, 0), 0.1, 1),  # 2% is less
    ((98, 2, 0, 0), 0, 2),
    ((100, 0, 0, 0), 0, 1),  # a class without samples is never covered
  ],
)
def test_coverage(counts: tuple[int, ...], least: float, covered: int):
  assert class_coverage(labels(*counts), UNIFORM, least=least) == covered


def test_coverage_of_unequal_classes_asks_for_less_of_the_rare():
  shares = np.array([0.9, 0.1])
  assert class_coverage(labels(980, 20), shares) == 2
  assert class_coverage(labels(20, 980), shares) == 1


@pytest.mark.parametrize(
  ("counts", "kl"),
  [
    ((25, 25, 25, 25), 0),
    ((100, 0, 0, 0), math.log(4)),
    ((50, 50, 0, 0), math.log(2)),
    ((75, 25, 0, 0), 0.75 * math.log(3)),
  ],
)
def test_kl(counts: tuple[int, ...], kl: float):
  assert class_kl(labels(*counts), UNIFORM) == pytest.approx(kl, abs=1e-12)


def test_kl_is_to_the_data_and_in_the_order_model_data():
  p, q = np.array([0.8, 0.2]), np.array([0.5, 0.5])
  assert class_kl(labels(8, 2), q) == pytest.approx((p * np.log(p / q)).sum())
  assert class_kl(labels(5, 5), p) == pytest.approx((q * np.log(q / p)).sum())
  assert class_kl(labels(5, 5), np.array([1.0, 0.0])) == math.inf
  assert class_kl(labels(5, 0), np.array([1.0, 0.0])) == 0


def test_kl_of_a_perfect_sampler_of_stacked_digits():
  """1000 modes, 26,000 samples: about 0.019, which no generator can undercut but by luck."""
  drawn = np.random.default_rng(0).integers(1000, size=26_000)
  assert class_kl(drawn, np.full(1000, 1e-3)) == pytest.approx(999 / 52_000, rel=0.15)
  assert class_coverage(drawn, np.full(1000, 1e-3), least=0) == 1000


def test_accuracy():
  assert class_accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 0, 3])) == 0.75


def test_what_does_not_fit_is_refused():
  for bad in (np.array([], int), np.array([4]), np.array([-1]), np.array([[1]])):
    with pytest.raises(ValueError, match="do not fit 4 classes"):
      class_shares(bad, 4)
  for bad in ([0.5, 0.5, 0, np.nan], [0.5, 0.6, -0.1, 0], [np.inf, 1, 1, 1]):  # not a KL of 0
    with pytest.raises(ValueError, match="expected numbers >= 0"):
      class_kl(labels(1, 1, 1, 1), np.array(bad))
  with pytest.raises(ValueError, match="one for each"):
    class_accuracy(np.zeros(3), np.zeros(4))
