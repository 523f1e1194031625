"""The kernel distance between two sets of features, over random subsets."""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.mmd import squared_mmd
from gan_jax.metrics.pairs import feature_sets


class KernelDistance(NamedTuple):
  """A kernel distance and what it was made from.

  Attributes:
    mean: over the subsets. Its expectation does not depend on the counts, and is 0 for two sets of
      one distribution: a sample of that can be negative.
    error: the standard error of this mean over the draw of subsets. Where subsets share examples
      (subsets * subset_size > n), it says nothing of how the mean would vary with the examples.
    subsets: how many.
    subset_size: examples of each set in a subset.
  """

  mean: float
  error: float
  subsets: int
  subset_size: int


def kernel_distance(
  real: np.ndarray,
  fake: np.ndarray,
  *,
  subsets: int = 100,
  subset_size: int = 1000,
  seed: int | np.random.Generator,
) -> KernelDistance:
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
    The distance, not scaled: it is often quoted times 1000.

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
  found = np.array([_mmd(draw(real), draw(fake)) for _ in range(subsets)])
  error = float(found.std(ddof=1) / np.sqrt(subsets))
  return KernelDistance(float(found.mean()), error, subsets, subset_size)


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
  return _mmd(*feature_sets(real, fake, least=2))


def _mmd(real: np.ndarray, fake: np.ndarray) -> float:
  """Computes it: products in the type of the features, all else in float64."""
  width = real.shape[1]
  return squared_mmd(_shifted_cubes, real, fake, unbiased=True) / width**3


def _shifted_cubes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Computes d³ times the kernel, in fewer passes over the block than the kernel itself."""
  base = np.add(x @ y.T, x.shape[1], dtype=np.float64)
  cubes = base * base
  cubes *= base
  return cubes
