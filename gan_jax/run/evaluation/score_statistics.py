"""Fréchet distances where statistics of features stand in the place of images."""

import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.data import UINT8, Source
from gan_jax.files import differences
from gan_jax.metrics.features.cache import content_hash, print_message
from gan_jax.metrics.features.extractor import Extractor, extract
from gan_jax.metrics.two_sample.frechet import Gaussian, Moments, frechet_distance, moments
from gan_jax.metrics.two_sample.reference_statistics import Statistics, write_statistics
from gan_jax.run.evaluation.cards.card import ELSEWHERE, Card, make_card
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.evaluation.evaluators.features import FEATURES, ExtractorInputs
from gan_jax.run.evaluation.evaluators.suite import METRICS
from gan_jax.run.evaluation.evaluators.suited import EvaluationSpec

KINDS = {"frechet": "features", "spatial_frechet": "spatial"}  # features of each metric

Examples = Callable[[], Mapping[str, Any]]


class Side(NamedTuple):
  """One of the two sets.

  Attributes:
    name: name or path that the user gave.
    kinds: moments of its "features", and of its "spatial" ones if there are any.
    card: its entry in a card.
  """

  name: str
  kinds: Mapping[str, Gaussian | Moments | None]
  card: Mapping[str, Any]

  def kind(self, metric: str) -> Gaussian | Moments:
    """Returns the moments that a metric compares."""
    gaussian = self.kinds.get(KINDS[metric])
    if gaussian is None:
      raise ValueError(
        f"metric {metric!r} needs {KINDS[metric]} features of {self.name}, and there are"
        f" {' and '.join(name for name, x in self.kinds.items() if x is not None) or 'none'} alone:"
        " leave it out, or give images that --features=inception looks at"
      )
    return gaussian


def score_statistics(
  real: str,
  fakes: Sequence[str],
  statistics: Mapping[str, Statistics],
  images: Mapping[str, tuple[Source, Examples]],
  spec: EvaluationSpec,
  sampled: Mapping[str, Any],
) -> Card:
  """Computes Fréchet distances between statistics, or between statistics and images.

  Args:
    real: name of the real set.
    fakes: names of the fakes.
    statistics: statistics, by name of the set.
    images: source of each other set, and the function that reads its examples.
    spec: extractor of features, and the metrics.
    sampled: preprocessing of the images, for the card.

  Returns:
    The card.

  Raises:
    ValueError: another metric, images that are not uint8, or features that do not fit: of another
      network or size of images, where all say it, or of another width.
  """
  metrics = spec.metrics or {"frechet": METRICS["frechet"]}
  names = " and ".join(statistics)
  for name in metrics:
    if name not in KINDS:
      raise ValueError(
        f"metric {name!r} needs images, and {names} has statistics, which are for"
        f" {' and '.join(KINDS)} alone: leave it out, or name images (those beside statistics are"
        " taken where no Fréchet distance is asked for)"
      )
  if not statistics.keys().isdisjoint(fakes) and not images.keys().isdisjoint(fakes):
    raise ValueError("--fake has statistics and images: expected draws of one kind")
  extractor = _extractor(images, spec, names)
  protocols = {name: x.protocol for name, x in statistics.items()}
  protocols |= {name: _protocol(extractor, source) for name, (source, _) in images.items()}
  _check_same_protocol({name: how for name, how in protocols.items() if how is not None})
  sides = {name: _of_file(name, x) for name, x in statistics.items()}
  for name, (_, examples) in images.items():
    assert extractor is not None
    sides[name] = _of_images(name, examples(), extractor)
  notes = []
  if unsaid := [name for name, how in protocols.items() if how is None]:
    of = " and ".join(unsaid)
    notes = [f"which network looked at the images of {of}, and at which size, is not said there"]
    print_message(notes[0])
  of_all = {} if unsaid else protocols[real] or {}
  better = {score: way for metric in metrics.values() for score, way in metric.better.items()}
  card: dict[str, Any] = {
    "evaluator": "images",
    "backbone": of_all.get("backbone") if extractor is None else extractor.card,
    "metrics": {name: {} for name in metrics},
    "real": sides[real].card,
    "fake": {"count": sides[fakes[0]].card["count"]},
    **({"notes": notes} if notes else {}),
  }
  draws = [
    {s: _distance(sides[real], sides[fake], name) for name in metrics for s in metrics[name].better}
    for fake in fakes
  ]
  return make_card(
    Evaluator("images", better, tuple(better)[:1], card, lambda *_: {}),
    draws,
    checkpoint=ELSEWHERE,
    sampled=sampled,
    run={"images": list(fakes), "draws": [sides[fake].card["sha256"] for fake in fakes]},
  )


