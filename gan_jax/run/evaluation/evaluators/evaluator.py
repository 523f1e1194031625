"""An evaluator: a function that scores a generator, and the protocol of its scores."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from gan_jax.run.evaluation.evaluators.metric import Scores

SampleFn = Callable[[int, int], Mapping[str, np.ndarray]]


class Walk(NamedTuple):
  """Paths between latents of a generator, two ends each.

  Attributes:
    generate: latents [b, d], and labels [b] if there are any -> float images [b, H, W, C] from 0 to
      255, not rounded.
    start: latents, [n, d].
    end: latents, [n, d].
    positions: position on each path, [n] from 0 to 1.
    labels: class of each path, int [n]; None without classes.
  """

  generate: Callable[..., Any]
  start: np.ndarray
  end: np.ndarray
  positions: np.ndarray
  labels: np.ndarray | None


WalkFn = Callable[[int, int], Walk]  # (n, seed) -> n paths


class Evaluator(NamedTuple):
  """A function that scores a generator, and its protocol.

  Attributes:
    name: kind of evaluation.
    better: {score: "min" or "max"}, which way each is better; "none" where neither is.
    headline: names of the scores that choose the best checkpoint: the first decides, the next
      breaks ties. Empty if there are none that can.
    card: protocol of the scores.
    score: function of `__call__`.
  """

  name: str
  better: Mapping[str, str]
  headline: tuple[str, ...]
  card: dict[str, Any]
  score: Callable[[SampleFn, WalkFn | None], Scores]

  def __call__(self, sample: SampleFn, walk: WalkFn | None = None) -> Scores:
    """Scores a generator.

    Args:
      sample: (n, seed) -> {"x": uint8 images [n, H, W, C] or float32 points [n, 2]}, and "y"
        int32 [n] if the classes were asked for. It is called once, and may work in batches.
      walk: (n, seed) -> n paths between its latents, for the metrics that walk; None where there
        are images and no generator.

    Returns:
      {name: score}, with the names in `better`; class_accuracy only where classes were asked for.

    Raises:
      ValueError: the samples do not look like the data.
    """
    return self.score(sample, walk)

  def with_seed(self, seed: int) -> Self:
    """Returns the evaluator that draws with another seed; nothing is prepared anew."""

    def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
      return self.score(lambda n, _: sample(n, seed), walk and (lambda n, _: walk(n, seed)))

    fake = {**self.card.get("fake", {}), "seed": seed}
    return self._replace(card={**self.card, "fake": fake}, score=score)

  def improves(self, new: Mapping[str, float], best: Mapping[str, float] | None) -> bool:
    """Checks whether scores are better than the best so far, by the headline; NaN never is."""
    if not self.headline or any(math.isnan(new[name]) for name in self.headline):
      return False
    rank = lambda scores: [
      scores[name] if self.better[name] == "max" else -scores[name] for name in self.headline
    ]
    return best is None or rank(new) > rank(best)


def draw_samples(
  sample: SampleFn, fake: Mapping[str, int], shape: tuple[int, ...], dtype: type | str
) -> Mapping[str, np.ndarray]:
  """Draws the examples to be scored and checks that they look like the data."""
  samples = sample(fake["count"], fake["seed"])
  x = samples["x"]
  if x.shape != (fake["count"], *shape) or x.dtype != dtype:
    raise ValueError(
      f"the sampler returned {x.dtype} {list(x.shape)}: expected {np.dtype(dtype)}"
      f" {[fake['count'], *shape]}"
    )
  return samples
