"""Options of an evaluation: those that were given, completed by what suits the data."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from gan_jax.data import MIXTURES, UINT8, Source
from gan_jax.data.source import HOLD_OUT
from gan_jax.metrics.features import classifier
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.metrics.features.pixels import WIDTH
from gan_jax.run.evaluation.evaluators.features import (
  FEATURES,
  POINTS,
  ExtractorFactory,
  ExtractorInputs,
  name_of,
)
from gan_jax.run.evaluation.evaluators.metric import Metric
from gan_jax.run.evaluation.evaluators.suite import METRICS

OTHER_FEATURES = (
  "ask for features that need none, --config.evaluation.features=random_projection (evaluate and"
  " score: --features=random_projection), or =pixels"
)


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

  def check_file(self) -> None:
    """Raises FileNotFoundError if features need a file of weights that is not there."""
    if self.features.find:
      self.features.find(self.weights)


def suited(train: Source, test: Source | None, spec: EvaluationSpec | None = None) -> Suited:
  """Completes the options of an evaluation by those that suit a data set.

  Examples are compared with the test split, if there is one, else with the training split. Features
  of images are those of a classifier of their own classes, if these are known, and else such as
  need no labels; points are scored as they are. Series and volumes are scored by their numbers, or
  by a random projection where these are more than its width.

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
  if (train.name in MIXTURES or is_stacked(train)) and spec != EvaluationSpec():
    raise ValueError(
      f"{train.name} is scored by its modes: features, metrics and real are for other data; leave"
      " them as they are, --config.evaluation.features=auto and so on"
    )
  real, real_note = _real(train, test, spec.real)
  features, features_note = _features(train, usable(train, test), spec.features)
  metrics = spec.metrics or _metrics(train, features, spec.features is not None)
  notes = tuple(filter(None, (real_note, features_note)))
  return Suited(features, metrics, real, spec.weights, notes)


def _real(train: Source, test: Source | None, real: str | None) -> tuple[str, str]:
  """Returns the split to score against, and a note if there is no better one."""
  lack = ""
  if usable(train, test) is None:
    lack = "there is no test split"
    if test is not None:
      lack = f"the test split has examples {test.shape}, and the training split {train.shape}"
      if test.shape == train.shape:
        lack = f"the test split is of {test.scale.dtype}, the training split of {train.scale.dtype}"
  if real == "test" and lack:
    raise ValueError(
      f"{train.name}: {lack}, and scores against it were asked for: {HOLD_OUT}, or score against"
      " the training split, --config.evaluation.real=train (evaluate: --real=train, score:"
      " --split=train)"
    )
  if real is not None or not lack:
    return real or "test", ""
  if train.size is None:  # no example of an endless source was trained on
    return "train", ""
  ablate = "ablate: --config.base.data_options.hold_out=0.1"
  return "train", f"scores are against the training split: {lack}; {HOLD_OUT} ({ablate})"


def _features(
  train: Source, test: Source | None, given: ExtractorFactory | None
) -> tuple[ExtractorFactory, str]:
  """Returns the features of the data, and a note on images without a classifier."""
  if train.kind == "points":
    if given is not None:
      raise ValueError(
        f"{train.name} has points, which are scored as they are: features are for images; leave"
        " out --features, or set --config.evaluation.features=auto"
      )
    return POINTS, ""
  if given is None and train.kind != "images":
    return FEATURES["pixels" if math.prod(train.shape) <= WIDTH else "random_projection"], ""
  if given is not None and given.find:
    _check_seen_by_network(train, given)
  if given is not None and not given.needs_labels:
    return given, ""
  reason = _unclassified(train, test)
  if reason and given is not None:
    raise ValueError(f"{train.name}: {reason}; {OTHER_FEATURES}")
  if reason:
    note = f"images are looked at by a random projection of their pixels: {reason}"
    return FEATURES["random_projection"], note
  return FEATURES["classifier"], ""


def _check_seen_by_network(train: Source, features: ExtractorFactory) -> None:
  """Checks that a published network of images can see the data."""
  if train.kind != "images":
    raise ValueError(
      f"{train.name} has {train.kind}, and the network of {name_of(features)} sees images;"
      f" {OTHER_FEATURES}"
    )
  if train.shape[-1] not in (1, 3):
    raise ValueError(
      f"{train.name} has {train.shape[-1]} channels, and the network of these features sees 1 or"
      f" 3; {OTHER_FEATURES}"
    )


def _metrics(train: Source, features: ExtractorFactory, given: bool) -> dict[str, Metric]:
  """Returns the metrics that suit the data and features, which were `given` or not."""
  if train.kind == "points":
    names = ["sliced_wasserstein", "frechet"]
  elif train.kind != "images" and not given:
    names = ["frechet", "sliced_wasserstein"]
  else:
    names = ["frechet", "classes"] if features.needs_labels else ["frechet"]
  return {name: METRICS[name] for name in names}


def usable(train: Source, test: Source | None) -> Source | None:
  """Returns the test split if it is of the same kind as the training split."""
  kind = lambda source: (source.shape, source.scale.dtype)
  return test if test is not None and kind(test) == kind(train) else None


def is_stacked(source: Source) -> bool:
  """Checks for images that are computed by their position, as stacked digits are."""
  return source.draw is not None and source.kind == "images"


def _unclassified(train: Source, test: Source | None) -> str | None:
  """Formats the reason why no classifier can be trained on images; None if one can be."""
  if train.kind != "images":
    return f"{train.kind} are not for the classifier"
  if train.num_classes is None:
    return "there are no labels to train a classifier with"
  if train.num_classes < 2:
    return "there is but one class, and a classifier has nothing to tell apart"
  if test is not None and (test.num_classes is None or test.num_classes > train.num_classes):
    return f"there are {train.num_classes} classes, and in the test split {test.num_classes}"
  if train.scale != UINT8:
    return f"images of {train.scale.dtype} are not for the classifier"
  if min(train.shape[:2]) < classifier.SMALLEST:
    return f"images of {train.shape[:2]} pixels are too small for the classifier"
  return None


def extractor_for(train: Source, test: Source | None, spec: EvaluationSpec) -> Extractor:
  """Builds the extractor of features of a data set; may train a classifier, once.

  Raises:
    ValueError: no classifier can be trained on the data.
  """
  how = suited(train, test, spec)
  return how.features.make(ExtractorInputs(train, usable(train, test), how.weights))
