"""Evaluators: what a generator is scored by on each kind of data, and how the number was made.

    evaluator = evaluator_for(train, test, num_fake=10_000)
    scores = evaluator(lambda n, seed: {"x": uint8 images [n, H, W, C]})
    card = {**evaluator.card, "ema": True, "checkpoint": "last"}

A score without its card cannot be compared with another, so the two travel together; whoever drew
the examples adds what only they know.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import MIXTURES, Source, take
from gan_jax.metrics import (
  class_accuracy,
  class_coverage,
  class_kl,
  class_shares,
  frechet_distance,
  mode_coverage,
  moments,
)
from gan_jax.metrics.features import classifier
from gan_jax.metrics.features.classifier import Classifier, classifier_for

Scores = dict[str, float]
SampleFn = Callable[[int, int], Mapping[str, np.ndarray]]

REAL_LIMIT = 60_000  # real examples of a split that are looked at
DIGITS = 10  # classes in each channel of stacked digits


class Evaluator(NamedTuple):
  """A way to score a generator.

  Attributes:
    name: of the kind of evaluation.
    better: {score: "min" or "max"}, which way each is better.
    headline: names of the scores that choose the best checkpoint: the first decides, the next
      breaks ties. Empty if there are no scores.
    card: how the numbers are made.
    score: what `evaluator(sample)` does.
  """

  name: str
  better: Mapping[str, str]
  headline: tuple[str, ...]
  card: dict[str, Any]
  score: Callable[[SampleFn], Scores]

  def __call__(self, sample: SampleFn) -> Scores:
    """Scores a generator.

    Args:
      sample: (n, seed) -> {"x": uint8 images [n, H, W, C] or float32 points [n, 2]}, and "y"
        int32 [n] if the classes were asked for. It is called once, and may work in batches.

    Returns:
      {name: score}, with the names in `better`; class_accuracy only where classes were asked for.

    Raises:
      ValueError: the samples do not look like the data.
    """
    return self.score(sample)

  def improves(self, new: Mapping[str, float], best: Mapping[str, float] | None) -> bool:
    """Tells whether scores are better than the best so far, by the headline; NaN never is."""
    if not self.headline or any(math.isnan(new[name]) for name in self.headline):
      return False
    rank = lambda scores: [
      scores[name] if self.better[name] == "max" else -scores[name] for name in self.headline
    ]
    return best is None or rank(new) > rank(best)


def unscored(train: Source, test: Source | None) -> str | None:
  """Says why there can be no scores on a data set; None if there can be."""
  if train.name in MIXTURES:
    return None
  if train.num_classes is None or len(train.shape) != 3:
    return f"{train.name} has no labels to train a classifier with, and no known modes"
  if test is None:
    return f"{train.name} has no test split to hold samples against"
  if test.shape != train.shape:
    return f"{train.name} has examples {train.shape}, and its test split {test.shape}"
  if test.num_classes is None or test.num_classes > train.num_classes:
    return f"{train.name} has {train.num_classes} classes, and its test split {test.num_classes}"
  if min(train.shape[:2]) < classifier.SMALLEST:
    return f"{train.name} has images of {train.shape[:2]} pixels, too small for the classifier"
  return None


def evaluator_for(
  train: Source,
  test: Source | None,
  *,
  num_fake: int,
  cache_dir: str | None = None,
  seed: int = 0,
  batch_size: int = 100,
) -> Evaluator:
  """Makes the evaluator that suits a data set; may train a classifier, once.

  Two-dimensional mixtures are scored by modes, high_quality and kl; stacked digits by modes and kl
  of the digits a classifier reads; labelled images by the Fréchet distance of a classifier's
  features to the test split, and by the classes it sees. Other data get no score, and a card that
  says why (see `unscored`): a number without a suitable network to look at the images would mean
  nothing.

  Args:
    train: what the generator learns from.
    test: what it is compared with; None if there is no such split.
    num_fake: examples to draw for a score, >= 2.
    cache_dir: where classifiers are kept; by default $GAN_JAX_CACHE, else ~/.cache/gan_jax.
    seed: of the generated examples.
    batch_size: images that the classifier looks at in one go.

  Returns:
    The evaluator.

  Raises:
    ValueError: num_fake is too small.
  """
  if num_fake < 2:
    raise ValueError(f"num_fake is {num_fake}: a score needs at least 2 generated examples")
  if (reason := unscored(train, test)) is not None:
    return Evaluator("none", {}, (), {"evaluator": "none", "reason": reason}, lambda sample: {})
  fake = {"count": num_fake, "seed": seed}
  if train.name in MIXTURES:
    return _mixture(train, fake)
  assert test is not None
  make = _labelled if train.draw is None else _stacked
  return make(train, test, fake, cache_dir, batch_size)


def _mixture(source: Source, fake: Mapping[str, int]) -> Evaluator:
  centers, std = MIXTURES[source.name]
  card = {
    "evaluator": "mixture",
    "backbone": None,
    "real": {"data": source.name, "modes": len(centers), "std": std},
    "fake": fake,
  }

  def score(sample: SampleFn) -> Scores:
    points = _draw(sample, fake, source.shape, np.float32)["x"]
    return mode_coverage(points, centers, std)

  better = {"modes": "max", "high_quality": "max", "kl": "min"}
  return Evaluator("mixture", better, ("modes", "high_quality"), card, score)


def _labelled(
  train: Source, test: Source, fake: Mapping[str, int], cache_dir: str | None, batch_size: int
) -> Evaluator:
  assert train.num_classes is not None
  seen, held_out = _table(train), _table(test)
  judge = classifier_for(seen, held_out, train.num_classes, cache_dir=cache_dir)
  look = lambda images: judge(images, batch_size=batch_size)
  real = moments(look(held_out["x"])[0])
  assert train.size is not None
  stand_in = take(train, min(train.size, fake["count"]))["x"]  # as many as will be generated
  shares = class_shares(seen["y"], train.num_classes)
  card = {
    "evaluator": "labelled images",
    "backbone": _backbone(judge),
    "real": {"data": test.name, "split": "test", "count": real.n},
    "fake": fake,
    "floor": {
      "frechet_distance": frechet_distance(real, moments(look(stand_in)[0])),
      "split": "train",
      "count": len(stand_in),
    },
  }

  def score(sample: SampleFn) -> Scores:
    drawn = _draw(sample, fake, test.shape, np.uint8)
    features, logits = look(drawn["x"])
    predicted = logits.argmax(axis=1)
    asked = {"class_accuracy": class_accuracy(predicted, drawn["y"])} if "y" in drawn else {}
    return {
      "frechet_distance": frechet_distance(real, moments(features)),
      "classes": float(class_coverage(predicted, shares)),
      "class_kl": class_kl(predicted, shares),
      **asked,
    }

  better = {
    "frechet_distance": "min",
    "classes": "max",
    "class_kl": "min",
    "class_accuracy": "max",
  }
  return Evaluator("labelled images", better, ("frechet_distance",), card, score)


def _stacked(
  train: Source, test: Source, fake: Mapping[str, int], cache_dir: str | None, batch_size: int
) -> Evaluator:
  judge = classifier_for(train.arrays, test.arrays, DIGITS, cache_dir=cache_dir)
  one = class_shares(train.arrays["y"], DIGITS)
  shares = np.einsum("i,j,k->ijk", one, one, one).ravel()  # of the class 100a + 10b + c
  card = {
    "evaluator": "stacked digits",
    "backbone": _backbone(judge),
    "real": {"data": train.name, "modes": len(shares), "digits": len(train.arrays["y"])},
    "fake": fake,
    "floor": {"kl": (len(shares) - 1) / (2 * fake["count"]), "of": "a perfect sampler, about"},
  }

  def score(sample: SampleFn) -> Scores:
    images = _draw(sample, fake, train.shape, np.uint8)["x"]
    channels = np.moveaxis(images, -1, 1).reshape(-1, *judge.shape)  # [3n, H, W, 1]
    digits = judge(channels, batch_size=batch_size)[1].argmax(axis=1).reshape(-1, 3)
    labels = digits @ np.array([100, 10, 1])
    return {
      "modes": float(class_coverage(labels, shares, least=0)),
      "kl": class_kl(labels, shares),
    }

  better = {"modes": "max", "kl": "min"}
  return Evaluator("stacked digits", better, ("modes", "kl"), card, score)


def _backbone(judge: Classifier) -> dict[str, Any]:
  return {
    "name": "classifier trained on this data",
    "version": classifier.VERSION,
    "sha256": judge.sha256,
    "accuracy": judge.accuracy,
  }


def _table(source: Source) -> dict[str, np.ndarray]:
  """Takes a split in its own order, or a random choice of it if it is large."""
  assert source.size is not None
  return take(source, REAL_LIMIT if source.size > REAL_LIMIT else None)


def _draw(
  sample: SampleFn, fake: Mapping[str, int], shape: tuple[int, ...], dtype: type
) -> Mapping[str, np.ndarray]:
  """Draws the examples to be scored and checks that they look like the data."""
  drawn = sample(fake["count"], fake["seed"])
  x = drawn["x"]
  if x.shape != (fake["count"], *shape) or x.dtype != dtype:
    raise ValueError(
      f"the sampler returned {x.dtype} {list(x.shape)}: expected {np.dtype(dtype)}"
      f" {[fake['count'], *shape]}"
    )
  return drawn
