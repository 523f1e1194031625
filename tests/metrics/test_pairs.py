"""Distances in blocks: against a plain sum, bounded in memory, and what is refused."""

import tracemalloc

import numpy as np
import pytest

from gan_jax.metrics import (
  data_copying,
  kernel_distance,
  nearest_neighbours,
  pairs,
  polynomial_mmd,
  prdc,
  rbf_mmd,
)
from gan_jax.metrics.pairs import distance_blocks, feature_set, row_blocks

COMPARED = {
  "kernel_distance": lambda x, y: kernel_distance(x, y, subsets=2, subset_size=3, seed=0),
  "nearest_neighbours": nearest_neighbours,
  "polynomial_mmd": polynomial_mmd,
  "prdc": lambda x, y: prdc(x, y, k=1),
  "rbf_mmd": rbf_mmd,
}


@pytest.mark.parametrize("block", [1, 40, 10_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_are_those_of_a_plain_sum(block, dtype, monkeypatch):
  monkeypatch.setattr(pairs, "BLOCK", block)
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(13, 4)).astype(dtype), rng.normal(size=(9, 4)).astype(dtype)
  found = list(distance_blocks(x, y))
  assert [rows for rows, _ in found] == list(row_blocks(13, 13))
  plain = np.linalg.norm(x.astype(np.float64)[:, None] - y.astype(np.float64), axis=-1)
  joined = np.concatenate([distances for _, distances in found])
  assert joined.dtype == dtype
  # errors are of the squared norms, here up to 20 times the squared distances
  np.testing.assert_allclose(joined, plain, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [1, 7, 8, 9])
def test_blocks_cover_every_row_once(n: int, monkeypatch):
  monkeypatch.setattr(pairs, "BLOCK", 24)
  rows = [np.arange(n)[block] for block in row_blocks(n, 3)]
  np.testing.assert_array_equal(np.concatenate(rows), np.arange(n))
  assert max(map(len, rows)) <= 8


@pytest.mark.parametrize("score", [prdc, rbf_mmd, polynomial_mmd, nearest_neighbours])
def test_memory_does_not_go_with_the_square_of_the_count(score, monkeypatch):
  """Of 2,000 x 2,000 distances, 32 MB, never more than a tenth is held at once."""
  monkeypatch.setattr(pairs, "BLOCK", 2**16)  # 0.5 MB
  x, y = np.random.default_rng(0).normal(size=(2, 2000, 4))
  tracemalloc.start()
  score(x, y)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 3.2e6


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
