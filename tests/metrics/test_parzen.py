"""The Parzen window: one Gaussian, a sum over samples, and the numbers of real digits."""

import numpy as np
import pytest
from scipy import special, stats

from gan_jax import data
from gan_jax.metrics import log_density, parzen_log_likelihood
from gan_jax.metrics.parzen import BLOCK


def test_one_sample_is_one_gaussian():
  x, center, width = np.array([[0.3, -1.0, 2.0]]), np.array([[0.0, 1.0, 0.5]]), 0.7
  expected = stats.norm.logpdf(x[0], center[0], width).sum()
  np.testing.assert_allclose(log_density(x, center, np.array([width])), [[expected]], rtol=1e-12)


def test_samples_share_the_mass():
  """Halfway between two samples, and far from all, where every term underflows."""
  samples = np.array([[-1.0], [1.0]])
  found = log_density(np.array([[0.0], [100.0]]), samples, np.array([0.5]))[0]
  half = stats.norm.logpdf(99.0, 0, 0.5) + np.log(0.5)  # the other is 200 widths further away
  np.testing.assert_allclose(found, [stats.norm.logpdf(1.0, 0, 0.5), half], rtol=1e-12)


def test_against_a_plain_sum_for_more_rows_than_a_block():
  rng = np.random.default_rng(0)
  x, samples, widths = rng.random((BLOCK + 3, 5)), rng.random((20, 5)), np.array([0.1, 0.5, 1.0])
  squared = ((x[:, None] - samples) ** 2).sum(axis=-1)
  plain = [
    special.logsumexp(-squared / (2 * w**2), axis=1)
    - np.log(20)
    - 5 * np.log(w * np.sqrt(2 * np.pi))
    for w in widths
  ]
  np.testing.assert_allclose(log_density(x, samples, widths), plain, rtol=1e-10)


def test_the_width_is_the_validation_examples_choice():
  """Of samples and examples of N(0, 1) each; error is over the test examples."""
  rng = np.random.default_rng(1)
  samples, validation, test = (rng.normal(size=(n, 2, 1)) for n in (400, 100, 200))
  widths = np.array([0.01, 0.4, 5.0])
  found = parzen_log_likelihood(samples, validation, test, widths)
  assert found.width == 0.4
  each = log_density(test.reshape(200, 2), samples.reshape(400, 2), np.array([0.4]))[0]
  assert found.mean == pytest.approx(each.mean())
  assert found.error == pytest.approx(each.std() / np.sqrt(200))
  assert found.mean == pytest.approx(-np.log(2 * np.pi * np.e), abs=4 * found.error + 0.1)


@pytest.mark.parametrize(
  ("x", "samples", "width", "message"),
  [
    (np.zeros((2, 3)), np.zeros((2, 4)), 1.0, r"examples \[2, 3\] do not fit samples \[2, 4\]"),
    (np.zeros((2, 3)), np.zeros((0, 3)), 1.0, "m >= 1"),
    (np.zeros((2, 3)), np.zeros((1, 3)), 0.0, "expected positive numbers"),
    (np.zeros((2, 3)), np.full((1, 3), np.nan), 1.0, "NaN or infinite"),
  ],
)
def test_mistakes_are_named(x, samples, width, message):
  with pytest.raises(ValueError, match=message):
    log_density(x, samples, np.array([width]))


def test_real_training_digits_score_as_is_known(test_data):
  """10,000 training images as samples score about 243.6 nats; which ones matters by about 2."""
  path = f"idx:{test_data / 'mnist'}"
  train, test = (data.take(data.load(path, split))["x"] / 255 for split in ("train", "test"))
  chosen = np.random.default_rng(0).permutation(50_000)[:10_000]
  found = parzen_log_likelihood(train[chosen], train[50_000:51_000], test[::5])
  assert found.mean == pytest.approx(243.6, abs=6)  # every fifth test image: ± 4.7
