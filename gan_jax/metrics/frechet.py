"""The Fréchet distance between two sets of features, from moments that can be streamed.

total = functools.reduce(merge, map(moments, batches))
"""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
  """Count, mean and spread of n feature vectors, in float64.

  Attributes:
    n: how many vectors.
    mean: [d].
    scatter: [d, d], the sum of (x - mean)(x - mean)ᵀ: unlike a covariance it adds up.
  """

  n: int
  mean: np.ndarray
  scatter: np.ndarray

  @property
  def covariance(self) -> np.ndarray:
    """The unbiased covariance [d, d], with 1 / (n - 1)."""
    if self.n < 2:
      raise ValueError(f"a covariance needs at least 2 feature vectors, and there is {self.n}")
    return self.scatter / (self.n - 1)


def moments(features: np.ndarray) -> Moments:
  """Computes the moments of a batch of features.

  Args:
    features: [n, d] with n >= 1, any real type.

  Returns:
    Their moments.

  Raises:
    ValueError: another shape, or numbers that are not finite.
  """
  x = np.asarray(features, np.float64)
  if x.ndim != 2 or len(x) == 0:
    raise ValueError(f"features have shape {list(x.shape)}: expected [n, d] with n >= 1")
  bad = len(x) - int(np.isfinite(x).all(axis=1).sum())
  if bad:
    raise ValueError(
      f"{bad} of {len(x)} feature vectors have entries that are NaN or infinite, which no distance"
      " can be computed from: check the images and the network that looked at them"
    )
  mean = x.mean(axis=0)
  return Moments(len(x), mean, (x - mean).T @ (x - mean))


def merge(a: Moments, b: Moments) -> Moments:
  """Computes the moments of two sets put together.

  Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
  variances".

  Args:
    a: moments of one set.
    b: moments of the other.

  Returns:
    The moments of all a.n + b.n vectors.
  """
  _check_same_width(a, b)
  n = a.n + b.n
  step = b.mean - a.mean
  scatter = a.scatter + b.scatter + np.outer(step, step) * (a.n * b.n / n)
  return Moments(n, a.mean + step * (b.n / n), scatter)


def frechet_distance(a: Moments, b: Moments) -> float:
  """Computes the squared Fréchet distance between the Gaussians with these moments.

  |m₁ - m₂|² + tr S₁ + tr S₂ - 2 tr (S₁^½ S₂ S₁^½)^½: Dowson & Landau 1982; as a score of
  generators, Heusel et al. 2017 (arXiv:1706.08500). It is biased upwards by the sample counts, so
  compare only scores made with equal counts.

  Args:
    a: moments of one set, n >= 2. Fewer vectors than dimensions are allowed.
    b: moments of the other.

  Returns:
    A finite number >= 0.

  Raises:
    ValueError: different widths, or a set of one vector.
  """
  _check_same_width(a, b)
  covariance_a, covariance_b = a.covariance, b.covariance
  # The eigenvalues of S₁^½ S₂ S₁^½ are the squared singular values of S₁^½ S₂^½. Taking these
  # without squaring keeps the digits that matter where the covariances have no full rank.
  cross = np.linalg.svdvals(_root(covariance_a) @ _root(covariance_b)).sum()
  spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross
  return max(0.0, float(((a.mean - b.mean) ** 2).sum() + spread))


def _root(covariance: np.ndarray) -> np.ndarray:
  """Computes the symmetric root of a positive semi-definite matrix."""
  values, vectors = np.linalg.eigh(covariance)
  # Zero eigenvalues come out as rounding errors, of which roots would make errors of 1e-8.
  noise = len(values) * np.finfo(np.float64).eps * values.max()
  return vectors * np.sqrt(np.where(values > noise, values, 0)) @ vectors.T


def _check_same_width(a: Moments, b: Moments) -> None:
  if a.mean.shape != b.mean.shape:
    raise ValueError(
      f"features of width {len(a.mean)} and {len(b.mean)} cannot be compared: both sets must come"
      " from the same network"
    )
