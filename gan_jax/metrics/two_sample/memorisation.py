"""Nearest training examples of generated ones, and whether these are too near."""

from typing import NamedTuple

import numpy as np

from gan_jax.metrics.two_sample.pairs import (
  distance_tiles,
  feature_set,
  feature_sets,
  near_origin,
  tiles,
)


class Neighbours(NamedTuple):
  """The nearest training examples of each generated one, nearest first.

  Attributes:
    indices: [m, k], into the training examples.
    distances: [m, k], Euclidean, float64.
  """

  indices: np.ndarray
  distances: np.ndarray


class DataCopying(NamedTuple):
  """Whether generated examples lie nearer to the training examples than held-out ones do.

  Attributes:
    probability: that a generated example is nearer to its nearest training example than a held-out
      example is to its own, ties counting half. 0.5: as near as new data; 1: copies; below 0.5:
      further from the training examples than new data are.
    z: how many standard deviations that is below 0.5, of its distribution if nothing is memorised:
      Z_U of the paper, below 0 for copies. Below -3 is significant.
  """

  probability: float
  z: float


def nearest_neighbours(train: np.ndarray, fake: np.ndarray, *, k: int = 1) -> Neighbours:
  """Computes the nearest training examples of each generated one.

  Args:
    train: features [n, d], n >= k.
    fake: features [m, d].
    k: how many, >= 1.

  Returns:
    Indices and distances. The distances are exact, 0 for a copy.

  Raises:
    ValueError: shapes that do not fit, numbers that are not finite, or too few examples for k.
  """
  train, fake = near_origin(*feature_sets(train, fake))
  if not 1 <= k <= len(train):
    raise ValueError(f"k is {k}: expected 1 to {len(train)} neighbours, all there are")
  indices = np.zeros((len(fake), k), np.int64)
  distances = np.full((len(fake), k), np.finfo(np.float64).max)  # none yet
  for rows, columns, tile in distance_tiles(fake, train):
    places, near = _smallest(tile, min(k, tile.shape[1]))
    which = np.concatenate([indices[rows], columns.start + places], axis=1)
    places, distances[rows] = _smallest(np.concatenate([distances[rows], near], axis=1), k)
    indices[rows] = np.take_along_axis(which, places, axis=1)
  # once more from the differences: near copies have lost their digits in the tile
  for j in range(k):
    for rows, _ in tiles(len(fake), 1):
      step = np.asarray(fake[rows], np.float64) - train[indices[rows, j]]
      distances[rows, j] = np.sqrt(np.einsum("ij,ij->i", step, step))
  order = np.argsort(distances, axis=1, kind="stable")
  pick = lambda x: np.take_along_axis(x, order, axis=1)
  return Neighbours(pick(indices), pick(distances))


def data_copying(
  train: np.ndarray, held_out: np.ndarray, fake: np.ndarray, *, nearest: np.ndarray | None = None
) -> DataCopying:
  """Tests whether a generator copies its training examples.

  Meehan, Chaudhuri & Dasgupta 2020 (arXiv:2004.05675): a Mann-Whitney test of the distances to the
  nearest training example, of generated against held-out examples. This is the test over the whole
  space; copies of one mode that are made up for elsewhere show only where it is applied to the
  examples of each class or cluster.

  Args:
    train: features the generator learned from, [n, d].
    held_out: features of the same data that it never saw, [h, d].
    fake: features of generated examples, [m, d].
    nearest: distances of the held-out features to the nearest training ones, [h], as of
      `nearest_neighbours`, where they are known.

  Returns:
    A probability and its significance.

  Raises:
    ValueError: shapes that do not fit, or numbers that are not finite.
  """
  held_out = feature_set(held_out, "held-out")
  if nearest is None:
    nearest = nearest_neighbours(train, held_out).distances[:, 0]
  of_held_out = np.sort(nearest)
  of_fakes = nearest_neighbours(train, fake).distances[:, 0]
  ranks = np.searchsorted(of_held_out, of_fakes) + np.searchsorted(of_held_out, of_fakes, "right")
  pairs = len(of_held_out) * len(of_fakes)
  further = float(ranks.sum()) / 2  # Mann & Whitney's U of the generated examples
  spread = np.sqrt(pairs * (len(of_held_out) + len(of_fakes) + 1) / 12)
  return DataCopying(1 - further / pairs, float((further - pairs / 2) / spread))


def _smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
  """Computes places [n, k] and values of the k smallest of each row, which it overwrites."""
  each, places = np.arange(len(values)), np.empty((len(values), k), np.int64)
  smallest = np.empty((len(values), k), values.dtype)
  for j in range(k):
    places[:, j] = values.argmin(axis=1)
    smallest[:, j] = values[each, places[:, j]]
    values[each, places[:, j]] = np.inf
  return places, smallest
