"""Evaluators: scores of a generator on each kind of data, and the card of their protocol.

    evaluator = evaluator_for(train, test, num_fake=10_000)
    scores = evaluator(lambda n, seed: {"x": uint8 images [n, H, W, C]})
    card = {**evaluator.card, "ema": True, "checkpoint": "last"}

A score without its card cannot be compared with another, so the two travel together; the sampler's
own options are added by its caller. Scores do not depend on the order of the examples.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from gan_jax.data import MIXTURES, Source, take
from gan_jax.metrics import class_coverage, class_kl, class_shares, mode_coverage
from gan_jax.metrics.features import classifier
from gan_jax.metrics.features.cache import content_hash, print_message
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.metrics.features.extractor import Extractor, Outputs, extract, extract_cached, forward
from gan_jax.metrics.path_length import Paths
from gan_jax.run.evaluation.features import (
  FEATURES,
  POINTS,
  ExtractorFactory,
  ExtractorInputs,
  bounded,
)
from gan_jax.run.evaluation.suite import METRICS, MODES, FeatureSet, Metric, Reference, Scores

SampleFn = Callable[[int, int], Mapping[str, np.ndarray]]

DIGITS = 10  # classes in each channel of stacked digits
FAILURES = (ValueError, ArithmeticError)  # of a metric, on examples it cannot be computed from

HOLD_OUT = "hold some out by --config.data_options.hold_out=0.1"
OTHER_FEATURES = (
  "ask for features that need none, --config.evaluation.features=random_projection (evaluate and"
  " score: --features=random_projection)"
)


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


class EvaluationSpec(NamedTuple):
  """Options of an evaluation; None is replaced by what suits the data.

  Attributes:
    features: extractor of features.
    metrics: {name: metric}; the first chooses the best checkpoint.
    real: the split that fakes are compared with, "train" or "test".
    weights: file of the network's weights; None for its default path.
  """

  features: ExtractorFactory | None = None
  metrics: Mapping[str, Metric] | None = None
  real: str | None = None
  weights: str | None = None


class Suited(NamedTuple):
  """A complete `EvaluationSpec`.

  Attributes:
    features, metrics, real, weights: fields of `EvaluationSpec`.
    notes: reasons, a line each, for options that a better data set would not have.
  """

  features: ExtractorFactory
  metrics: Mapping[str, Metric]
  real: str
  weights: str | None
  notes: tuple[str, ...]


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


def suited(train: Source, test: Source | None, spec: EvaluationSpec | None = None) -> Suited:
  """Completes the options of an evaluation by those that suit a data set.

  Examples are compared with the test split, if there is one, else with the training split. Features
  of images are those of a classifier of their own classes, if these are known, and else such as
  need no labels; points are scored as they are.

  Args:
    train: the training split.
    test: the test split; None if there is none.
    spec: options that are given.

  Returns:
    The complete options.

  Raises:
    ValueError: the data lack what was asked for; the message names a remedy.
  """
  spec = spec or EvaluationSpec()
  if (train.name in MIXTURES or _is_stacked(train)) and spec != EvaluationSpec():
    raise ValueError(
      f"{train.name} is scored by its modes: features, metrics and real are for other data; leave"
      " them as they are, --config.evaluation.features=auto and so on"
    )
  notes, real = [], spec.real
  lack = None
  if _usable(train, test) is None:
    lack = "there is no test split"
    if test is not None:
      lack = f"the test split has examples {test.shape}, and the training split {train.shape}"
  if real == "test" and lack:
    raise ValueError(
      f"{train.name}: {lack}, and scores against it were asked for: {HOLD_OUT}, or score against"
      " the training split, --config.evaluation.real=train (evaluate: --real=train, score:"
      " --split=train)"
    )
  if real is None:
    real = "train" if lack else "test"
    if lack and train.size is not None:  # no example of an endless source was trained on
      ablate = "ablate: --config.base.data_options.hold_out=0.1"
      notes.append(f"scores are against the training split: {lack}; {HOLD_OUT} ({ablate})")
  features, metrics = spec.features, spec.metrics
  if len(train.shape) == 1:
    if features is not None:
      raise ValueError(
        f"{train.name} has points, which are scored as they are: features are for images; leave"
        " out --features, or set --config.evaluation.features=auto"
      )
    features = POINTS
    metrics = metrics or _named("sliced_wasserstein", "frechet")
  if features is None or features.needs_labels:
    reason = _unclassified(train, None if lack else test)
    if reason and features is not None:
      raise ValueError(f"{train.name}: {reason}; {OTHER_FEATURES}")
    if reason:
      notes.append(f"images are looked at by a random projection of their pixels: {reason}")
    features = FEATURES["random_projection" if reason else "classifier"]
  if metrics is None:
    metrics = _named("frechet", *(["classes"] if features.needs_labels else []))
  return Suited(features, metrics, real, spec.weights, tuple(notes))


def _usable(train: Source, test: Source | None) -> Source | None:
  """Returns the test split if it is of the same kind as the training split."""
  return test if test is not None and test.shape == train.shape else None


def _is_stacked(source: Source) -> bool:
  return source.draw is not None and len(source.shape) == 3


def _named(*names: str) -> dict[str, Metric]:
  return {name: METRICS[name] for name in names}


def _unclassified(train: Source, test: Source | None) -> str | None:
  """Formats the reason why no classifier can be trained on images; None if one can be."""
  if train.num_classes is None:
    return "there are no labels to train a classifier with"
  if train.num_classes < 2:
    return "there is but one class, and a classifier has nothing to tell apart"
  if test is not None and (test.num_classes is None or test.num_classes > train.num_classes):
    return f"there are {train.num_classes} classes, and in the test split {test.num_classes}"
  if min(train.shape[:2]) < classifier.SMALLEST:
    return f"images of {train.shape[:2]} pixels are too small for the classifier"
  return None


def evaluator_for(
  train: Source,
  test: Source | None,
  *,
  num_fake: int,
  spec: EvaluationSpec | None = None,
  learned: Source | None = None,
  cache_dir: str | None = None,
  seed: int = 0,
  batch_size: int = 100,
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
    cache_dir: folder of trained classifiers; by default $GAN_JAX_CACHE, else ~/.cache/gan_jax.
    seed: seed of the generated examples.
    batch_size: images in one batch of the extractor.

  Returns:
    The evaluator.

  Raises:
    ValueError: num_fake is too small, or the data lack what a metric needs.
  """
  if num_fake < 2:
    raise ValueError(
      f"num_fake is {num_fake}: a score needs at least 2 generated examples (score: in --fake)"
    )
  how, fake = suited(train, test, spec), {"count": num_fake, "seed": seed}
  test = _usable(train, test)
  if train.name in MIXTURES:
    return _mixture(train, fake)
  for note in how.notes:
    print_message(note)
  if _is_stacked(train):
    evaluator = _stacked(train, test or train, fake, cache_dir, batch_size)
  else:
    evaluator = _compared(train, test, learned, how, fake, cache_dir, batch_size)
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
    points = _draw(sample, fake, source.shape, np.float32)["x"]
    return mode_coverage(points, centers, std)

  return Evaluator("mixture", MODES, ("modes", "high_quality"), card, score)


