"""The score of a sampler of pairs: how far what it makes is from what it should make."""

import numpy as np

from gan_jax.run.evaluation.evaluators.evaluator import Evaluator, SampleFn, WalkFn
from gan_jax.run.evaluation.evaluators.metric import Scores

TARGET = "target"  # what samples are to be, beside them


def paired(evaluator: Evaluator, span: float) -> Evaluator:
  """Adds "l1", the mean absolute difference from targets, to what an evaluator scores.

  Args:
    evaluator: evaluator of examples.
    span: size of the range of stored values, of which the difference is a share.

  Returns:
    The evaluator, whose samples have "target" beside "x".
  """

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    drawn: dict[str, np.ndarray] = {}

    def untargeted(n: int, seed: int) -> dict[str, np.ndarray]:
      drawn.update(sample(n, seed))
      return {name: values for name, values in drawn.items() if name != TARGET}

    scores = evaluator.score(untargeted, walk)
    pairs = zip(drawn["x"], drawn[TARGET], strict=True)
    differences = [np.mean(np.abs(x.astype(np.float64) - target)) for x, target in pairs]
    return {**scores, "l1": float(np.mean(differences)) / span}

  return evaluator._replace(better={**evaluator.better, "l1": "min"}, score=score)
