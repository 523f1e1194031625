"""Two sets of features: which arrays are accepted, and their distances in row blocks."""

from collections.abc import Iterator

import numpy as np

BLOCK = 2**24  # entries of a block in memory at once: 128 MB of float64


def feature_set(features: np.ndarray, name: str = "", *, least: int = 1) -> np.ndarray:
  """Checks a set of features.

  Args:
    features: [n, d], any real type.
    name: of the set, for errors, such as "real".
    least: the smallest n that is enough.

  Returns:
    The features as they are if they are float32 or float64, else in float64.

  Raises:
    ValueError: another shape, too few vectors, or numbers that are not finite.
  """
  x, name = np.asarray(features), f"{name} " if name else ""
  if x.ndim != 2 or len(x) < least or x.shape[1] == 0:
    raise ValueError(
      f"{name}features have shape {list(x.shape)}: expected [n, d] with n >= {least} and d >= 1"
    )
  if x.dtype not in (np.float32, np.float64):
    x = x.astype(np.float64)
  bad = len(x) - int(np.isfinite(x).all(axis=1).sum())
  if bad:
    raise ValueError(
      f"{bad} of {len(x)} {name}feature vectors have entries that are NaN or infinite, which no"
      " distance can be computed from: check the images and the network that looked at them"
    )
  return x


def feature_sets(
  real: np.ndarray, fake: np.ndarray, *, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
  """Checks two sets of features that are to be compared; see `feature_set`."""
  real, fake = feature_set(real, "real", least=least), feature_set(fake, "fake", least=least)
  if real.shape[1] != fake.shape[1]:
    raise ValueError(
      f"real features of width {real.shape[1]} and fake ones of width {fake.shape[1]} cannot be"
      " compared: both sets must come from the same network"
    )
  return real, fake


def row_blocks(n: int, width: int) -> Iterator[slice]:
  """Cuts n rows of this width into blocks of at most BLOCK entries, or of one row."""
  rows = max(1, BLOCK // width)
  return (slice(first, min(first + rows, n)) for first in range(0, n, rows))


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Computes squared Euclidean distances between all of [n, d] and all of [m, d]: [n, m] >= 0.

  By one product of matrices, so they are exact to about 1e-16 of the squared *norms*.
  """
  squared = (-2 * x) @ y.T
  squared += np.einsum("ij,ij->i", x, x)[:, None]
  squared += np.einsum("ij,ij->i", y, y)
  return np.maximum(squared, 0, out=squared)


def distance_blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
  """Computes the distances between two sets of features, a few rows at a time.

  Args:
    x: [n, d], float32 or float64.
    y: [m, d], likewise.

  Yields:
    The rows of x in this block, and their distances [rows, m] to all of y: computed in float64,
    and float32 where all features are.
  """
  columns = np.asarray(y, np.float64)
  for rows in row_blocks(len(x), sum(y.shape)):
    squared = squared_distances(np.asarray(x[rows], np.float64), columns)
    squared = squared.astype(np.result_type(x, y), copy=False)
    yield rows, np.sqrt(squared, out=squared)
