"""Mixtures and stacked digits: drawn from nothing but (seed, position)."""

import jax
import numpy as np
import pytest
from small_sets import opened

from gan_jax.data import GRID25, MIXTURES, RING8, Batches, load, table, take


def test_centers_and_stds():
  angles = 2 * np.pi * np.arange(8) / 8
  np.testing.assert_allclose(RING8.centers, np.c_[np.cos(angles), np.sin(angles)], atol=1e-7)
  assert sorted(map(tuple, GRID25.centers.tolist())) == [
    (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
  ]
  assert (RING8.std, GRID25.std) == (0.01, 0.05)
  assert len(np.unique(RING8.centers.round(3), axis=0)) == 8


@pytest.mark.parametrize("name", list(MIXTURES))
def test_statistics(name: str):
  """Closed forms, each within five standard deviations of its own estimate."""
  n, mixture = 50_000, MIXTURES[name]
  raw = take(opened(name), n, seed=1)
  modes = len(mixture.centers)
  noise = (raw["x"] - mixture.centers[raw["y"]]) / mixture.std
  counts = np.bincount(raw["y"], minlength=modes)
  assert np.abs(counts - n / modes).max() < 5 * np.sqrt(n / modes)
  assert np.abs(noise.mean(axis=0)).max() < 5 / np.sqrt(n)
  covariance = np.cov(noise.T, bias=True)
  assert np.abs(covariance - np.eye(2)).max() < 5 * np.sqrt(2 / n)
  assert abs((noise**4).mean() - 3) < 5 * np.sqrt(96 / (2 * n))  # Gaussian: Var z^4 = 105 - 9
  inside = (np.linalg.norm(noise, axis=1) < 3).mean()
  assert abs(inside - (1 - np.exp(-4.5))) < 5 * np.sqrt(0.0111 / n)  # Rayleigh


@pytest.mark.parametrize("name", [*MIXTURES, "stacked:mnist10k"])
def test_an_example_depends_on_seed_and_position_alone(name: str):
  source = opened(name)
  assert source.draw is not None
  draw = jax.jit(source.draw)
  forward = np.array([0, 1, 7, 2**31, 2**32 - 1], np.uint32)
  a = draw(source.arrays, forward, 3)
  b = draw(source.arrays, forward[::-1].copy(), 3)
  other = draw(source.arrays, forward, 4)
  for key in ("x", "y"):
    assert (a[key] == b[key][::-1]).all()
  assert (a["x"] != other["x"]).any()
  assert len(np.unique(np.asarray(a["x"]).reshape(5, -1), axis=0)) == 5


def test_every_streamed_batch_is_drawn_by_one_program():
  source, traced = opened("ring8"), []

  def draw(*arguments):
    traced.append(arguments)
    return source.draw(*arguments)

  batches = Batches(source._replace(draw=draw), 8, 5, resident=False)
  assert not np.array_equal(batches.read(0)["x"], batches.read(1)["x"])
  assert len(traced) == 1


def test_stacked_labels_are_the_digits_of_the_channels():
  """Digits that are constant images of their own value show which digit sits in which channel."""
  digits = np.repeat(np.arange(10, dtype=np.uint8), 3)
  base = table("digits", np.tile(digits[:, None, None, None], (1, 2, 2, 1)), digits, range(10))
  from gan_jax.data.sources.endless import stack

  raw = take(stack("stacked:digits", base), 20_000, 0)
  a, b, c = raw["x"][:, 0, 0, :].T.astype(int)
  assert (raw["x"] == raw["x"][:, :1, :1]).all()
  assert (raw["y"] == 100 * a + 10 * b + c).all()
  counts = np.bincount(raw["y"], minlength=1000)
  assert counts.shape == (1000,) and abs((counts**2).mean() - 20 - 400) < 5 * 28.6  # Poisson(20)
  assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(20_000)


def test_stacked_covers_the_thousand_modes():
  labels = take(opened("stacked:mnist10k"), 26_000, 0)["y"]
  counts = np.bincount(labels, minlength=1000)
  p = counts / counts.sum()
  kl = (p[p > 0] * np.log(1000 * p[p > 0])).sum()
  assert (counts > 0).all()
  assert abs(kl - 999 / 52_000) < 0.005  # (modes - 1) / 2n: the 0.019 of a perfect sampler


def test_stacked_refuses_other_bases(data_dir: str):
  for name in ("stacked:ring8", "stacked:folder:shapes", "stacked:npz:images.npz"):
    with pytest.raises(ValueError, match=r"stacks grayscale digits.*Use stacked:mnist10k"):
      load(name, data_dir=data_dir)
