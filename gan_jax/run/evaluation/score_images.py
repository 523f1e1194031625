"""Scores of arrays that were made by anything: a folder, an array file, another library's samples.

spec = evaluation_spec("inception", ["frechet"], "train")
card = score_images("tfds:cifar10", ["samples.npz"], spec)
print(format_card(card))
"""

import functools
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.data import KINDS, OPTIONS_OF, NoSplitError, Source, check_name, load, take
from gan_jax.metrics.features.cache import content_hash
from gan_jax.metrics.two_sample.reference_statistics import Statistics, read_statistics
from gan_jax.run.evaluation.cards.card import ELSEWHERE, Card, make_card
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.evaluation.evaluators.evaluator import SampleFn
from gan_jax.run.evaluation.evaluators.features import bounded
from gan_jax.run.evaluation.evaluators.suited import EvaluationSpec
from gan_jax.run.evaluation.score_statistics import KINDS as DISTANCES
from gan_jax.run.evaluation.score_statistics import Examples, score_statistics
from gan_jax.run.evaluation.score_statistics import save_statistics as write_statistics_of

_LOG = logging.getLogger(__name__)

_OTHER = {"train": "test", "test": "train", None: "train"}
STATISTICS = "stats:"  # before the path of a file of statistics; bare .npz files are told apart
PICKLES = (".pkl", ".pickle", ".pt", ".pth")


def score_images(
  real: str, fakes: Sequence[str], spec: EvaluationSpec, *, count: int | None = None, **options: Any
) -> Card:
  """Scores images against those of a data set.

  Either may be statistics of features, for Fréchet distances: an .npz file of
  `gan_jax.metrics.two_sample.reference_statistics`.

  Args:
    real: data set as `gan_jax.data.load` knows it, or the path of a folder or an .npz file.
    fakes: the same of the images; several are draws of one generator, for a standard error.
    spec: features, metrics, and the split of `real`.
    count: fakes of each draw that are scored, a random choice; None for as many as the smallest
      draw has.
    **options: `image_size`, `channels` and others of `gan_jax.data.load`, for all of them.

  Returns:
    The card.

  Raises:
    FileNotFoundError: there is no such folder or file.
    NoSplitError: `real` has no such split.
    ValueError: images that do not fit each other, too few, or a metric whose needs are not met.
  """
  sampled: dict[str, Any] = {
    "quantised": "uint8",
    "options": {k: v for k, v in options.items() if v},
  }
  names = (real, *fakes)
  for name in names:
    check_set(name)
  arrays = OPTIONS_OF["axes"]
  if options.get("axes") and not any(data_name(n).partition(":")[0] in arrays for n in names):
    raise ValueError(f"axes is for arrays, {', '.join(arrays)}: leave out --axes")
  statistics = {name: x for name in names if (x := _statistics(name)) is not None}
  beside = all(x.others for x in statistics.values())  # images, perhaps, of which these are more
  if statistics and not (beside and spec.metrics and DISTANCES.keys().isdisjoint(spec.metrics)):
    images = _images(real, fakes, statistics, spec, count, options)
    return score_statistics(real, fakes, statistics, images, spec, sampled)
  sets = [_load(name, "train", options) for name in fakes]
  for name in fakes:
    if _split(name, "test", options) is not None:
      _LOG.warning("%s has two splits: its training split alone is scored", name)
  train, test = (_split(real, split, options) for split in ("train", "test"))
  against = {"train": train, "test": test, None: train if test is None else test}[spec.real]
  if against is None:
    raise NoSplitError(
      f"{real} has no {spec.real} split; ask for the other, --split={_OTHER[spec.real]}"
    )
  _check(against, sets)
  smallest = min(sets, key=_size)
  if count is not None and count > _size(smallest):
    raise ValueError(
      f"{smallest.name} has {smallest.size} examples, and {count} were asked for: choose"
      f" num_fake={smallest.size} or less"
    )
  count = _size(smallest) if count is None else count
  # Without a training split the held-out one says what the data are: shape, and no classes.
  train = against if train is None else train
  evaluator = evaluator_for(train, test, num_fake=count, spec=spec)
  draws = [_take(source, count, train.classes) for source in sets]
  return make_card(
    evaluator,
    [evaluator(_constant(images)) for images in draws],
    checkpoint=ELSEWHERE,
    sampled=sampled | {"quantised": None if train.kind == "points" else train.scale.dtype},
    run={
      "images": [source.name for source in sets],
      "draws": [content_hash({"x": images["x"]})[:16] for images in draws],
    },
  )


def save_statistics(
  path: str | os.PathLike[str], real: str, spec: EvaluationSpec, **options: Any
) -> int:
  """Writes statistics of the features of a data set; arguments as of `score_images`.

  Returns:
    How many images they are of.
  """
  source = _load(real, spec.real or "train", options)
  examples = functools.partial(bounded, source)
  return write_statistics_of(path, real, source, examples, spec)


