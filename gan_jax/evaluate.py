"""Evaluators: what a generator is scored by on each kind of data, and how the number was made.

    evaluator = evaluator_for(train, test, num_fake=10_000)
    scores = evaluator(lambda n, seed: {"x": uint8 images [n, H, W, C]})
    card = {**evaluator.card, "ema": True, "checkpoint": "last"}

A score without its card cannot be compared with another, so the two travel together; whoever drew
the examples adds what only they know.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import MIXTURES, Source, take
from gan_jax.features import FEATURES, Features, Given, bounded
from gan_jax.metrics import class_coverage, class_kl, class_shares, mode_coverage
from gan_jax.metrics.features import classifier
from gan_jax.metrics.features.cache import content_hash, extract_once
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.metrics.features.extractor import Extractor, Outputs, extract, look
from gan_jax.metrics.path_length import Paths
from gan_jax.metrics.suite import METRICS, Metric, Reference, Scores, Seen

SampleFn = Callable[[int, int], Mapping[str, np.ndarray]]

DIGITS = 10  # classes in each channel of stacked digits


class Walk(NamedTuple):
  """Paths between latents of a generator, two ends each.

  Attributes:
    generate: latents [b, d], and labels [b] if there are any -> float images [b, H, W, C] from 0 to
      255, not rounded.
    start: latents, [n, d].
    end: latents, [n, d].
    labels: of the paths, int [n]; None without classes.
  """

  generate: Callable[..., Any]
  start: np.ndarray
  end: np.ndarray
  labels: np.ndarray | None


WalkFn = Callable[[int, int], Walk]  # (n, seed) -> n paths


class Asked(NamedTuple):
  """How images are to be scored.

  Attributes:
    features: what looks at them.
    metrics: by name; the first chooses the best checkpoint.
    real: the split that fakes are held against, "train" or "test".
    weights: file of the network's weights; None for where it is looked for.
  """

  features: Features = FEATURES["classifier"]
  metrics: Mapping[str, Metric] = {
    "frechet": METRICS["frechet"],
    "classes": METRICS["classes"],
  }
  real: str = "test"
  weights: str | None = None


class Evaluator(NamedTuple):
  """A way to score a generator.

  Attributes:
    name: of the kind of evaluation.
    better: {score: "min" or "max"}, which way each is better; "none" where neither is.
    headline: names of the scores that choose the best checkpoint: the first decides, the next
      breaks ties. Empty if there are no scores.
    card: how the numbers are made.
    score: what `evaluator(sample)` does.
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

  def improves(self, new: Mapping[str, float], best: Mapping[str, float] | None) -> bool:
    """Tells whether scores are better than the best so far, by the headline; NaN never is."""
    if not self.headline or any(math.isnan(new[name]) for name in self.headline):
      return False
    rank = lambda scores: [
      scores[name] if self.better[name] == "max" else -scores[name] for name in self.headline
    ]
    return best is None or rank(new) > rank(best)


def unscored(train: Source, test: Source | None, asked: Asked | None = None) -> str | None:
  """Says why there can be no scores on a data set; None if there can be."""
  asked = asked or Asked()
  if train.name in MIXTURES:
    return None
  if len(train.shape) != 3:
    return f"{train.name} has no known modes"
  classified = train.draw is not None or asked.features.needs_labels
  if classified and train.num_classes is None:
    return (
      f"{train.name} has no labels to train a classifier with, and other features"
      " (config.evaluation.features) have not been asked for"
    )
  if test is None and (classified or asked.real == "test"):
    return f"{train.name} has no test split to hold samples against"
  if test is not None and test.shape != train.shape:
    return f"{train.name} has examples {train.shape}, and its test split {test.shape}"
  if not classified:
    return None
  assert test is not None and train.num_classes is not None
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
  asked: Asked | None = None,
  learned: Source | None = None,
  cache_dir: str | None = None,
  seed: int = 0,
  batch_size: int = 100,
) -> Evaluator:
  """Makes the evaluator that suits a data set; may train a classifier, once.

  Two-dimensional mixtures are scored by modes, high_quality and kl; stacked digits by modes and kl
  of the digits a classifier reads; labelled images, unless something else is asked for, by the
  Fréchet distance of a classifier's features to the test split, and by the classes it sees. Other
  data get no score unless it is said how, and a card that says why (see `unscored`): a number
  without a suitable network to look at the images would mean nothing.

  Args:
    train: the training split.
    test: what the generator is compared with; None if there is no such split.
    num_fake: examples to draw for a score, >= 2.
    asked: how images are to be scored.
    learned: the part of the training split that the generator learns from; None for all of it.
    cache_dir: where classifiers are kept; by default $GAN_JAX_CACHE, else ~/.cache/gan_jax.
    seed: of the generated examples.
    batch_size: images that the classifier looks at in one go.

  Returns:
    The evaluator.

  Raises:
    ValueError: num_fake is too small, or the data lack what a metric needs.
  """
  asked = asked or Asked()
  if num_fake < 2:
    raise ValueError(f"num_fake is {num_fake}: a score needs at least 2 generated examples")
  if (reason := unscored(train, test, asked)) is not None:
    return Evaluator("none", {}, (), {"evaluator": "none", "reason": reason}, lambda *_: {})
  fake = {"count": num_fake, "seed": seed}
  if (train.name in MIXTURES or train.draw is not None) and asked != Asked():
    raise ValueError(
      f"{train.name} is scored by its modes: features, metrics and real are for other images"
    )
  if train.name in MIXTURES:
    return _mixture(train, fake)
  if train.draw is not None:
    assert test is not None
    return _stacked(train, test, fake, cache_dir, batch_size)
  return _images(train, test, learned, asked, fake, cache_dir, batch_size)


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

  better = {"modes": "max", "high_quality": "max", "kl": "min"}
  return Evaluator("mixture", better, ("modes", "high_quality"), card, score)


