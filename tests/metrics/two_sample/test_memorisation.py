"""Nearest neighbours against a plain search; data copying against Mann and Whitney's test."""

import numpy as np
import pytest
from scipy import stats

from gan_jax.metrics import data_copying, nearest_neighbours
from gan_jax.metrics.two_sample import pairs


def normal(seed: int, n: int, d: int = 6, std: float = 1.0) -> np.ndarray:
  return std * np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("tile", [1, 16, 1000])
@pytest.mark.parametrize("k", [1, 3, 40])
def test_neighbours_are_those_of_a_plain_search(k: int, tile: int, monkeypatch):
  monkeypatch.setattr(pairs, "TILE", tile)
  train, fake = normal(0, 40), normal(1, 30)
  plain = np.linalg.norm(fake[:, None] - train, axis=-1)
  found = nearest_neighbours(train, fake, k=k)
  np.testing.assert_array_equal(found.indices, np.argsort(plain, axis=1)[:, :k])
  np.testing.assert_allclose(found.distances, np.sort(plain, axis=1)[:, :k], rtol=1e-13)


def test_distances_of_held_out_features_may_be_known():
  train, held_out, fake = normal(0, 50), normal(1, 40), normal(2, 30, std=0.9)
  known = nearest_neighbours(train, held_out).distances[:, 0]
  assert data_copying(train, held_out, fake, nearest=known) == data_copying(train, held_out, fake)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_copies_are_at_distance_zero_exactly(dtype):
  """A product of matrices alone leaves rounding errors of the norms, 1e-8 after the root."""
  train = (normal(0, 50, std=20) + 100).astype(dtype)
  copied = np.array([4, 4, 17])
  found = nearest_neighbours(train, train[copied])
  np.testing.assert_array_equal(found.indices[:, 0], copied)
  np.testing.assert_array_equal(found.distances, 0)


def test_near_copies_far_from_the_origin_keep_their_distance():
  train = normal(0, 50) + 1e5
  found = nearest_neighbours(train, train + 1e-3)
  np.testing.assert_allclose(found.distances[:, 0], 1e-3 * np.sqrt(6), rtol=1e-6)


def test_neighbours_far_from_the_origin_are_the_nearest():
  """Of places at 2^30, whose squares end at 2^8; differences of whole numbers are exact there."""
  train = np.arange(9.0)[:, None] + 2**30
  found = nearest_neighbours(train, train[3:4] + 0.25, k=3)
  assert found.indices.tolist() == [[3, 4, 2]] and found.distances.tolist() == [[0.25, 0.75, 1.25]]


def test_copies_are_told_for_certain():
  """U = 0, of which the standard score is -√(3 h m / (h + m + 1))."""
  train, held_out = normal(0, 100), normal(1, 80)
  found = data_copying(train, held_out, train[:60])
  assert found.probability == 1
  assert found.z == pytest.approx(-np.sqrt(3 * 80 * 60 / 141), rel=1e-12)


def test_closed_form_on_the_line():
  """Held-out at 1, 2, 3 from the data and generated at 2 and 5: 1.5 + 0 of 6 pairs are nearer."""
  train, held_out, fake = ([[0.0]], [[1.0], [-2.0], [3.0]], [[2.0], [-5.0]])
  found = data_copying(np.array(train), np.array(held_out), np.array(fake))
  assert found.probability == pytest.approx(1.5 / 6)


def test_agrees_with_the_rank_test_of_scipy():
  train, held_out, fake = normal(0, 100), normal(1, 80), normal(2, 70, std=0.8)
  found = data_copying(train, held_out, fake)
  nearest = lambda x: np.linalg.norm(x[:, None] - train, axis=-1).min(axis=1)
  test = stats.mannwhitneyu(
    nearest(fake), nearest(held_out), method="asymptotic", use_continuity=False
  )
  assert found.probability == pytest.approx(1 - test.statistic / (80 * 70), rel=1e-12)
  assert 2 * stats.norm.sf(abs(found.z)) == pytest.approx(test.pvalue, rel=1e-9)


def test_the_same_distribution_is_at_a_half_and_its_spread_is_one():
  """50 draws: the mean of z within 4 standard errors of 0, its variance within 4 of 1."""
  z = np.array([data_copying(*(normal(3 * i + j, 60) for j in range(3))).z for i in range(50)])
  assert abs(z.mean()) < 4 / np.sqrt(50)
  assert z.var() == pytest.approx(1, abs=4 * np.sqrt(2 / 50))


def test_the_score_falls_as_noise_grows():
  train, held_out, noise = normal(0, 200), normal(1, 200), normal(2, 200)
  found = [data_copying(train, held_out, train + s * noise) for s in (0.01, 0.3, 0.6, 3.0)]
  probabilities = [each.probability for each in found]
  assert probabilities == sorted(probabilities, reverse=True)
  assert probabilities[0] > 0.99 and probabilities[-1] < 0.05
  assert found[0].z < -10 and found[-1].z > 10


@pytest.mark.parametrize("k", [0, 6])
def test_mistakes_are_named(k: int):
  with pytest.raises(ValueError, match=f"k is {k}: expected 1 to 5 neighbours"):
    nearest_neighbours(normal(0, 5), normal(1, 9), k=k)
