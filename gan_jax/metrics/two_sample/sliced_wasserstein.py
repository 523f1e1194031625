"""The sliced Wasserstein distance: optimal transport along many lines, where it is a sort."""

import numpy as np

BLOCK = 64  # directions in memory at once


def random_directions(width: int, count: int, *, seed: int) -> np.ndarray:
  """Samples directions evenly from the unit sphere.

  Args:
    width: of the space, d >= 1.
    count: how many, >= 1.
    seed: of the draw; scores compare only with the same directions, or with very many.

  Returns:
    Float64 [count, d], each of length 1.
  """
  directions = np.random.default_rng(seed).normal(size=(count, width))
  return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def sliced_wasserstein_distance(
  real: np.ndarray, fake: np.ndarray, directions: np.ndarray, *, order: float = 2
) -> float:
  """Computes the sliced Wasserstein distance between two sets of vectors.

  (mean over directions θ of W_p(θ·x, θ·y)^p)^(1/p): Rabin et al. 2011, Bonneel et al. 2015; of
  generators, Deshpande et al. 2018 (arXiv:1803.11188). Along each line the distance is exact, also
  between sets of different size.

  Args:
    real: features or pixels, [n, d].
    fake: the same of the other set, [m, d].
    directions: of length 1, [k, d]; see `random_directions`.
    order: p >= 1.

  Returns:
    A number >= 0 in the units of the features. Isotropic sets that differ by a shift s are at about
    ‖s‖ / √d for p = 2.

  Raises:
    ValueError: shapes that do not fit, numbers that are not finite, or p < 1.
  """
  x, y, lines = (np.asarray(a, np.float64) for a in (real, fake, directions))
  if any(a.ndim != 2 or len(a) == 0 or a.shape[1:] != x.shape[1:] for a in (x, y, lines)):
    raise ValueError(
      f"real {list(x.shape)}, fake {list(y.shape)} and directions {list(lines.shape)} do not fit:"
      " expected [n, d], [m, d] and [k, d]"
    )
  for name, a in (("real", x), ("fake", y), ("directions", lines)):
    if not np.isfinite(a).all():
      raise ValueError(f"{name} has entries that are NaN or infinite: there is no distance to them")
  if not np.allclose(np.linalg.norm(lines, axis=1), 1):
    raise ValueError("directions are not of length 1, by which distances would be stretched")
  if order < 1:
    raise ValueError(f"order is {order}: expected 1 or more")
  weights, i, j = _matching(len(x), len(y))
  total = 0.0
  for first in range(0, len(lines), BLOCK):
    block = lines[first : first + BLOCK]
    gaps = np.sort(block @ x.T, axis=1)[:, i] - np.sort(block @ y.T, axis=1)[:, j]
    total += float((np.abs(gaps) ** order @ weights).sum())
  return (total / len(lines)) ** (1 / order)


def _matching(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Matches n sorted numbers with m by quantile: masses that sum to 1, places in n, places in m."""
  ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1 / nm
  return np.diff(ends, prepend=0) / (n * m), (ends - 1) // m, (ends - 1) // n
