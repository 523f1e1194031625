"""What may look at the images of a data set: networks with weights of a file, or learned here."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gan_jax.data import Source, take
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.metrics.features.inception import inception
from gan_jax.metrics.features.pixels import pixels, random_projection
from gan_jax.metrics.features.vgg16 import vgg16

REAL_LIMIT = 60_000  # real examples of a split that are looked at


def bounded(source: Source) -> dict[str, np.ndarray]:
  """Takes a split in its own order, or a random choice of it if it is large."""
  assert source.size is not None
  return take(source, REAL_LIMIT if source.size > REAL_LIMIT else None)


class Given(NamedTuple):
  """What a way to look at images may be made of.

  Attributes:
    train: the data that the generator learns from.
    test: held-out data; None if there are none.
    cache_dir: where classifiers are kept; None for the default.
    weights: file of a network's weights; None for where it is looked for.
  """

  train: Source
  test: Source | None
  cache_dir: str | None
  weights: str | None


def _classifier(given: Given) -> Extractor:
  train, test = given.train, given.test
  assert test is not None and train.num_classes is not None  # `unscored` says so otherwise
  return classifier_for(
    bounded(train), bounded(test), train.num_classes, cache_dir=given.cache_dir
  ).extractor


class Features(NamedTuple):
  """A way to look at images.

  Attributes:
    make: (what there is) -> the extractor; may train a classifier, once.
    reads_file: whether its weights are in a file, which can be named.
    needs_labels: whether it takes labels, and held-out images, of the data themselves.
  """

  make: Callable[[Given], Extractor]
  reads_file: bool = False
  needs_labels: bool = False


FEATURES = {
  "classifier": Features(_classifier, needs_labels=True),
  "pixels": Features(lambda given: pixels()),
  "random_projection": Features(lambda given: random_projection(given.train.shape)),
  "inception": Features(lambda given: Extractor(*inception(given.weights)), reads_file=True),
  "vgg16": Features(lambda given: vgg16(given.weights), reads_file=True),
}
