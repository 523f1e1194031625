"""The squared maximum mean discrepancy between two sets of features, for any kernel."""

from collections.abc import Callable

import numpy as np

from gan_jax.metrics.pairs import feature_sets, tiles

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # [n, d], [m, d] -> [n, m]


def squared_mmd(kernel: Kernel, x: np.ndarray, y: np.ndarray, *, unbiased: bool) -> float:
  """Estimates E k(x, x') + E k(y, y') - 2 E k(x, y).

  Gretton et al. 2012, "A kernel two-sample test": equation 3 if unbiased, equation 5 if not.

  Args:
    kernel: symmetric, in float64. It sees a tile of the pairs at a time.
    x: [n, d], n >= 2 if unbiased.
    y: [m, d], likewise.
    unbiased: leaves out the pairs of an example with itself. The estimate then has the right mean,
      and may be negative; with these pairs it is never negative, and too large.

  Returns:
    The estimate, in float64.
  """
  within = _mean_within(kernel, x, unbiased) + _mean_within(kernel, y, unbiased)
  across = sum(float(kernel(x[i], y[j]).sum()) for i, j in tiles(len(x), len(y)))
  return within - 2 * across / (len(x) * len(y))


def rbf_mmd(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  bandwidth: float = 10.0,
  scale: float = 1000.0,
  unbiased: bool = False,
) -> float:
  """Computes the squared MMD with the Gaussian kernel exp(-|x - y|² / 2 bandwidth²).

  Jayasumana et al. 2024 (arXiv:2401.09603). Their CMMD is this, with these defaults, on CLIP
  embeddings of unit length; it is a distance between whole distributions, which moments are not.

  Args:
    real: features [n, d], n >= 2.
    fake: features [m, d], m >= 2.
    bandwidth: the standard deviation of the kernel, > 0, in the units of the features.
    scale: the result is multiplied by it.
    unbiased: which estimator, see `squared_mmd`. The biased one, like the authors' code: it is too
      large by about scale * (1/n + 1/m) * E(1 - k), and 0 for equal sets.

  Returns:
    The scaled estimate; >= 0 unless `unbiased`.

  Raises:
    ValueError: shapes that do not fit, numbers that are not finite, or no positive bandwidth.
  """
  if not bandwidth > 0:
    raise ValueError(f"bandwidth is {bandwidth}: expected a positive number")
  real, fake = (np.asarray(x, np.float64) for x in feature_sets(real, fake, least=2))

  def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    exponents = x @ y.T  # half the work where x is y
    exponents -= np.einsum("ij,ij->i", x, x)[:, None] / 2
    exponents -= np.einsum("ij,ij->i", y, y) / 2
    exponents /= bandwidth**2
    return np.exp(exponents, out=exponents)

  found = scale * squared_mmd(kernel, real, fake, unbiased=unbiased)
  return found if unbiased else max(0.0, found)


def _mean_within(kernel: Kernel, x: np.ndarray, unbiased: bool) -> float:
  """Computes the mean of a symmetric kernel over the pairs of one set."""
  n, total = len(x), 0.0
  for rows, columns in tiles(n, n, upper=True):
    values = kernel(x[rows], x[columns])
    if rows == columns:
      total += float(values.sum()) - unbiased * float(values.trace())
    else:
      total += 2 * float(values.sum())
  return total / (n * (n - 1) if unbiased else n * n)
