"""Two sets of features: which arrays are accepted, and their distances tile by tile."""

from collections.abc import Iterator

import numpy as np

TILE = 1024  # rows and columns of distances in memory at once: 8 MB of float64


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


def near_origin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Moves two sets of features to the origin, by one vector, which no distance depends on.

  `squared_distances` has the digits of norms, which of features far from the origin are not those
  of distances. Float32 ones stay where they are: in float64 their products have digits to spare.
  """
  if np.result_type(x, y) != np.float64:
    return x, y
  middle = np.median(y[:TILE], axis=0)  # of whole numbers, whose ties stay exact, not a mean
  return x - middle, y - middle


def tiles(n: int, m: int, *, upper: bool = False) -> Iterator[tuple[slice, slice]]:
  """Cuts an [n, m] matrix into tiles, row by row.

  Args:
    n: rows.
    m: columns.
    upper: of a symmetric matrix, leaves out the tiles below the diagonal.

  Yields:
    Rows and columns of each tile.
  """
  for i in range(0, n, TILE):
    for j in range(i if upper else 0, m, TILE):
      yield slice(i, min(i + TILE, n)), slice(j, min(j + TILE, m))


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Computes squared Euclidean distances between float64 [n, d] and [m, d]: [n, m] >= 0.

  By one product of matrices, so they are exact to about 1e-16 of the squared *norms*.
  """
  squared = (-2 * x) @ y.T
  squared += np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
  return np.maximum(squared, 0, out=squared)


def distance_tiles(
  x: np.ndarray, y: np.ndarray, *, upper: bool = False
) -> Iterator[tuple[slice, slice, np.ndarray]]:
  """Computes the distances between two sets of features, a tile at a time.

  Args:
    x: [n, d], float32 or float64.
    y: [m, d], likewise.
    upper: see `tiles`.

  Yields:
    The rows of x and of y, and their distances: computed in float64, and float32 where all
    features are.
  """
  dtype = np.result_type(x, y)
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  for rows, columns in tiles(len(x), len(y), upper=upper):
    squared = squared_distances(x[rows], y[columns]).astype(dtype, copy=False)
    yield rows, columns, np.sqrt(squared, out=squared)
