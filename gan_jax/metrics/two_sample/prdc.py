"""Precision, recall, density and coverage: which examples lie in the neighbourhoods of others."""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.two_sample.pairs import distance_tiles, feature_set, feature_sets, near_origin


class PRDC(NamedTuple):
  """How two sets of features overlap.

  Attributes:
    precision: the share of fake examples in the ball of some real one: are they realistic?
    recall: the share of real examples in the ball of some fake one: is everything made?
    density: how many real balls a fake example lies in, over k: precision that one outlier of the
      real examples cannot raise. 1 is expected for two sets of one distribution; can be above 1.
    coverage: the share of real balls with a fake example in them: recall that outliers of the fake
      examples cannot raise. 1 - 2^-k, about, for large equal counts of one distribution.
  """

  precision: float
  recall: float
  density: float
  coverage: float


def prdc(
  real: np.ndarray, fake: np.ndarray, *, k: int = 5, real_radii: np.ndarray | None = None
) -> PRDC:
  """Computes precision, recall, density and coverage.

  Precision and recall: Kynkäänniemi et al. 2019 (arXiv:1904.06991); density and coverage: Naeem et
  al. 2020 (arXiv:2002.09797). The ball of an example reaches to the k-th nearest other example of
  its own set, and is open: what lies just on its rim, or on an example that k others coincide
  with, is outside. Balls of torch-fidelity 0.4.0 are closed: its precision and recall are these
  where no distances tie, and others of repeated or of binary vectors. Distances are compared in the
  type of the features: in float32, ties are ties; in float64, rounding may part examples at equal
  distances. Memory goes with n + m.

  Args:
    real: features [n, d], n > k.
    fake: features [m, d], m > k. Precision of (real, fake) is recall of (fake, real).
    k: >= 1.
    real_radii: `radii` of the real features, [n], where they are known.

  Returns:
    The four scores. They depend on the counts.

  Raises:
    ValueError: shapes that do not fit, numbers that are not finite, or too few examples for k.
  """
  if k < 1:
    raise ValueError(f"k is {k}: expected at least 1 neighbour")
  real, fake = near_origin(*feature_sets(real, fake, least=k + 1))
  real_radii = radii(real, k) if real_radii is None else real_radii
  fake_radii = radii(fake, k)
  balls = np.zeros(len(fake), np.int64)  # real balls that a fake example is in
  recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
  for rows, columns, distances in distance_tiles(real, fake):
    inside = distances < real_radii[rows, None]
    balls[columns] += inside.sum(axis=0)
    covered[rows] |= inside.any(axis=1)
    recalled[rows] |= (distances < fake_radii[columns]).any(axis=1)
  return PRDC(
    precision=float((balls > 0).mean()),
    recall=float(recalled.mean()),
    density=float((1 / k) * balls.mean()),
    coverage=float(covered.mean()),
  )


def radii(x: np.ndarray, k: int) -> np.ndarray:
  """Computes the distance from each example to its k-th nearest other one, [n]."""
  x = feature_set(x, least=k + 1)
  x, _ = near_origin(x, x)
  nearest = np.full((len(x), k), np.inf, x.dtype)
  for rows, columns, distances in distance_tiles(x, x, upper=True):
    if rows == columns:
      np.fill_diagonal(distances, np.inf)
    else:
      nearest[columns] = _smallest(nearest[columns], distances.T)
    nearest[rows] = _smallest(nearest[rows], distances)
  return nearest.max(axis=1)


def _smallest(nearest: np.ndarray, new: np.ndarray) -> np.ndarray:
  """Computes the k smallest of [n, k] and [n, m] in each row, in any order."""
  k = nearest.shape[1]
  both = np.concatenate([nearest, new], axis=1)
  both.partition(k - 1, axis=1)
  return both[:, :k]
