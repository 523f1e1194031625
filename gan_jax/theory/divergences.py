"""Divergences between two distributions, exact where they are discrete.

    kl(p, q)                     # probabilities [..., K]
    kl(p, q, weights=dx)         # densities on a grid, by quadrature; weights are volumes of cells
    estimate(f, log_ratio)       # f-divergence from samples of q with known log p/q, and its error
    wasserstein(p, q, x)         # W₁ of probabilities at points x on the line, exact

p or q may be zero anywhere: what has no finite divergence is inf. The sums take NumPy arrays or
JAX's, and are of their dtype.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any  # of NumPy or JAX
Weights = Any  # volumes of cells [..., K], or one number


def kl(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes KL(p‖q) = Σ p log p/q - p + q, in nats. Kullback & Leibler 1951.

  The masses cancel for distributions. With them no term is negative, and equal p and q give 0.

  Args:
    p: probabilities, or densities on a grid, [..., K], >= 0.
    q: the same.
    weights: 1 for probabilities; for densities the volume of each cell.

  Returns:
    [...], >= 0; inf where p is not absolutely continuous with respect to q.
  """
  xp = _namespace(p, q)
  both = (p > 0) & (q > 0)
  ratio = xp.where(both, p, 1) / xp.where(both, q, 1)
  terms = xp.where(both, p * xp.log(ratio) - p + q, xp.where(p > 0, xp.inf, q))
  return xp.sum(weights * xp.maximum(terms, 0), axis=-1)  # rounding may make them negative


def reverse_kl(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes KL(q‖p) = Σ q log q/p; arguments as for `kl`."""
  return kl(q, p, weights)


def jensen_shannon(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes JSD(p, q) = ½ KL(p‖m) + ½ KL(q‖m), m = (p+q)/2, from 0 to log 2. Lin 1991.

  Arguments as for `kl`.
  """
  m = (p + q) / 2
  return (kl(p, m, weights) + kl(q, m, weights)) / 2


def total_variation(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes TV(p, q) = ½ Σ |p-q|, from 0 to 1; arguments as for `kl`."""
  xp = _namespace(p, q)
  return xp.sum(weights * xp.abs(p - q), axis=-1) / 2


def pearson(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes Pearson's χ²(p‖q) = Σ (p-q)²/q; arguments as for `kl`, inf as there."""
  xp = _namespace(p, q)
  terms = xp.where(q > 0, (p - q) ** 2 / xp.where(q > 0, q, 1), xp.where(p > 0, xp.inf, 0))
  return xp.sum(weights * terms, axis=-1)


def neyman(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes Neyman's χ², Σ (p-q)²/p; arguments as for `kl`, inf where q is positive and p not."""
  return pearson(q, p, weights)


def squared_hellinger(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes H²(p, q) = Σ (√p - √q)², from 0 to 2 (no ½); arguments as for `kl`."""
  xp = _namespace(p, q)
  return xp.sum(weights * (xp.sqrt(p) - xp.sqrt(q)) ** 2, axis=-1)


class Estimate(NamedTuple):
  """A mean over samples.

  Attributes:
    value: the mean.
    error: its standard error; meaningless if the samples' variance is infinite.
  """

  value: float
  error: float


def estimate(f: Callable[[Array], Array], log_ratio: Array) -> Estimate:
  """Estimates D_f(p‖q) = E_q f(p/q) from samples of q, by the plain mean.

  Unbiased where the ratio is exact. Mass of p where q has none is never seen, so it is a lower
  bound there.

  Args:
    f: convex with f(1) = 0, such as `gan_jax.losses.kl.generator`.
    log_ratio: [n], log p/q at n >= 2 independent samples of q.

  Returns:
    The mean and its standard error.

  Raises:
    ValueError: for fewer than two samples.
  """
  terms = np.asarray(f(np.exp(np.asarray(log_ratio, np.float64))), np.float64)
  if terms.ndim != 1 or len(terms) < 2:
    raise ValueError(f"log_ratio must be [n] with n >= 2 samples, got {list(terms.shape)}")
  return Estimate(float(terms.mean()), float(terms.std(ddof=1) / math.sqrt(len(terms))))


def wasserstein(p: Array, q: Array, x: Array) -> Array:
  """Computes W₁ between distributions at the same points of the line, exactly: ∫ |P - Q| dx.

  Args:
    p: probabilities [..., K].
    q: the same.
    x: where they are, [K], increasing.

  Returns:
    [...], in units of x.
  """
  xp = _namespace(p, q)
  return xp.sum(xp.abs(xp.cumsum(p - q, axis=-1)[..., :-1]) * (x[1:] - x[:-1]), axis=-1)


def wasserstein_of_samples(a: np.ndarray, b: np.ndarray) -> float:
  """Computes W₁ between two empirical distributions on the line, exactly.

  As an estimate of W₁ between what they were drawn from it is biased upwards by O(n^-½).

  Args:
    a: samples [n], n >= 1.
    b: samples [m], m >= 1; n and m may differ.

  Returns:
    W₁, in units of the samples.

  Raises:
    ValueError: if either is empty or not a list of numbers.
  """
  a, b = (np.asarray(samples, np.float64) for samples in (a, b))
  if a.ndim != 1 or b.ndim != 1 or not len(a) or not len(b):
    raise ValueError(f"samples must be [n] and [m], not empty; got {a.shape} and {b.shape}")
  x = np.sort(np.concatenate([a, b]))
  share = lambda samples: np.searchsorted(np.sort(samples), x[:-1], side="right") / len(samples)
  return float(np.sum(np.abs(share(a) - share(b)) * np.diff(x)))


def _namespace(*arrays: Array) -> Any:
  """Finds the library of the arrays: JAX's if one of them is JAX's."""
  found = [array.__array_namespace__() for array in arrays]
  return next((xp for xp in found if xp is not np), np)