def check_set(name: str) -> None:
  """Raises ValueError for a name that is neither of a data set, nor of images or statistics."""
  if name.endswith(PICKLES):  # which is told what to write instead, if there is such a file
    return
  if not name.startswith(STATISTICS):
    check_name(data_name(name))
  elif not name.endswith(".npz"):
    raise ValueError(
      f"{name!r} names no file of statistics: expected {STATISTICS}FILE.npz, with mu [d] and sigma"
      " [d, d], such as --save_stats writes"
    )


def _statistics(name: str) -> Statistics | None:
  """Loads the statistics of a file; None for a name of images."""
  is_said = name.startswith(STATISTICS)
  path = pathlib.Path(name.removeprefix("npz:").removeprefix(STATISTICS)).expanduser()
  if path.suffix in PICKLES and path.is_file():
    raise ValueError(
      f"{name} is a pickle, which may run what is in it: expected statistics in an .npz file, by"
      " np.savez('statistics.npz', mu=mu, sigma=sigma)"
    )
  statistics = read_statistics(path) if path.suffix == ".npz" else None
  if is_said and statistics is None:
    raise ValueError(
      f"{name} has no statistics: expected an .npz file with mu [d] and sigma [d, d], such as"
      " --save_stats writes"
      if path.is_file()
      else f"there is no file {path}"
    )
  return statistics


def _images(
  real: str,
  fakes: Sequence[str],
  statistics: Mapping[str, Statistics],
  spec: EvaluationSpec,
  count: int | None,
  options: Mapping[str, Any],
) -> dict[str, tuple[Source, Examples]]:
  """Opens the sets of images beside those of statistics."""
  examples: dict[str, tuple[Source, Examples]] = {}
  if real not in statistics:
    source = _load(real, spec.real or "train", options)
    examples[real] = source, functools.partial(bounded, source)
  others = [name for name in fakes if name not in statistics]
  sets = {name: _load(name, "train", options) for name in others}
  size = min(map(_size, sets.values()), default=0) if count is None else count
  for name, source in sets.items():
    examples[name] = source, functools.partial(_take, source, size, ())
  if sources := [source for source, _ in examples.values()]:
    _check(sources[0], sources)
  return examples


def data_name(name: str) -> str:
  """Returns the data set of a bare path: a folder of images, or an .npz file of arrays."""
  if ":" in name or name in KINDS:
    return name
  if name.endswith((".npz", ".npy", ".zip")):
    return f"{name[-3:]}:{name}"
  is_folder = "/" in name or pathlib.Path(name).is_dir()
  return f"folder:{name}" if is_folder else name


def _load(name: str, split: str, options: Mapping[str, Any]) -> Source:
  """Opens a data set or a bare path under those options that are for its kind."""
  name = data_name(name)
  kind = name.partition(":")[0]
  of = {key: value for key, value in options.items() if kind in OPTIONS_OF.get(key, (kind,))}
  return load(name, split, **of)


def _split(name: str, split: str, options: Mapping[str, Any]) -> Source | None:
  try:
    return _load(name, split, options)
  except NoSplitError:
    return None


def _size(source: Source) -> int:
  if source.size is None:
    raise ValueError(f"{source.name} is endless: fakes are a folder or a file of images")
  return source.size


def _check(real: Source, sets: Sequence[Source]) -> None:
  """Refuses examples that cannot be compared."""
  for source in sets:
    if source.shape != real.shape:
      raise ValueError(
        f"{source.name} has {source.kind} {list(source.shape)}, and {real.name} {real.kind}"
        f" {list(real.shape)}: make them alike, images with --image_size and --channels"
      )
    if source.scale.dtype != real.scale.dtype:
      raise ValueError(
        f"{source.name} has {source.kind} of {source.scale.dtype}, and {real.name} of"
        f" {real.scale.dtype}: store both in the same way"
      )


def _take(source: Source, count: int, classes: Sequence[str]) -> Mapping[str, np.ndarray]:
  """Reads images, with the labels that the real data have for classes of the same names."""
  images = take(source, None if count == source.size else count)
  places = {name: place for place, name in enumerate(classes)}
  if "y" not in images or not classes:
    return images
  if others := [name for name in source.classes if name not in places]:
    _LOG.warning(
      "%s is scored without its labels: %s of it is no class of the real images",
      *(source.name, others[0]),
    )
    return {"x": images["x"]}
  return {**images, "y": np.array([places[name] for name in source.classes])[images["y"]]}


def _constant(images: Mapping[str, np.ndarray]) -> SampleFn:
  return lambda n, seed: images
