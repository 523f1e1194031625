"""The evaluator of arrays by their features, or of points as they are."""

import functools
import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gan_jax.data import Source, kind_of, stored_levels, take
from gan_jax.data.source import HOLD_OUT
from gan_jax.metrics import class_shares
from gan_jax.metrics.features.cache import content_hash, print_message
from gan_jax.metrics.features.extractor import Extractor, Outputs, extract, extract_cached, forward
from gan_jax.metrics.path_length import Paths
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator, SampleFn, WalkFn, draw_samples
from gan_jax.run.evaluation.evaluators.features import POINTS, ExtractorInputs, bounded
from gan_jax.run.evaluation.evaluators.metric import FeatureSet, Metric, Reference, Scores
from gan_jax.run.evaluation.evaluators.suited import Suited

FAILURES = (ValueError, ArithmeticError)  # of a metric, on examples it cannot be computed from


def by_features(
  train: Source,
  test: Source | None,
  learned: Source | None,
  how: Suited,
  fake: Mapping[str, int],
) -> Evaluator:
  """Builds the evaluator of arrays by their features, or of points as they are."""
  splits = {"train": train, "test": test}
  real, other = splits.pop(how.real), next(iter(splits.values()))
  assert real is not None
  points = how.features is POINTS
  # Images other than uint8 are compared as floats from 0 to 255, all by the same range.
  levels = lambda of: _ordered({**of, "x": stored_levels(of["x"], train.scale)})
  examples = levels(bounded(real))
  _check_examples(how, examples, fake["count"], other)
  extractor = how.features.make(ExtractorInputs(train, test, how.weights))
  see = lambda x: {"features": x} if points else extract(extractor, x)
  once = lambda x: {"features": x} if points else extract_cached(extractor, x)
  see_real = lambda split: _feature_set(split, once(split["x"]))
  labels = bounded(train).get("y") if train.num_classes else None
  reference = Reference(
    real=see_real(examples),
    train_features=functools.cache(lambda: see_real(levels(bounded(learned or train)))),
    shares=None if labels is None else class_shares(labels, train.num_classes or 0),
    names=train.classes,
  )
  backbone = extractor.card["name"]
  prepared = {
    name: _prepared(name, metric, reference, backbone) for name, metric in how.metrics.items()
  }
  embed = lambda x: forward(extractor, x)["features"]

  def score(sample: SampleFn, walk: WalkFn | None) -> Scores:
    dtype = np.float32 if points else train.scale.dtype
    fakes = levels(draw_samples(sample, fake, real.shape, dtype))
    samples = _feature_set(fakes, see(fakes["x"]))._replace(paths=_paths(how, walk, embed, fake))
    return {name: value for score in prepared.values() for name, value in score(samples).items()}

  card = _card_of(extractor, how, reference, real.name, fake)
  if train.class_names and reference.shares is not None:
    card["classes"] = dict(zip(train.class_names, reference.shares.round(4).tolist(), strict=True))
  first, metric = next(iter(how.metrics.items()))
  if other is not None and other.size and not metric.walks:
    stand_in = levels(take(other, min(other.size, fake["count"])))  # as many as will be drawn
    floor = prepared[first](see_real(stand_in))
    card["floor"] = {**floor, "split": next(iter(splits)), "count": len(stand_in["x"])}
  better = {k: v for metric in how.metrics.values() for k, v in metric.better.items()}
  ranking = tuple(score for score, way in metric.better.items() if way != "none")
  return Evaluator(card["evaluator"], better, ranking[:1], card, score)


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
    if metric.of_images and (kind := kind_of(real["x"].shape[1:])) != "images":
      raise ValueError(f"metric {name!r} is of images, and these are {kind}: leave it out")
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
    "evaluator": kind_of(real.images.shape[1:]),
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
  """Prepares a metric on real images; of fakes that it cannot be computed from it gives NaN."""
  for need in metric.needs:
    if getattr(reference.real, need) is None:
      raise ValueError(
        f"metric {name!r} needs {need}, which {backbone} of this data has not: leave it out, or"
        f" give data or features that have them{_PROVIDERS.get(need, '')}"
      )
  score = metric.prepare(reference)

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
