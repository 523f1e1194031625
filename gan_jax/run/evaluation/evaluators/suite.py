"""The scores of images that an evaluator may be asked for, by name.

A metric is prepared once, on real images, and then scores fakes as often as wanted; what is of real
images alone is computed with the first score. All options are here, so that a name means one
number.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from gan_jax.metrics.coverage import class_accuracy, class_coverage, class_kl
from gan_jax.metrics.diversity import feature_diversity, ms_ssim_diversity
from gan_jax.metrics.features import classifier
from gan_jax.metrics.features.cache import content_hash
from gan_jax.metrics.features.classifier import classification_accuracy_score
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.ms_ssim import WINDOW, scales_that_fit
from gan_jax.metrics.path_length import perceptual_path_length
from gan_jax.metrics.two_sample.frechet import class_frechet_distances, frechet_distance, moments
from gan_jax.metrics.two_sample.memorisation import data_copying, nearest_neighbours
from gan_jax.metrics.two_sample.mmd import kernel_distance, rbf_mmd, rbf_within
from gan_jax.metrics.two_sample.prdc import prdc, radii
from gan_jax.metrics.two_sample.sliced_wasserstein import (
  random_directions,
  sliced_wasserstein_distance,
)
from gan_jax.run.config import aliases
from gan_jax.run.evaluation.evaluators.metric import FeatureSet, Metric, Reference, Scores, fixed

T = TypeVar("T")
K = 5  # neighbours
SUBSETS, SUBSET = 100, 1000  # of the kernel distance; smaller where there are fewer images
SPLITS = 10  # of the Inception score
SEED = 0  # of shuffles, subsets and pairs
DIRECTIONS = 512
PAIRS = 1000
EPSILON, DISCARD = 1e-4, 0.01  # of path length: the step, and the share left out at either end


def _frechet(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = moments(reference.real.features)
  return lambda fake: {"frechet_distance": frechet_distance(real, moments(fake.features))}


def _spatial_frechet(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = moments(_there(reference.real.spatial))
  return lambda fake: {
    "spatial_frechet_distance": frechet_distance(real, moments(_there(fake.spatial)))
  }


def _class_frechet(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real, labels = reference.real, _there(reference.real.labels)
  classes, counts = np.unique(labels, return_counts=True)
  if (fewest := int(counts.min())) < 2:
    rarest = int(classes[counts.argmin()])
    raise ValueError(
      "metric 'class_frechet' needs at least 2 real images of every class, and of"
      f" {reference.names[rarest] if reference.names else rarest} there is {fewest}: leave it out"
    )

  def score(fake: FeatureSet) -> Scores:
    distances = class_frechet_distances(real.features, labels, fake.features, _there(fake.labels))
    return {"class_frechet_distance": float(np.mean(list(distances.values())))}

  return score


def _of_all(reference: Reference, fakes: int, kind: str = "features") -> Sequence[tuple[int, int]]:
  features = getattr(reference.real, kind)
  return [(min(len(features), fakes), features.shape[1])]


# The covariance of the rarest class is estimated from the fewest images.
def _of_classes(reference: Reference, fakes: int) -> Sequence[tuple[int, int]]:
  shares = _there(reference.shares)
  fewest = np.bincount(_there(reference.real.labels), minlength=len(shares)).min()
  return [(int(min(fewest, fakes * shares.min())), reference.real.features.shape[1])]


def _kernel(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = reference.real.features

  def score(fake: FeatureSet) -> Scores:
    size = min(SUBSET, len(real), len(fake.features))
    estimate = kernel_distance(real, fake.features, subsets=SUBSETS, subset_size=size, seed=SEED)
    return {"kernel_distance": estimate.mean}

  return score


def _rbf_mmd(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = reference.real.features
  within = functools.cache(lambda: rbf_within(real))
  return lambda fake: {"rbf_mmd": rbf_mmd(real, fake.features, within_real=within())}


def _prdc(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = reference.real.features
  # Distances are compared in the type of both sets.
  real_radii = functools.cache(lambda dtype: radii(real.astype(dtype), K))

  def score(fake: FeatureSet) -> Scores:
    known = real_radii(np.result_type(real, fake.features))
    scores = prdc(real, fake.features, k=K, real_radii=known)
    return {name: getattr(scores, name) for name in ("precision", "recall", "density", "coverage")}

  return score


def _sliced_wasserstein(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = reference.real.features
  lines = random_directions(real.shape[1], DIRECTIONS, seed=SEED)
  return lambda fake: {
    "sliced_wasserstein_distance": sliced_wasserstein_distance(real, fake.features, lines)
  }


def _inception_score(reference: Reference) -> Callable[[FeatureSet], Scores]:
  return lambda fake: {
    "inception_score": inception_score(_there(fake.logits), splits=SPLITS, seed=SEED).mean
  }


def _classes(reference: Reference) -> Callable[[FeatureSet], Scores]:
  shares, width = reference.shares, _there(reference.real.logits).shape[1]
  if shares is None or width != len(shares):
    raise ValueError(
      f"metric 'classes' needs logits of the data's own classes, of which there are "
      f"{'none' if shares is None else len(shares)}, and these features have {width} logits: use "
      "--features=classifier (--config.evaluation.features=classifier), or leave it out"
    )

  def score(fake: FeatureSet) -> Scores:
    predicted = _there(fake.logits).argmax(axis=1)
    scores = {
      "classes": float(class_coverage(predicted, shares)),
      "class_kl": class_kl(predicted, shares),
    }
    if fake.labels is not None:
      scores["class_accuracy"] = class_accuracy(predicted, fake.labels)
    return scores

  return score


def _accuracy_score(reference: Reference) -> Callable[[FeatureSet], Scores]:
  _need_pixels("accuracy_score", reference, classifier.SMALLEST)
  pairs = lambda data: {"x": data.images, "y": _there(data.labels)}
  return lambda fake: {
    "accuracy_score": classification_accuracy_score(
      pairs(reference.real), pairs(fake), len(_there(reference.shares))
    )
  }


def _scales(reference: Reference) -> int:
  return scales_that_fit(*reference.real.images.shape[1:3])


def _ms_ssim(reference: Reference) -> Callable[[FeatureSet], Scores]:
  _need_pixels("ms_ssim", reference, WINDOW)
  scales = _scales(reference)
  return lambda fake: {
    "ms_ssim": ms_ssim_diversity(fake.images, pairs=PAIRS, seed=SEED, scales=scales).mean
  }


def _need_pixels(name: str, reference: Reference, least: int) -> None:
  height, width = reference.real.images.shape[1:3]
  if min(height, width) < least:
    raise ValueError(
      f"metric {name!r} needs images of at least {least} pixels a side, and these have {height} x"
      f" {width}: leave it out"
    )


def _diversity(reference: Reference) -> Callable[[FeatureSet], Scores]:
  real = feature_diversity([reference.real.features])

  def score(fake: FeatureSet) -> Scores:
    if real == 0:
      raise ValueError("real images are all alike: there is no diversity to hold others against")
    return {"diversity": feature_diversity([fake.features]) / real}

  return score


def _memorisation(reference: Reference) -> Callable[[FeatureSet], Scores]:
  train, held_out = reference.train_features().features, reference.real.features
  nearest = functools.cache(lambda: nearest_neighbours(train, held_out).distances[:, 0])
  return lambda fake: {
    "copying": data_copying(train, held_out, fake.features, nearest=nearest()).probability
  }


def _training_images(reference: Reference) -> Mapping[str, Any]:
  images = reference.train_features().images
  return {"learned": len(images), "sha256": content_hash({"x": images})[:16]}


def _path_length(reference: Reference) -> Callable[[FeatureSet], Scores]:
  length = functools.partial(perceptual_path_length, epsilon=EPSILON, discard=DISCARD)
  return lambda fake: {"path_length": length(*_there(fake.paths)).mean}


def _there(value: T | None) -> T:
  assert value is not None, "a metric was prepared without one of its inputs"
  return value


METRICS = {
  "frechet": Metric({"frechet_distance": "min"}, _frechet, covariances=_of_all),
  "spatial_frechet": Metric(
    {"spatial_frechet_distance": "min"},
    _spatial_frechet,
    needs=("spatial",),
    covariances=functools.partial(_of_all, kind="spatial"),
  ),
  "class_frechet": Metric(
    {"class_frechet_distance": "min"}, _class_frechet, needs=("labels",), covariances=_of_classes
  ),
  "kernel": Metric(
    {"kernel_distance": "min"}, _kernel, fixed(subsets=SUBSETS, subset_size=SUBSET, seed=SEED)
  ),
  "rbf_mmd": Metric({"rbf_mmd": "min"}, _rbf_mmd, fixed(bandwidth=10, scale=1000)),
  "prdc": Metric(
    {"precision": "max", "recall": "max", "density": "max", "coverage": "max"},
    _prdc,
    fixed(k=K),
    least=(K + 1, K + 1),
  ),
  "sliced_wasserstein": Metric(
    {"sliced_wasserstein_distance": "min"},
    _sliced_wasserstein,
    fixed(directions=DIRECTIONS, order=2, seed=SEED),
    least=(1, 1),
  ),
  "inception_score": Metric(
    {"inception_score": "max"},
    _inception_score,
    fixed(splits=SPLITS, seed=SEED),
    needs=("logits",),
    least=(1, SPLITS),
  ),
  "classes": Metric(
    {"classes": "max", "class_kl": "min", "class_accuracy": "max"},
    _classes,
    needs=("logits",),
    least=(1, 1),
  ),
  "accuracy_score": Metric(
    {"accuracy_score": "max"},
    _accuracy_score,
    fixed(classifier=classifier.VERSION),
    needs=("labels",),
    of_images=True,
    least=(1, 1),
  ),
  "ms_ssim": Metric(
    {"ms_ssim": "none"},
    _ms_ssim,
    lambda reference: {"pairs": PAIRS, "seed": SEED, "scales": _scales(reference)},
    of_images=True,
    least=(1, 2),
  ),
  "diversity": Metric({"diversity": "none"}, _diversity, fixed(of="real images is 1")),
  "memorisation": Metric(
    {"copying": "none"}, _memorisation, _training_images, held_out=True, least=(1, 1)
  ),
  # Short paths are smooth ones, and those of a generator of one image are the shortest.
  "path_length": Metric(
    {"path_length": "none"},
    _path_length,
    fixed(epsilon=EPSILON, discard=DISCARD, paths="arcs of latents, float32"),
    walks=True,
    of_images=True,
    least=(1, 2),
  ),
}

# Of data that are scored by their modes, mixtures and stacked digits.
MODES = {"modes": "max", "high_quality": "max", "kl": "min"}
# Which way each score is better; cards, rows and plans are written with it.
BETTER = MODES | {k: way for metric in METRICS.values() for k, way in metric.better.items()}


def score_name(name: str) -> str:
  """Returns the score that a short name stands for: "frechet_distance" for "fid"."""
  metric = aliases.METRICS.get(name.lower())
  return next(iter(METRICS[metric].better)) if metric else name
