"""Inception score: its bounds, a mixture by hand, splits, and logits without bounds."""

import numpy as np
import pytest
from scipy import special

from gan_jax.metrics import inception_score
from gan_jax.metrics.inception_score import ROWS


@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_the_least_is_one_where_all_look_alike(scale: float):
  logits = np.tile(scale * np.arange(7.0), (50, 1))
  found = inception_score(logits, splits=5)
  assert found.mean == pytest.approx(1, abs=1e-14) and found.std < 1e-14


def test_the_most_is_the_number_of_classes():
  logits = 1e4 * np.tile(np.eye(7), (20, 1))
  assert inception_score(logits, splits=1).mean == pytest.approx(7, rel=1e-14)


def test_two_mirrored_kinds():
  """p(y) is even, and each p(y|x) has the entropy of a coin that falls 3 to 1."""
  p = np.array([0.75, 0.25])
  logits = np.tile(np.log([p, p[::-1]]), (30, 1))
  expected = np.exp(np.log(2) - special.entr(p).sum())
  assert inception_score(logits, splits=1).mean == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("n", [100, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_against_the_definition_in_any_number_of_rows(n: int):
  logits = np.random.default_rng(0).normal(size=(n, 11)) * 3
  log_p = special.log_softmax(logits, axis=1)
  divergences = (np.exp(log_p) * (log_p - np.log(np.exp(log_p).mean(axis=0)))).sum(axis=1)
  expected = np.exp(divergences.mean())
  assert inception_score(logits, splits=1).mean == pytest.approx(expected, rel=1e-12)
  assert inception_score(logits[::-1] + 5.0, splits=1).mean == pytest.approx(expected, rel=1e-12)


def test_splits_are_of_a_seeded_shuffle_and_uneven_at_need():
  given = np.random.default_rng(1).normal(size=(11, 4))
  logits = given[np.random.default_rng(5).permutation(11)]
  parts = [logits[:3], logits[3:7], logits[7:]]
  each = [inception_score(part, splits=1).mean for part in parts]
  found = inception_score(given, splits=3, seed=5)
  assert found.mean == pytest.approx(np.mean(each), rel=1e-14)
  assert found.std == pytest.approx(np.std(each), rel=1e-12)


def test_examples_that_are_sorted_by_class_score_as_others_do():
  """Ten certain classes, 2,000 examples: within 3 standard errors, about .03, of the shuffled.

  In parts of 200 the most, 10, is missed by about (10 - 1) / (2 * 200) of itself.
  """
  logits = 1e4 * np.repeat(np.eye(10), 200, axis=0)
  shuffled = np.random.default_rng(3).permutation(logits)
  scores = [inception_score(x).mean for x in (logits, shuffled)]
  assert scores == pytest.approx([10 * np.exp(-9 / 400)] * 2, abs=0.1)


def test_probabilities_that_underflow_have_no_part_in_it():
  """The textbook form is 0 log 0 = NaN there."""
  logits = np.array([[0, 0, -1e4], [0, 0, -2e4]])
  assert inception_score(logits, splits=1).mean == pytest.approx(1, abs=1e-14)
  assert inception_score(logits.astype(np.float32), splits=2).std == 0


@pytest.mark.parametrize(
  ("logits", "splits", "message"),
  [
    (np.zeros(5), 1, r"logits \[5\] cannot be cut"),
    (np.zeros((5, 2)), 6, "into 6 splits"),
    (np.zeros((5, 2)), 0, "into 0 splits"),
    (np.zeros((5, 0)), 1, r"expected \[n, classes\]"),
    (np.full((5, 2), np.nan), 1, "NaN or infinite"),
  ],
)
def test_mistakes_are_named(logits, splits, message):
  with pytest.raises(ValueError, match=message):
    inception_score(logits, splits=splits)
