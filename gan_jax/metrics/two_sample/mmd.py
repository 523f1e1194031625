"""The squared maximum mean discrepancy: for any kernel, and as KID and CMMD."""

from collections.abc import Callable

import numpy as np

from gan_jax.metrics.diversity import Average, average
from gan_jax.metrics.two_sample.pairs import feature_set, feature_sets, tiles

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # [n, d], [m, d] -> [n, m]


def squared_mmd(
  kernel: Kernel,
  x: np.ndarray,
  y: np.ndarray,
  *,
  unbiased: bool,
  within_x: float | None = None,
) -> float:
  """Estimates E k(x, x') + E k(y, y') - 2 E k(x, y).

  Gretton et al. 2012, "A kernel two-sample test": equation 3 if unbiased, equation 5 if not.

  Args:
    kernel: symmetric, in float64. It sees a tile of the pairs at a time.
    x: [n, d], n >= 2 if unbiased.
    y: [m, d], likewise.
    unbiased: leaves out the pairs of an example with itself. The estimate then has the right mean,
      and may be negative; with these pairs it is never negative, and too large.
    within_x: `mean_within` of x, where it is known: x may be compared with many a y.

  Returns:
    The estimate, in float64.
  """
  within_x = mean_within(kernel, x, unbiased) if within_x is None else within_x
  within = within_x + mean_within(kernel, y, unbiased)
  across = sum(float(kernel(x[i], y[j]).sum()) for i, j in tiles(len(x), len(y)))
  return within - 2 * across / (len(x) * len(y))


def kernel_distance(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  subsets: int = 100,
  subset_size: int = 1000,
  seed: int | np.random.Generator,
) -> Average:
  """Computes the kernel distance, KID on Inception features.

  The mean of `polynomial_mmd` over subsets, each drawn without replacement: Bińkowski et al. 2018
  (arXiv:1801.01401).

  Args:
    real: features [n, d], n >= subset_size.
    fake: features [m, d], m >= subset_size.
    subsets: how many to draw, >= 2.
    subset_size: >= 2.
    seed: of the draws, or their generator.

  Returns:
    The mean over the subsets, not scaled: it is often quoted times 1000. Its expectation does not
    depend on the counts, and is 0 for two sets of one distribution: a sample of that can be
    negative. Its error is over the draw of subsets. Where these share examples (subsets *
    subset_size > n), it says nothing of how the mean would vary with the examples.

  Raises:
    ValueError: shapes that do not fit, numbers that are not finite, or too few examples.
  """
  if subsets < 2 or subset_size < 2:
    raise ValueError(f"{subsets} subsets of {subset_size}: expected at least 2 subsets of 2")
  real, fake = feature_sets(real, fake)
  if min(len(real), len(fake)) < subset_size:
    raise ValueError(
      f"subsets of {subset_size} cannot be drawn from {len(real)} real and {len(fake)} fake"
      " features: set subset_size to at most the smaller count"
    )
  rng = np.random.default_rng(seed)
  draw = lambda x: x[rng.choice(len(x), subset_size, replace=False)]
  return average(np.array([_polynomial_mmd(draw(real), draw(fake)) for _ in range(subsets)]))


def polynomial_mmd(real: np.ndarray, fake: np.ndarray) -> float:
  """Computes the unbiased squared MMD with the kernel (x·y / d + 1)³.

  Args:
    real: features [n, d], n >= 2.
    fake: features [m, d], m >= 2.

  Returns:
    The estimate, negative at times.

  Raises:
    ValueError: shapes that do not fit, or numbers that are not finite.
  """
  return _polynomial_mmd(*feature_sets(real, fake, least=2))


def _polynomial_mmd(real: np.ndarray, fake: np.ndarray) -> float:
  """Computes `polynomial_mmd`: products in the type of the features, all else in float64."""
  width = real.shape[1]
  return squared_mmd(_shifted_cubes, real, fake, unbiased=True) / width**3


def _shifted_cubes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Computes d³ times the kernel, in fewer passes over the block than the kernel itself."""
  base = np.add(x @ y.T, x.shape[1], dtype=np.float64)
  cubes = base * base
  cubes *= base
  return cubes


def rbf_mmd(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  bandwidth: float = 10.0,
  scale: float = 1000.0,
  unbiased: bool = False,
  within_real: float | None = None,
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
    within_real: `rbf_within` of the real features, where it is known.

  Returns:
    The scaled estimate; >= 0 unless `unbiased`.

  Raises:
    ValueError: shapes that do not fit, numbers that are not finite, or no positive bandwidth.
  """
  if not bandwidth > 0:
    raise ValueError(f"bandwidth is {bandwidth}: expected a positive number")
  real, fake = (np.asarray(x, np.float64) for x in feature_sets(real, fake, least=2))
  kernel = _gaussian(bandwidth)
  estimate = squared_mmd(kernel, real, fake, unbiased=unbiased, within_x=within_real) * scale
  return estimate if unbiased else max(0.0, estimate)


def rbf_within(x: np.ndarray, *, bandwidth: float = 10.0, unbiased: bool = False) -> float:
  """Computes the part of `rbf_mmd` that is of one set of features [n, d] alone."""
  x = np.asarray(feature_set(x, least=2), np.float64)
  return mean_within(_gaussian(bandwidth), x, unbiased)


def _gaussian(bandwidth: float) -> Kernel:
  def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    exponents = x @ y.T  # half the work where x is y
    exponents -= np.einsum("ij,ij->i", x, x)[:, None] / 2
    exponents -= np.einsum("ij,ij->i", y, y) / 2
    exponents /= bandwidth**2
    return np.exp(exponents, out=exponents)

  return kernel


def mean_within(kernel: Kernel, x: np.ndarray, unbiased: bool) -> float:
  """Computes the mean of a symmetric kernel over the pairs of one set."""
  n, total = len(x), 0.0
  for rows, columns in tiles(n, n, upper=True):
    values = kernel(x[rows], x[columns])
    if rows == columns:
      total += float(values.sum()) - unbiased * float(values.trace())
    else:
      total += 2 * float(values.sum())
  return total / (n * (n - 1) if unbiased else n * n)
