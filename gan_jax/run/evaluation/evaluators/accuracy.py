"""The score of a game that makes no examples: the accuracy of its classes on held-out ones."""

from collections.abc import Mapping

import numpy as np

from gan_jax.data import Source, take
from gan_jax.metrics.features.cache import content_hash
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator, SampleFn, WalkFn
from gan_jax.run.evaluation.evaluators.metric import Scores


def accuracy_of(sources: Mapping[str, Source]) -> Evaluator:
  """Builds the evaluator of the share of right classes.

  Args:
    sources: labelled examples, by domain.

  Returns:
    The evaluator, whose samples are the predicted classes of all examples: {domain: int [N]}.

  Raises:
    ValueError: examples without labels, or without end.
  """
  for domain, source in sources.items():
    if source.num_classes is None or source.size is None:
      raise ValueError(f"{source.name}, the {domain}, needs labels and an end, to be scored on")
  examples = {domain: take(source) for domain, source in sources.items()}
  labels = {domain: held_out["y"] for domain, held_out in examples.items()}
  card = {
    "evaluator": "accuracy",
    "backbone": None,
    "real": {
      domain: {"data": s.name, "count": s.size, "sha256": content_hash(examples[domain])[:16]}
      for domain, s in sources.items()
    },
  }

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    predicted = sample(0, 0)
    return {f"{k}_accuracy": float(np.mean(predicted[k] == y)) for k, y in labels.items()}

  names = [f"{domain}_accuracy" for domain in sources]
  return Evaluator("accuracy", dict.fromkeys(names, "max"), tuple(names[:1]), card, score)
