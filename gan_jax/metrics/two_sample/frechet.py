"""The Fréchet distance between two sets of features, from moments that can be streamed.

    total = functools.reduce(merge, map(moments, batches))

Moments of parts make those of the whole.
"""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.two_sample.pairs import feature_set, feature_sets


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


class Gaussian(NamedTuple):
  """A mean and a covariance, as published statistics have them.

  Attributes:
    n: how many vectors they are of; None where that is not known.
    mean: [d].
    covariance: [d, d].
  """

  n: int | None
  mean: np.ndarray
  covariance: np.ndarray


def moments(features: np.ndarray) -> Moments:
  """Computes the moments of a batch of features.

  Args:
    features: [n, d] with n >= 1, any real type.

  Returns:
    Their moments.

  Raises:
    ValueError: another shape, or numbers that are not finite.
  """
  x = np.asarray(feature_set(features), np.float64)
  mean = x.mean(axis=0)
  x = x - mean
  return Moments(len(x), mean, x.T @ x)


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


def frechet_distance(a: Moments | Gaussian, b: Moments | Gaussian) -> float:
  """Computes the squared Fréchet distance between the Gaussians with these moments.

  |m₁ - m₂|² + tr S₁ + tr S₂ - 2 tr (S₁^½ S₂ S₁^½)^½: Dowson & Landau 1982; as a score of
  generators, Heusel et al. 2017 (arXiv:1706.08500). It is biased upwards by the sample counts, so
  compare only scores made with equal counts.

  Args:
    a: moments of one set, n >= 2, or its mean and covariance. Fewer vectors than dimensions are
      allowed.
    b: those of the other.

  Returns:
    A finite number >= 0.

  Raises:
    ValueError: different widths, a set of one vector, or entries that are not finite.
  """
  _check_same_width(a, b)
  covariance_a, covariance_b = a.covariance, b.covariance
  if not all(np.isfinite(x).all() for x in (a.mean, b.mean, covariance_a, covariance_b)):
    raise ValueError(
      "a mean or a covariance has entries that are NaN or infinite: expected numbers"
    )
  # The eigenvalues of S₁^½ S₂ S₁^½ are the squared singular values of F₁ᵀ F₂, for any F Fᵀ = S.
  cross = _nuclear_norm(_factor(covariance_a).T @ _factor(covariance_b))
  spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross
  return max(0.0, float(((a.mean - b.mean) ** 2).sum() + spread))


def class_frechet_distances(
  real: np.ndarray, real_labels: np.ndarray, fake: np.ndarray, fake_labels: np.ndarray
) -> dict[int, float]:
  """Computes the Fréchet distance of each class alone.

  The mean over classes is the intra-FID of Miyato & Koyama 2018 (arXiv:1802.05637).

  Args:
    real: features [n, d].
    real_labels: their classes, integers [n].
    fake: features [m, d].
    fake_labels: the classes that were asked for, integers [m].

  Returns:
    {class: distance}, in the order of the classes.

  Raises:
    ValueError: shapes that do not fit, or a class with fewer than 2 examples on either side.
  """
  real, fake = feature_sets(real, fake)
  real_labels, fake_labels = np.asarray(real_labels), np.asarray(fake_labels)
  for name, features, labels in (("real", real, real_labels), ("fake", fake, fake_labels)):
    if labels.shape != features.shape[:1]:
      raise ValueError(
        f"{len(features)} {name} features have labels {list(labels.shape)}: expected one for each"
      )
  distances = {}
  for label in map(int, np.union1d(real_labels, fake_labels)):
    of_class = real[real_labels == label], fake[fake_labels == label]
    if min(map(len, of_class)) < 2:
      raise ValueError(
        f"class {label} has {len(of_class[0])} real and {len(of_class[1])} fake examples: expected"
        " at least 2 of each"
      )
    distances[label] = frechet_distance(*map(moments, of_class))
  return distances


def _factor(covariance: np.ndarray) -> np.ndarray:
  """Computes F [d, rank] with F Fᵀ = S, by a Cholesky factorisation that picks its pivots.

  It stops where the rest is rounding errors, of which roots would make errors of 1e-8.
  """
  from scipy.linalg import lapack  # as in `inception_score`

  noise = len(covariance) * np.finfo(np.float64).eps * covariance.diagonal().max()
  packed, pivots, rank, _ = lapack.dpstrf(covariance, tol=noise, lower=1)
  factor = np.empty((len(covariance), rank))
  factor[pivots - 1] = np.tril(packed)[:, :rank]
  return factor


def _nuclear_norm(matrix: np.ndarray) -> float:
  """Computes the sum of the singular values.

  The roots of the eigenvalues of the squared matrix come in a fifth of the time, and lose the
  digits of small ones: they are taken where all that is lost is below 1e-10 of the sum.
  """
  tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
  squares = np.linalg.eigvalsh(tall.T @ tall)
  if len(squares) and squares[0] > 0:
    values = np.sqrt(squares)
    lost = np.finfo(np.float64).eps * squares[-1] * np.linalg.norm(1 / values)
    if lost < 1e-10 * values.sum():
      return float(values.sum())
  return float(np.linalg.svdvals(matrix).sum())


def _check_same_width(a: Moments | Gaussian, b: Moments | Gaussian) -> None:
  if a.mean.shape != b.mean.shape:
    raise ValueError(
      f"features of width {len(a.mean)} and {len(b.mean)} cannot be compared: both sets must come"
      " from the same network"
    )
