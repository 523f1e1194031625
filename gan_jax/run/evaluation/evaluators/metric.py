"""A metric of an evaluator: prepared once on real examples, it scores fakes as often as wanted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.metrics.path_length import Paths

Scores = dict[str, float]


class FeatureSet(NamedTuple):
  """Images and their features.

  Attributes:
    images: uint8 [n, H, W, C].
    features: [n, d].
    logits: [n, classes]; None if the extractor has none.
    spatial: [n, s], features that keep places; None if the network has none.
    labels: int [n], classes of real images, or those that fakes were drawn for; None without.
    paths: paths between latents of fakes; None for images alone.
  """

  images: np.ndarray
  features: np.ndarray
  logits: np.ndarray | None = None
  spatial: np.ndarray | None = None
  labels: np.ndarray | None = None
  paths: Paths | None = None


class Reference(NamedTuple):
  """Real images, which fakes are compared with.

  Attributes:
    real: real images and their features.
    train_features: function that computes those of the generator's training images, on first use.
    shares: [classes], shares of the classes in the training images; None without labels.
    names: names of the classes.
  """

  real: FeatureSet
  train_features: Callable[[], FeatureSet]
  shares: np.ndarray | None
  names: Sequence[str] = ()


Options = Callable[[Reference], Mapping[str, Any]]


def fixed(**options: Any) -> Options:
  """Builds options that are the same for all data."""
  return lambda reference: options


class Metric(NamedTuple):
  """A metric.

  Attributes:
    better: {score: "min" or "max"}, of each score it gives; "none" where neither is.
    prepare: reference -> (fakes -> scores).
    options: reference -> the options that scores depend on; part of every score card.
    needs: fields of `FeatureSet` that fakes and real images must have.
    walks: whether fakes must have `paths`, so that a generator is scored and not images alone.
    covariances: (reference, fakes) -> (examples, width) of each it estimates, at worst.
    held_out: whether the real images must not be trained on.
    of_images: whether it reads pixels itself, so that points have no such score.
    least: the fewest real examples and the fewest fakes that it can be computed from.
  """

  better: Mapping[str, str]
  prepare: Callable[[Reference], Callable[[FeatureSet], Scores]]
  options: Options = fixed()
  needs: tuple[str, ...] = ()
  walks: bool = False
  covariances: Callable[[Reference, int], Sequence[tuple[int, int]]] = lambda reference, fakes: ()
  held_out: bool = False
  of_images: bool = False
  least: tuple[int, int] = (2, 2)
