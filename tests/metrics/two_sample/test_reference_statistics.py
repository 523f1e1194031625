"""Published statistics: read under the names they have, and refused where they can be none."""

import numpy as np
import pytest

from gan_jax.metrics import frechet_distance, moments
from gan_jax.metrics.two_sample.reference_statistics import read_statistics, write_statistics

FEATURES = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
MEAN, COVARIANCE = FEATURES.mean(axis=0), np.cov(FEATURES, rowvar=False)


def saved(path, **arrays):
  np.savez(path / "statistics.npz", **arrays)
  return path / "statistics.npz"


@pytest.mark.parametrize(
  ("arrays", "n"),
  [
    ({"mu": MEAN.astype(np.float64), "sigma": COVARIANCE}, None),  # pytorch-fid
    ({"mu": MEAN, "sigma": COVARIANCE}, None),  # clean-fid, BigGAN
    ({"mu": MEAN, "sigma": COVARIANCE.astype(np.float32), "n": np.array(40)}, 40),
    ({"mean": MEAN, "cov": COVARIANCE, "num_images": np.array([40])}, 40),
    ({"feats": FEATURES}, 40),  # clean-fid's for the kernel distance
    ({"mu": MEAN, "sigma": COVARIANCE, "arr_0": np.zeros((3, 4, 4, 3), np.uint8)}, None),
  ],
)
def test_the_distance_is_that_of_the_features(tmp_path, arrays, n):
  found = read_statistics(saved(tmp_path, **arrays))
  other = moments(1.5 * FEATURES[:30] + 1)
  expected = frechet_distance(moments(FEATURES), other)
  # float32 entries of a covariance near 1, and of the mean
  assert frechet_distance(found.features, other) == pytest.approx(expected, rel=1e-6)
  assert found.features.n == n and found.spatial is None


def test_features_that_keep_places_are_told_apart(tmp_path):
  path = saved(tmp_path, mu=MEAN, sigma=COVARIANCE, mu_s=2 * MEAN[:3], sigma_s=COVARIANCE[:3, :3])
  found = read_statistics(path)
  assert found.features.mean.shape == (5,) and found.names == ("mu", "mu_s", "sigma", "sigma_s")
  np.testing.assert_array_equal(found.spatial.mean, (2 * MEAN[:3]).astype(np.float64))


def test_statistics_of_places_are_written_with_some_images(tmp_path, monkeypatch):
  """As the evaluation of guided-diffusion reads them: it looks at `arr_0` in any case."""
  monkeypatch.setattr("gan_jax.metrics.two_sample.reference_statistics.MOST_IMAGES", 2)
  whole, places = moments(FEATURES), moments(2 * FEATURES[:, :3])
  images = np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3)
  write_statistics(tmp_path / "a.npz", whole, places, images)
  with np.load(tmp_path / "a.npz") as arrays:
    assert {*arrays} == {"mu", "sigma", "mu_s", "sigma_s", "arr_0", "n"}
    np.testing.assert_array_equal(arrays["arr_0"], images[:2])
  found = read_statistics(tmp_path / "a.npz")
  assert found.features.n == 40 and found.others == ("arr_0",)
  for a, b in ((found.features, whole), (found.spatial, places)):
    assert frechet_distance(a, moments(FEATURES[:, : len(b.mean)])) == frechet_distance(
      b, moments(FEATURES[:, : len(b.mean)])
    )


def test_images_are_no_statistics(tmp_path):
  assert read_statistics(saved(tmp_path, x=np.zeros((3, 4, 4), np.uint8))) is None
  # downsampled ImageNet has the mean of its images beside them
  assert read_statistics(saved(tmp_path, data=np.zeros((3, 48), np.uint8), mean=MEAN)) is None
  assert read_statistics(tmp_path / "nowhere.npz") is None


def test_images_beside_statistics_are_not_read(tmp_path, monkeypatch):
  path = saved(tmp_path, mu=MEAN, sigma=COVARIANCE, arr_0=np.zeros((2000, 8, 8, 3), np.uint8))
  monkeypatch.setattr("gan_jax.metrics.two_sample.reference_statistics.LIMIT", 10_000)
  assert read_statistics(path).features.mean.shape == (5,)


HOLE = COVARIANCE.copy()
HOLE[1, 2] = np.nan
LOPSIDED = COVARIANCE.copy()
LOPSIDED[0, 1] += 0.1


@pytest.mark.parametrize(
  ("arrays", "why"),
  [
    ({"mu": MEAN}, r"sigma is missing; of statistics it has \['mu'\]"),
    ({"sigma": COVARIANCE}, "mu is missing"),
    ({"mu": MEAN, "sigma": COVARIANCE, "mu_s": MEAN}, "sigma_s is missing"),
    ({"mu": MEAN, "sigma": HOLE}, "NaN in sigma, 1 of 25 entries"),
    ({"mu": np.full(5, np.inf), "sigma": COVARIANCE}, "infinity in mu"),
    ({"mu": MEAN, "sigma": COVARIANCE[:4, :4]}, r"mu has shape \[5\] and sigma \[4, 4\]"),
    ({"mu": MEAN[None], "sigma": COVARIANCE}, r"mu has shape \[1, 5\]"),
    ({"mu": MEAN, "sigma": LOPSIDED}, "sigma is not symmetric"),
    ({"mu": MEAN, "sigma": COVARIANCE - np.eye(5)}, "sigma has the eigenvalue -"),
    ({"mu": MEAN.astype("U9"), "sigma": COVARIANCE}, "mu is of type <U9: expected floats"),
    ({"mu": MEAN, "sigma": COVARIANCE, "n": np.array(1)}, "n is 1: expected a number of images"),
    ({"feats": FEATURES[:1]}, r"feats has shape \[1, 5\]"),
    ({"feats": np.full((3, 2), np.nan)}, "NaN in feats"),
    ({"mu": np.array([None]), "sigma": COVARIANCE}, "without pickle"),
  ],
)
def test_what_can_be_no_statistics_is_refused_by_name(tmp_path, arrays, why):
  with pytest.raises(ValueError, match=f"statistics.npz.*{why}"):
    read_statistics(saved(tmp_path, **arrays))


def test_covariances_of_fewer_images_than_features_are_taken(tmp_path):
  """Their least eigenvalues are rounding errors, of either sign."""
  few = np.random.default_rng(1).normal(size=(7, 60)).astype(np.float32)
  path = saved(tmp_path, mu=few.mean(axis=0), sigma=np.cov(few, rowvar=False).astype(np.float32))
  found = read_statistics(path).features
  # A root of rounding errors of 1e-7 would be 3e-4 of the trace; the two terms each are near 60.
  assert frechet_distance(found, moments(few)) == pytest.approx(0, abs=60 * 3e-4)


def test_how_statistics_were_made_comes_back_and_is_none_where_nobody_says_it(tmp_path):
  protocol = {"backbone": {"name": "of a test", "sha256": None}, "images": [4, 4, 3]}
  write_statistics(tmp_path / "said.npz", moments(FEATURES), protocol=protocol)
  write_statistics(tmp_path / "unsaid.npz", moments(FEATURES))
  said, unsaid = (read_statistics(tmp_path / f"{name}.npz") for name in ("said", "unsaid"))
  assert said.protocol == protocol and unsaid.protocol is None
  assert said.sha256 == unsaid.sha256 and said.others == ()  # the same numbers, and nothing beside
  for text in ("{", "[1]", "3"):
    assert (
      read_statistics(saved(tmp_path, mu=MEAN, sigma=COVARIANCE, gan_jax_protocol=text)).protocol
      is None
    )