def _compared(
  train: Source,
  test: Source | None,
  learned: Source | None,
  how: Suited,
  fake: Mapping[str, int],
  cache_dir: str | None,
  batch_size: int,
) -> Evaluator:
  """Builds the evaluator of images by their features, or of points as they are."""
  splits = {"train": train, "test": test}
  real, other = splits.pop(how.real), next(iter(splits.values()))
  assert real is not None
  points, examples = how.features is POINTS, _ordered(bounded(real))
  _check_examples(how, examples, fake["count"], other)
  extractor = how.features.make(ExtractorInputs(train, test, cache_dir, how.weights))
  see = lambda x: {"features": x} if points else extract(extractor, x, batch_size=batch_size)
  once = lambda x: extract_cached(extractor, x, cache_dir=cache_dir, batch_size=batch_size)
  see_real = lambda split: _feature_set(split, (see if points else once)(split["x"]))
  labels = bounded(train).get("y")
  reference = Reference(
    real=see_real(examples),
    train_features=functools.cache(lambda: see_real(_ordered(bounded(learned or train)))),
    shares=None if labels is None else class_shares(labels, train.num_classes or 0),
    names=train.classes,
  )
  backbone = extractor.card["name"]
  prepared = {
    name: _guarded(metric, _prepared(name, metric, reference, backbone))
    for name, metric in how.metrics.items()
  }
  embed = lambda x: forward(extractor, x)["features"]

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    fakes = _ordered(_draw(sample, fake, real.shape, np.float32 if points else np.uint8))
    samples = _feature_set(fakes, see(fakes["x"]))._replace(paths=_paths(how, walk, embed, fake))
    return {name: value for score in prepared.values() for name, value in score(samples).items()}

  card = _card_of(extractor, how, reference, real.name, fake)
  if train.class_names and reference.shares is not None:
    card["classes"] = dict(zip(train.class_names, reference.shares.round(4).tolist(), strict=True))
  first, metric = next(iter(how.metrics.items()))
  if other is not None and other.size and not metric.walks:
    stand_in = _ordered(take(other, min(other.size, fake["count"])))  # as many as will be drawn
    floor = prepared[first](see_real(stand_in))
    card["floor"] = {**floor, "split": next(iter(splits)), "count": len(stand_in["x"])}
  better = {k: v for metric in how.metrics.values() for k, v in metric.better.items()}
  name = "points" if points else "images"
  ranking = tuple(score for score, way in metric.better.items() if way != "none")
  return Evaluator(name, better, ranking[:1], card, score)


