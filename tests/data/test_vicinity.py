"""Vicinal sampling: the law of targets and of the examples near them, in closed form."""

import jax
import numpy as np
import pytest

from gan_jax.data import Batches, table, vicinal
from gan_jax.data.vicinity import rule_of_thumb
from gan_jax.run.config import complete, default_config

N = 1024
LABELS = np.array([[0.0], [1.0], [2.0], [4.0]], np.float32)
EACH = np.tile(LABELS, (N // 4, 1))
SOURCE = table("line", EACH, EACH)  # an example shows its label


def drawn(weight, sigma, kappa):
  """Examples and targets [N]."""
  batches = Batches(vicinal(SOURCE, weight, sigma, kappa), N, 0)
  at = jax.device_get(jax.jit(batches.at)(batches.arrays, np.uint32(0)))
  streamed = jax.device_get(batches.finish(batches.read(0), np.uint32(0)))
  jax.tree.map(np.testing.assert_array_equal, at, streamed)
  return at["x"][:, 0], at["y"][:, 0]


@pytest.mark.parametrize("weight", ["hard", "soft"])
def test_examples_near_a_target_have_their_weights(weight):
  """With targets that are labels: 1[|d| <= κ] and exp(-d²/κ²), as shares."""
  x, target = drawn(weight, 1e-6, 1.5)
  distance = np.abs(LABELS - LABELS.T)
  weights = distance <= 1.5 if weight == "hard" else np.exp(-((distance / 1.5) ** 2))
  shares = weights / weights.sum(axis=1, keepdims=True)
  for j, label in enumerate(LABELS[:, 0]):
    near = x[np.abs(target - label) < 0.5]
    assert abs(len(near) - N / 4) < 4.5 * np.sqrt(N * 3 / 16)
    for i, other in enumerate(LABELS[:, 0]):
      p = shares[j, i]
      assert abs((near == other).mean() - p) <= 4.5 * np.sqrt(p * (1 - p) / len(near))


def test_targets_are_around_labels_and_never_without_an_example():
  x, target = drawn("hard", 0.5, 1e-3)
  mean, variance = LABELS.mean(), LABELS.var() + 0.25
  assert abs(target.mean() - mean) < 4.5 * np.sqrt(variance / N)
  assert abs(target.var() / variance - 1) < 4.5 * np.sqrt(2 / N)
  # κ is so small that none is near: the nearest has its place.
  np.testing.assert_array_equal(np.abs(x - target), np.abs(LABELS - target).min(axis=0))


def test_rule_of_thumb():
  sigma, kappa = rule_of_thumb(LABELS, multiple=3)
  assert kappa == 3 * 2
  assert sigma == pytest.approx((4 * LABELS.std() ** 5 / (3 * 4)) ** (1 / 5))
  with pytest.raises(ValueError, match="is for numbers that differ"):
    rule_of_thumb(np.zeros((4, 2)))


def test_what_has_no_vicinity_is_refused():
  with pytest.raises(ValueError, match="line has no vectors in memory"):
    vicinal(table("line", LABELS, None), "hard")
  config = default_config()
  config.condition.vicinity.name = "soft"
  with pytest.raises(ValueError, match="vicinity.name = 'soft' is for vectors"):
    complete(config)
