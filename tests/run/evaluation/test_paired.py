"""The score of samplers of pairs, by hand, beside the scores of an evaluator."""

import numpy as np
import pytest

from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.evaluation.evaluators.paired import paired


def test_l1_is_the_mean_share_of_the_range():
  seen = []
  inner = Evaluator(
    "images", {"mean": "min"}, ("mean",), {}, lambda sample, walk: seen.append(sample(2, 7)) or {}
  )
  evaluator = paired(inner, 255)
  x, target = np.array([[0], [255]], np.uint8), np.array([[255], [204]], np.uint8)
  scores = evaluator(lambda n, seed: {"x": x, "target": target, "y": np.array([n, seed])})
  assert scores["l1"] == pytest.approx((1 + 0.2) / 2)
  assert evaluator.better == {"mean": "min", "l1": "min"} and evaluator.headline == ("mean",)
  assert seen[0].keys() == {"x", "y"}