def _ordered(examples: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Sorts examples by hash, so that splits, subsets and pairs, drawn by place, are the same."""
  rows = zip(*(examples[name] for name in sorted(examples)), strict=True)
  keys = [hashlib.sha256(b"".join(part.tobytes() for part in row)).digest() for row in rows]
  order = sorted(range(len(keys)), key=keys.__getitem__)
  return {name: values[order] for name, values in examples.items()}


def _check_examples(
  how: Suited, real: Mapping[str, np.ndarray], fakes: int, other: Source | None
) -> None:
  """Refuses metrics that cannot be computed, before a network is loaded or trained."""
  larger = ""
  if other is not None and (other.size is None or other.size > len(real["x"])):
    larger = f", such as config.evaluation.real={'train' if how.real == 'test' else 'test'}"
  for name, metric in how.metrics.items():
    if metric.of_images and real["x"].ndim != 4:
      raise ValueError(f"metric {name!r} is of images, and these are points: leave it out")
    least = metric.least
    if len(real["x"]) < least[0]:
      raise ValueError(
        f"metric {name!r} needs at least {least[0]} real examples, and there are {len(real['x'])}:"
        f" score against more{larger}, or leave it out (score: more in --real)"
      )
    if fakes < least[1]:
      raise ValueError(
        f"metric {name!r} needs at least {least[1]} generated examples, and there are {fakes}: give"
        f" more (num_fake={least[1]}; score: more images in --fake as well), or leave it out"
      )
    if metric.held_out and how.real != "test":
      raise ValueError(
        f"metric {name!r} needs held-out images, and {how.real} ones are scored against: {HOLD_OUT}"
        " and ask for --config.evaluation.real=test (evaluate: --real=test, score: --split=test)"
      )


def _guarded(
  metric: Metric, score: Callable[[FeatureSet], Scores]
) -> Callable[[FeatureSet], Scores]:
  """Wraps a metric: where it cannot be computed of some examples, its own scores are NaN."""

  def guarded(fake: FeatureSet) -> Scores:
    try:
      for need in metric.needs:
        if getattr(fake, need) is None:
          raise ValueError(f"the generated examples have no {need}")
      return score(fake)
    except FAILURES as error:
      print_message(f"no {', '.join(metric.better)}: {error}")
      return dict.fromkeys(metric.better, math.nan)

  return guarded


def _paths(
  how: Suited, walk: WalkFn | None, embed: Callable[[Any], Any], fake: Mapping[str, int]
) -> Paths | None:
  """Draws as many paths as images, where a metric walks them."""
  walkers = [name for name, metric in how.metrics.items() if metric.walks]
  if not walkers:
    return None
  if walk is None:
    raise ValueError(
      f"metric {walkers[0]!r} is of a generator, and here are images alone: leave it out"
    )
  paths = walk(fake["count"], fake["seed"])
  return Paths(paths.generate, embed, *paths[1:])


def _card_of(
  extractor: Extractor, how: Suited, reference: Reference, name: str, fake: Mapping[str, int]
) -> dict[str, Any]:
  """Builds the card of an evaluation by features."""
  real = reference.real
  card = {
    "evaluator": "points" if how.features is POINTS else "images",
    "backbone": extractor.card,
    "metrics": {name: dict(metric.options(reference)) for name, metric in how.metrics.items()},
    "real": {
      "data": name,
      "split": how.real,
      "count": len(real.images),
      "sha256": content_hash({"x": real.images})[:16],
    },
    "fake": fake,
  }
  thin = [
    f"{count} images do not fill the covariance of {width} features"
    for metric in how.metrics.values()
    for count, width in metric.covariances(reference, fake["count"])
    if count <= width
  ]
  if thin:
    card["note"] = "; ".join(thin)
  return card


def extractor_for(
  train: Source, test: Source | None, spec: EvaluationSpec, cache_dir: str | None = None
) -> Extractor:
  """Builds the extractor of features of a data set; may train a classifier, once.

  Raises:
    ValueError: no classifier can be trained on the data.
  """
  how = suited(train, test, spec)
  return how.features.make(ExtractorInputs(train, _usable(train, test), cache_dir, how.weights))


def _feature_set(examples: Mapping[str, np.ndarray], outputs: Outputs) -> FeatureSet:
  logits, spatial = outputs.get("logits"), outputs.get("spatial")
  return FeatureSet(examples["x"], outputs["features"], logits, spatial, examples.get("y"))


# Extractors whose outputs a metric needs.
_PROVIDERS = {
  "logits": ", such as --features=classifier",
  "spatial": ": --features=inception alone keeps where in an image it saw what",
}


def _prepared(
  name: str, metric: Metric, reference: Reference, backbone: str
) -> Callable[[FeatureSet], Scores]:
  """Prepares a metric on real images, and checks that they have what it needs."""
  for need in metric.needs:
    if getattr(reference.real, need) is None:
      raise ValueError(
        f"metric {name!r} needs {need}, which {backbone} of this data has not: leave it out, or"
        f" give data or features that have them{_PROVIDERS.get(need, '')}"
      )
  return metric.prepare(reference)


def _stacked(
  train: Source, test: Source, fake: Mapping[str, int], cache_dir: str | None, batch_size: int
) -> Evaluator:
  digit_classifier = classifier_for(train.arrays, test.arrays, DIGITS, cache_dir=cache_dir)
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
    images = _draw(sample, fake, train.shape, np.uint8)["x"]
    channels = np.moveaxis(images, -1, 1).reshape(-1, *digit_classifier.shape)  # [3n, H, W, 1]
    digits = digit_classifier(channels, batch_size=batch_size)[1].argmax(axis=1).reshape(-1, 3)
    labels = digits @ np.array([100, 10, 1])
    return {
      "modes": float(class_coverage(labels, shares, least=0)),
      "kl": class_kl(labels, shares),
    }

  better = {name: MODES[name] for name in ("modes", "kl")}
  return Evaluator("stacked digits", better, ("modes", "kl"), card, score)


def _draw(
  sample: SampleFn, fake: Mapping[str, int], shape: tuple[int, ...], dtype: type
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