def save_statistics(
  path: str | os.PathLike[str], name: str, source: Source, examples: Examples, spec: EvaluationSpec
) -> int:
  """Writes statistics of the features of images, for scores in which these stand in their place.

  Args:
    path: of the .npz file; see `reference_statistics.write_statistics`.
    name: name of the images, for messages.
    source: the images.
    examples: function that reads them.
    spec: extractor of features; of metrics, whether features that keep places are asked for.

  Returns:
    How many images they are of.

  Raises:
    ValueError: examples that are not uint8 images, features of a classifier of them, or no features
      that keep places.
  """
  extractor = _extractor({name: (source, examples)}, spec, f"--save_stats={path}")
  assert extractor is not None
  given = examples()
  side = _of_images(name, given, extractor)
  places = "spatial_frechet" in (spec.metrics or {})
  spatial = side.kind("spatial_frechet") if places else None
  write_statistics(path, side.kind("frechet"), spatial, given["x"], _protocol(extractor, source))
  return len(given["x"])


def _extractor(
  images: Mapping[str, tuple[Source, Examples]], spec: EvaluationSpec, names: str
) -> Extractor | None:
  """Builds the extractor of features, if there are images."""
  if not images:
    return None
  features, (first, _) = spec.features or FEATURES["inception"], next(iter(images.values()))
  if features.needs_labels:
    raise ValueError(
      f"{names}: statistics are of a network that is not of one data set, as a classifier of these"
      " images is: ask for the features that they are made with, such as --features=inception"
    )
  for name, (source, _) in images.items():
    if source.kind == "points" or source.scale != UINT8:
      dtype = "float32" if source.kind == "points" else source.scale.dtype
      raise ValueError(
        f"{names}: {name} has {source.kind} of {dtype}, and statistics do not say what range values"
        " had: expected images of uint8"
      )
  return features.make(ExtractorInputs(first, None, spec.weights))


def _protocol(extractor: Extractor | None, source: Source) -> dict[str, Any]:
  """Describes what statistics depend on beside the images: the network, and their size."""
  assert extractor is not None
  # As it will be read again: tuples are lists there.
  described: dict[str, Any] = json.loads(
    json.dumps({"backbone": extractor.card, "images": source.shape})
  )
  return described


def _check_same_protocol(protocols: Mapping[str, Mapping[str, Any]]) -> None:
  """Refuses features of different networks, or of images of different sizes."""
  for first, name in itertools.pairwise(protocols):
    if lines := differences(protocols[first], protocols[name]).values():
      raise ValueError(
        "\n".join([f"the features of {first} (there) and of {name} (here) are others:", *lines])
        + "\nexpected both of one network, --features, and of images of one size, --image_size;"
        " or write the statistics anew by --save_stats"
      )


def _of_file(name: str, statistics: Statistics) -> Side:
  known = statistics.features or statistics.spatial
  card = {
    "data": name,
    "statistics": list(statistics.names),
    "count": (known and known.n) or "n unknown",
    "sha256": statistics.sha256[:16],
  }
  return Side(name, {"features": statistics.features, "spatial": statistics.spatial}, card)


def _of_images(name: str, examples: Mapping[str, Any], extractor: Extractor) -> Side:
  x = examples["x"]
  features = extract(extractor, x)
  kinds = {kind: moments(features[kind]) for kind in KINDS.values() if kind in features}
  card = {"data": name, "count": len(x), "sha256": content_hash({"x": x})[:16]}
  return Side(name, kinds, card)


def _distance(real: Side, fake: Side, metric: str) -> float:
  a, b = real.kind(metric), fake.kind(metric)
  if len(a.mean) != len(b.mean):
    raise ValueError(
      f"{real.name} has features of width {len(a.mean)}, and {fake.name} of width {len(b.mean)}:"
      " expected both of one layer of one network; --features says which looks at images"
    )
  return frechet_distance(a, b)
