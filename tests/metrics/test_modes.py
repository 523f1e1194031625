"""Mode coverage: counted by hand, then on the mixtures' own samples."""

import math

import numpy as np
import pytest

from gan_jax.data import GRID25, RING8
from gan_jax.metrics import mode_coverage

CENTERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)


@pytest.mark.parametrize(
  ("samples", "modes", "high_quality", "kl"),
  [
    ([[0, 0], [1, 0], [0, 1], [1, 1]], 4, 1.0, 0.0),  # perfect
    ([[0, 0], [0, 0.1], [0.1, 0], [0.2, 0]], 1, 1.0, math.log(4)),  # collapsed
    ([[0, 0], [1, 0], [0.5, 0.5], [9, 9]], 2, 0.5, math.log(2)),  # half of it between the modes
    ([[0, 0], [0, 0], [0, 0], [1, 1]], 2, 1.0, 0.75 * math.log(3) + 0.25 * math.log(1)),
    ([[0.31, 0], [5, 5]], 0, 0.0, math.inf),  # nothing within 3 std
    ([[0.29, 0], [5, 5]], 1, 0.5, math.log(4)),  # just within
    ([[np.nan, 0], [np.inf, -np.inf], [1, 1], [1, 1]], 1, 0.5, math.log(4)),  # diverged in part
  ],
)
def test_counted_by_hand(samples: list, modes: int, high_quality: float, kl: float):
  found = mode_coverage(np.array(samples, np.float32), CENTERS, std=0.1)
  assert found == {"modes": modes, "high_quality": high_quality, "kl": pytest.approx(kl, abs=1e-12)}


@pytest.mark.parametrize("mixture", [RING8, GRID25], ids=["ring8", "grid25"])
def test_the_mixture_itself(mixture):
  rng, m, n = np.random.default_rng(0), len(mixture.centers), 40_000
  samples = mixture.centers[rng.integers(m, size=n)] + mixture.std * rng.normal(size=(n, 2))
  found = mode_coverage(samples, mixture.centers, mixture.std)
  assert found["modes"] == m
  assert found["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=4 * (0.011 / n) ** 0.5)
  assert found["kl"] == pytest.approx((m - 1) / (2 * n), rel=0.9)  # a chi-square of m - 1


def test_order_does_not_matter():
  samples = np.random.default_rng(0).normal(size=(100, 2))
  assert mode_coverage(samples, CENTERS, 0.1) == mode_coverage(samples[::-1], CENTERS, 0.1)


@pytest.mark.parametrize("shape", [(0, 2), (5,), (5, 3)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...]):
  with pytest.raises(ValueError, match="do not fit centers"):
    mode_coverage(np.zeros(shape), CENTERS, 0.1)
