"""Extractors of the features of a data set's images, by name."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gan_jax.data.source import Source
from gan_jax.data.splits import take
from gan_jax.metrics.features import vgg16, weights
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.metrics.features.inception.inception import inception
from gan_jax.metrics.features.pixels import pixels, random_projection

REAL_LIMIT = 60_000  # real examples of a split that are scored against
DRAWN = 10_000  # of an endless one


def bounded(source: Source) -> dict[str, np.ndarray]:
  """Reads a split in its own order, or a random choice of it if it is large or endless."""
  if source.size is None:
    return take(source, DRAWN)
  return take(source, REAL_LIMIT if source.size > REAL_LIMIT else None)


class ExtractorInputs(NamedTuple):
  """Inputs from which an extractor may be built.

  Attributes:
    train: the data that the generator learns from.
    test: held-out data; None if there are none.
    weights: file of a network's weights; None for its default path.
  """

  train: Source
  test: Source | None
  weights: str | None


def _classifier(given: ExtractorInputs) -> Extractor:
  assert given.train.num_classes is not None  # `suited` refuses it otherwise
  train = bounded(given.train)
  test = train if given.test is None else bounded(given.test)  # for the accuracy it prints
  classes = given.train.num_classes
  return classifier_for(train, test, classes).extractor


def _points(given: ExtractorInputs) -> Extractor:
  card = {"name": "the points themselves", "version": 1, "sha256": None}
  return Extractor({**card, "width": given.train.shape[0]}, lambda points: {"features": points})


class ExtractorFactory(NamedTuple):
  """A function that builds an extractor of features.

  Attributes:
    make: inputs -> the extractor; may train a classifier, once.
    find: (name of a file, or None) -> path of its weights; None of one that reads no file.
    needs_labels: whether it needs labels of the data.
  """

  make: Callable[[ExtractorInputs], Extractor]
  find: Callable[[str | None], pathlib.Path] | None = None
  needs_labels: bool = False


POINTS = ExtractorFactory(_points)  # of data that are no images
FEATURES = {
  "classifier": ExtractorFactory(_classifier, needs_labels=True),
  "pixels": ExtractorFactory(lambda given: pixels()),
  "random_projection": ExtractorFactory(lambda given: random_projection(given.train.shape)),
  "inception": ExtractorFactory(lambda given: inception(given.weights), weights.find),
  "vgg16": ExtractorFactory(lambda given: vgg16.vgg16(given.weights), vgg16.find),
}


def name_of(features: ExtractorFactory) -> str:
  """Returns the name of a factory."""
  names = [name for name, factory in FEATURES.items() if factory is features]
  return names[0] if names else "points"