def _images(
  train: Source,
  test: Source | None,
  learned: Source | None,
  asked: Asked,
  fake: Mapping[str, int],
  cache_dir: str | None,
  batch_size: int,
) -> Evaluator:
  """Scores images by what a network sees in them."""
  splits = {"train": train, "test": test}
  real, other = splits.pop(asked.real), next(iter(splits.values()))
  assert real is not None
  extractor = extractor_for(train, test, asked, cache_dir)
  seen_once = functools.partial(_look, extractor, cache_dir, batch_size)
  labels = bounded(train).get("y")
  reference = Reference(
    real=seen_once(bounded(real)),
    learned=functools.cache(lambda: seen_once(bounded(learned or train))),
    shares=None if labels is None else class_shares(labels, train.num_classes or 0),
  )
  backbone = extractor.card["name"]
  prepared = {
    name: _prepared(name, metric, reference, asked.real, backbone)
    for name, metric in asked.metrics.items()
  }
  embed = lambda x: look(extractor, x)["features"]

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    drawn = _draw(sample, fake, real.shape, np.uint8)
    seen = extract(extractor, drawn["x"], batch_size=batch_size)
    paths = _paths(asked, walk, embed, fake)
    made = _seen(drawn, seen)._replace(paths=paths)
    return {name: value for score in prepared.values() for name, value in score(made).items()}

  card = _card_of_images(extractor, asked, reference, real.name, fake)
  first, metric = next(iter(asked.metrics.items()))
  if other is not None and other.size and not metric.walks:
    stand_in = take(other, min(other.size, fake["count"]))  # as many as will be generated
    found = prepared[first](seen_once(stand_in))
    card["floor"] = {**found, "split": next(iter(splits)), "count": len(stand_in["x"])}
  better = {k: v for metric in asked.metrics.values() for k, v in metric.better.items()}
  return Evaluator("images", better, tuple(metric.better)[:1], card, score)


def _paths(
  asked: Asked, walk: WalkFn | None, embed: Callable[[Any], Any], fake: Mapping[str, int]
) -> Paths | None:
  """Draws as many paths as images, where a metric walks them."""
  walkers = [name for name, metric in asked.metrics.items() if metric.walks]
  if not walkers:
    return None
  if walk is None:
    raise ValueError(
      f"metric {walkers[0]!r} is of a generator, and here are images alone: leave it out"
    )
  generate, start, end, labels = walk(fake["count"], fake["seed"])
  positions = np.random.default_rng(fake["seed"]).uniform(size=len(start))
  return Paths(generate, embed, start, end, positions, labels)


def _card_of_images(
  extractor: Extractor, asked: Asked, reference: Reference, name: str, fake: Mapping[str, int]
) -> dict[str, Any]:
  """Says how images are scored."""
  real = reference.real
  card = {
    "evaluator": "images",
    "backbone": extractor.card,
    "metrics": {name: dict(metric.options(reference)) for name, metric in asked.metrics.items()},
    "real": {
      "data": name,
      "split": asked.real,
      "count": len(real.images),
      "sha256": content_hash({"x": real.images})[:16],
    },
    "fake": fake,
  }
  thin = [
    f"{count} images do not fill the covariance of {width} features"
    for metric in asked.metrics.values()
    for count, width in metric.covariances(reference, fake["count"])
    if count <= width
  ]
  if thin:
    card["note"] = "; ".join(thin)
  return card


def extractor_for(
  train: Source, test: Source | None, asked: Asked, cache_dir: str | None = None
) -> Extractor:
  """Makes what looks at the images of a data set; may train a classifier, once.

  Raises:
    ValueError: there is no way to make a classifier for the data.
  """
  if asked.features.needs_labels and (reason := unscored(train, test, asked)) is not None:
    raise ValueError(reason)
  return asked.features.make(Given(train, test, cache_dir, asked.weights))


def _look(
  extractor: Extractor, cache_dir: str | None, batch_size: int, split: Mapping[str, np.ndarray]
) -> Seen:
  """Looks at real images, once for all."""
  seen = extract_once(extractor, split["x"], cache_dir=cache_dir, batch_size=batch_size)
  return _seen(split, seen)


def _seen(images: Mapping[str, np.ndarray], outputs: Outputs) -> Seen:
  logits, spatial = outputs.get("logits"), outputs.get("spatial")
  return Seen(images["x"], outputs["features"], logits, spatial, images.get("y"))


def _prepared(
  name: str, metric: Metric, reference: Reference, split: str, backbone: str
) -> Callable[[Seen], Scores]:
  """Prepares a metric, if what it needs is there."""
  for need in metric.needs:
    if getattr(reference.real, need) is None:
      raise ValueError(f"metric {name!r} needs {need}, which {backbone} of this data has not")
  if metric.held_out and split != "test":
    raise ValueError(f"metric {name!r} needs held-out images: ask for real='test'")
  return metric.prepare(reference)


def _stacked(
  train: Source, test: Source, fake: Mapping[str, int], cache_dir: str | None, batch_size: int
) -> Evaluator:
  judge = classifier_for(train.arrays, test.arrays, DIGITS, cache_dir=cache_dir)
  one = class_shares(train.arrays["y"], DIGITS)
  shares = np.einsum("i,j,k->ijk", one, one, one).ravel()  # of the class 100a + 10b + c
  card = {
    "evaluator": "stacked digits",
    "backbone": judge.extractor.card,
    "real": {"data": train.name, "modes": len(shares), "digits": len(train.arrays["y"])},
    "fake": fake,
    "floor": {"kl": (len(shares) - 1) / (2 * fake["count"]), "of": "a perfect sampler, about"},
  }

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
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
