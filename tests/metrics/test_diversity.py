"""Diversity: all pairs without pairs, random pairs, and samplers that collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import feature_diversity, ms_ssim_diversity, random_pairs, unit_channels
from gan_jax.metrics.diversity import average


def normal(n: int, d: int) -> np.ndarray:
  return np.random.default_rng(0).normal(size=(n, d)) + 100


def test_the_mean_of_all_pairs_by_hand():
  x = normal(7, 3)
  squared = ((x[:, None] - x) ** 2).sum(axis=-1)
  assert feature_diversity([x]) == pytest.approx(squared.sum() / (7 * 6), rel=1e-12)


def test_closed_form_of_gaussians():
  """2 tr Σ; with 4,000 vectors of 50 numbers its standard error is 0.3%."""
  scale = np.linspace(0.5, 2, 50)
  assert feature_diversity([normal(4000, 50) * scale]) == pytest.approx(
    2 * (scale**2).sum(), rel=0.012
  )


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [40], [10, 30]])
def test_streaming_in_any_batches_is_the_same(cuts: list[int]):
  x = normal(41, 5)
  parts = np.split(x, cuts)
  for order in (parts, parts[::-1]):
    assert feature_diversity(iter(order)) == pytest.approx(feature_diversity([x]), rel=1e-12)


def test_one_image_has_no_diversity():
  assert feature_diversity([np.ones((5, 3)), np.ones((2, 3))]) == 0
  one = np.random.default_rng(0).integers(256, size=(1, 16, 16, 1)).astype(np.uint8)
  found = ms_ssim_diversity(np.tile(one, (9, 1, 1, 1)), pairs=20, scales=1)
  assert found.mean == pytest.approx(1) and found.error == pytest.approx(0) and found.n == 20


def test_more_of_the_same_is_less_diverse():
  rng = np.random.default_rng(0)
  coarse = rng.integers(256, size=(40, 4, 4, 1)).astype(np.uint8)
  images = coarse.repeat(8, axis=1).repeat(8, axis=2)
  few = images[np.arange(40) % 2]
  many, collapsed = (ms_ssim_diversity(x, pairs=200, scales=2) for x in (images, few))
  assert collapsed.mean > many.mean + 4 * (many.error + collapsed.error)


def test_pairs_are_of_different_images_and_all_equally_likely():
  pairs = random_pairs(4, 12_000, seed=0)
  counts = np.bincount(pairs @ [4, 1], minlength=16).reshape(4, 4)
  assert (np.diag(counts) == 0).all()
  # 1,000 of each of the twelve are expected, with a standard deviation of 30.
  assert np.abs(counts[~np.eye(4, dtype=bool)] - 1000).max() < 150
  np.testing.assert_array_equal(pairs, random_pairs(4, 12_000, seed=0))
  assert (random_pairs(2, 9, seed=1).sum(axis=1) == 1).all()


def test_unit_channels():
  """At each place the squared distance of directions, averaged over places."""
  maps = np.zeros((2, 1, 4, 2))
  maps[0, 0, :, 0] = [3, 1, 2, 0]  # along the first channel, and nothing at the last place
  maps[1, 0, :, 1] = [1, 0, 0, 0]
  maps[1, 0, 1, 0] = 5
  x, y = unit_channels(maps)
  assert ((x - y) ** 2).sum() == pytest.approx((2 + 0 + 1 + 0) / 4)
  np.testing.assert_allclose(unit_channels(7 * maps), [x, y])


def test_unit_channels_have_slopes_where_all_are_0():
  """Of LPIPS, by which images are projected; those of other places are of their directions."""
  maps = jnp.array([[[[3.0, 4.0], [0.0, 0.0]]]])
  slope = jax.jit(jax.grad(lambda x: unit_channels(x)[0, 0]))(maps)
  # d (x / r) = y² / r³ dx - x y / r³ dy with r = 5, over √2 for two places
  np.testing.assert_allclose(slope[0, 0], np.array([[16, -12], [0, 0]]) / 125 / 2**0.5, rtol=1e-6)


def test_the_error_of_an_average():
  found = average(np.array([1.0, 2, 3, 4]))
  assert found.mean == 2.5 and found.error == pytest.approx(np.sqrt(5 / 3 / 4)) and found.n == 4


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match="at least 2 feature vectors, and there is 1"):
    feature_diversity([np.zeros((1, 3))])
  with pytest.raises(ValueError, match=r"shape \[2, 4\]: expected \[n, 3\]"):
    feature_diversity([np.zeros((2, 3)), np.zeros((2, 4))])
  with pytest.raises(ValueError, match="NaN or infinite"):
    feature_diversity([np.full((2, 3), np.inf)])
  image = np.zeros((1, 16, 16, 1), np.uint8)
  with pytest.raises(ValueError, match="at least 2 examples"):
    ms_ssim_diversity(image, scales=1)
  with pytest.raises(ValueError, match="pairs is 1"):
    ms_ssim_diversity(image, pairs=1, scales=1)
