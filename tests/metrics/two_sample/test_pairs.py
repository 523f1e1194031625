"""Distances in tiles: against a plain sum, bounded in memory, and what is refused."""

import tracemalloc

import numpy as np
import pytest

from gan_jax.metrics import (
  data_copying,
  kernel_distance,
  nearest_neighbours,
  polynomial_mmd,
  prdc,
  rbf_mmd,
)
from gan_jax.metrics.two_sample import pairs
from gan_jax.metrics.two_sample.pairs import distance_tiles, feature_set, tiles

COMPARED = {
  "kernel_distance": lambda x, y: kernel_distance(x, y, subsets=2, subset_size=3, seed=0),
  "nearest_neighbours": nearest_neighbours,
  "polynomial_mmd": polynomial_mmd,
  "prdc": lambda x, y: prdc(x, y, k=1),
  "rbf_mmd": rbf_mmd,
}


@pytest.mark.parametrize("tile", [1, 4, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_are_those_of_a_plain_sum(tile, dtype, monkeypatch):
  monkeypatch.setattr(pairs, "TILE", tile)
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(13, 4)).astype(dtype), rng.normal(size=(9, 4)).astype(dtype)
  found = np.full((13, 9), np.nan)
  for rows, columns, distances in distance_tiles(x, y):
    assert distances.dtype == dtype and max(distances.shape) <= tile
    found[rows, columns] = distances
  plain = np.linalg.norm(x.astype(np.float64)[:, None] - y.astype(np.float64), axis=-1)
  # errors are of the squared norms, here up to 20 times the squared distances
  np.testing.assert_allclose(found, plain, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [1, 7, 8, 9])
@pytest.mark.parametrize("m", [3, 8, 17])
def test_tiles_cover_every_pair_once(n: int, m: int, monkeypatch):
  monkeypatch.setattr(pairs, "TILE", 4)
  seen = np.zeros((n, m), int)
  for tile in tiles(n, m):
    seen[tile] += 1
  np.testing.assert_array_equal(seen, 1)
  upper = np.zeros((n, n), int)
  for rows, columns in tiles(n, n, upper=True):
    upper[rows, columns] += 1
    if rows != columns:
      upper.T[rows, columns] += 1
  np.testing.assert_array_equal(upper, 1)


@pytest.mark.parametrize("score", [prdc, rbf_mmd, polynomial_mmd, nearest_neighbours])
def test_memory_does_not_go_with_the_square_of_the_count(score, monkeypatch):
  """Of 2,000 x 2,000 distances, 32 MB, never more than a twentieth is held at once."""
  monkeypatch.setattr(pairs, "TILE", 128)  # 0.1 MB
  x, y = np.random.default_rng(0).normal(size=(2, 2000, 4))
  tracemalloc.start()
  score(x, y)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 1.6e6


@pytest.mark.parametrize("score", COMPARED.values(), ids=COMPARED)
def test_what_makes_no_sense_is_refused(score):
  x = np.random.default_rng(0).normal(size=(5, 3))
  with pytest.raises(ValueError, match=r"real features have shape \[5\]: expected \[n, d\]"):
    score(x[:, 0], x)
  with pytest.raises(ValueError, match=r"fake features have shape \[0, 3\]: expected \[n, d\]"):
    score(x, x[:0])
  with pytest.raises(ValueError, match="width 3 and fake ones of width 2"):
    score(x, x[:, :2])
  broken = x.copy()
  broken[1, 2], broken[3, 0] = np.nan, -np.inf
  with pytest.raises(ValueError, match="2 of 5 fake feature vectors .* NaN or infinite"):
    score(x, broken)
  with pytest.raises(ValueError, match="2 of 5 real feature vectors .* NaN or infinite"):
    score(broken, x)


def test_held_out_features_are_checked_by_name():
  x = np.zeros((2, 3))
  with pytest.raises(ValueError, match="2 of 2 held-out feature vectors"):
    data_copying(x, x * np.nan, x)


def test_integers_become_float64_and_float32_stays():
  assert feature_set(np.ones((2, 2), np.uint8)).dtype == np.float64
  assert feature_set(np.ones((2, 2), np.float16)).dtype == np.float64
  assert feature_set(np.ones((2, 2), np.float32)).dtype == np.float32
