"""Evaluators: scores of a generator on each kind of data, and the card of their protocol.

    evaluator = evaluator_for(train, test, num_fake=10_000)
    scores = evaluator(lambda n, seed: {"x": uint8 images [n, H, W, C]})
    card = {**evaluator.card, "ema": True, "checkpoint": "last"}

A score without its card cannot be compared with another, so the two travel together; the sampler's
own options are added by its caller. Scores do not depend on the order of the examples.
"""

from collections.abc import Mapping

import numpy as np

from gan_jax.data import MIXTURES, Source
from gan_jax.metrics import class_coverage, class_kl, class_shares, mode_coverage
from gan_jax.metrics.features.cache import print_message
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.run.evaluation.evaluators.by_features import by_features
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator, SampleFn, WalkFn, draw_samples
from gan_jax.run.evaluation.evaluators.metric import Scores
from gan_jax.run.evaluation.evaluators.suite import MODES
from gan_jax.run.evaluation.evaluators.suited import EvaluationSpec, is_stacked, suited, usable

DIGITS = 10  # classes in each channel of stacked digits


def evaluator_for(
  train: Source,
  test: Source | None,
  *,
  num_fake: int,
  spec: EvaluationSpec | None = None,
  learned: Source | None = None,
  seed: int = 0,
) -> Evaluator:
  """Builds the evaluator that suits a data set; may train a classifier, once.

  Two-dimensional mixtures are scored by modes, high_quality and kl; stacked digits by modes and kl
  of the digits a classifier reads; labelled images, unless something else is asked for, by the
  Fréchet distance of a classifier's features to the test split, and by the classes it predicts.
  `suited` lists the alternatives for other data, and the card notes them.

  Args:
    train: the training split.
    test: the test split; None if there is none.
    num_fake: examples to draw for a score, >= 2.
    spec: options of the evaluation.
    learned: the part of the training split that the generator learns from; None for all of it.
    seed: seed of the generated examples.

  Raises:
    ValueError: num_fake is too small, or the data lack what a metric needs.
  """
  if num_fake < 2:
    raise ValueError(
      f"num_fake is {num_fake}: a score needs at least 2 generated examples (score: in --fake)"
    )
  how, fake = suited(train, test, spec), {"count": num_fake, "seed": seed}
  test = usable(train, test)
  if train.name in MIXTURES:
    return _mixture(train, fake)
  for note in how.notes:
    print_message(note)
  if is_stacked(train):
    evaluator = _stacked(train, test or train, fake)
  else:
    evaluator = by_features(train, test, learned, how, fake)
  if how.notes:
    evaluator.card["notes"] = list(how.notes)
  return evaluator


def _mixture(source: Source, fake: Mapping[str, int]) -> Evaluator:
  centers, std = MIXTURES[source.name]
  card = {
    "evaluator": "mixture",
    "backbone": None,
    "real": {"data": source.name, "modes": len(centers), "std": std},
    "fake": fake,
  }

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    points = draw_samples(sample, fake, source.shape, np.float32)["x"]
    return mode_coverage(points, centers, std)

  return Evaluator("mixture", MODES, ("modes", "high_quality"), card, score)


def _stacked(train: Source, test: Source, fake: Mapping[str, int]) -> Evaluator:
  digit_classifier = classifier_for(train.arrays, test.arrays, DIGITS)
  one = class_shares(train.arrays["y"], DIGITS)
  shares = np.einsum("i,j,k->ijk", one, one, one).ravel()  # of the class 100a + 10b + c
  card = {
    "evaluator": "stacked digits",
    "backbone": digit_classifier.extractor.card,
    "real": {"data": train.name, "modes": len(shares), "digits": len(train.arrays["y"])},
    "fake": fake,
    "floor": {"kl": (len(shares) - 1) / (2 * fake["count"]), "of": "a perfect sampler, about"},
  }

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    images = draw_samples(sample, fake, train.shape, np.uint8)["x"]
    channels = np.moveaxis(images, -1, 1).reshape(-1, *digit_classifier.shape)  # [3n, H, W, 1]
    digits = digit_classifier(channels)[1].argmax(axis=1).reshape(-1, 3)
    labels = digits @ np.array([100, 10, 1])
    covered = float(class_coverage(labels, shares, least=0))
    return {"modes": covered, "kl": class_kl(labels, shares)}

  better = {name: MODES[name] for name in ("modes", "kl")}
  return Evaluator("stacked digits", better, ("modes", "kl"), card, score)
