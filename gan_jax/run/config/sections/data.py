"""The data of a run: where they are, which of them are trained on, and as what they are seen."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from gan_jax import data
from gan_jax.data.example import Example
from gan_jax.data.sources.folders.folder import check_same_names
from gan_jax.data.vicinity import WEIGHTS
from gan_jax.run.config.sections.key import Key, Keys, at_least, lookup, one_of

_LOG = logging.getLogger(__name__)

CONDITIONS, FAKES = ("labels", "vector"), ("batch", "shares")
VICINITIES = ("none", *WEIGHTS)
PLACEMENTS = {"auto": None, "device": True, "stream": False}

KEYS: Keys = {
  "batch_size": Key(64, "examples in a minibatch, over all devices", at_least(1)),
  "data": Key(
    "mnist10k",
    "data set: mnist10k, folder:DIR, npz:FILE, parquet:DIR, tfds:NAME, ...; of translators A|B",
  ),
  "data_options": {
    "image_size": Key(0, "pixels of a side to resize and crop to; 0 keeps the images' own"),
    "channels": Key(0, "1 for gray, 3 for colour; 0 keeps the images' own"),
    "label": Key("", "which labels, of data that have several, such as coarse_label"),
    "axes": Key("", "order of an array's axes, as NHWC, NTC or NDHW; '' reads what is certain"),
    "value_range": Key(
      (0.0, 0.0), "stored values that pixel_range stands for, not of uint8; (0, 0) measures them"
    ),
    "examples": Key(0, "examples to train on, the first so many; 0 for all"),
    "hold_out": Key(0.0, "share of the examples that is the test split, of data that have none"),
    "data_dir": Key("", "where tfds: keeps its data, and where relative paths of others start"),
    "manual_dir": Key("", "folder of official files that were fetched by hand, for tfds:"),
    "crop": Key(0, "pixels of a side that are cut out, at random places; 0 for whole images"),
    "flip": Key(False, "whether every image is flipped left to right with probability 1/2"),
    "pixel_range": Key((-1.0, 1.0), "what 0 and 255 are scaled to; the generator's output fits"),
    "placement": Key("auto", "device keeps all data there, stream reads them as it goes, auto"),
  },
  "conditional": Key(False, "whether both networks are given the labels"),
  "condition": {
    "name": Key("labels", "labels as classes, or vector: numbers, or flags", one_of(*CONDITIONS)),
    "fakes": Key("batch", "labels of fakes: batch, of real examples, or shares", one_of(*FAKES)),
    "shares": Key((), "of fakes labelled by shares: frequency of each class; () for equal ones"),
    "vicinity": {
      "name": Key("none", "real examples near vectors: none, hard, soft", one_of(*VICINITIES)),
      "sigma": Key(0.0, "deviation of targets from vectors; 0: the rule of thumb", at_least(0)),
      "kappa": Key(0.0, "distance of vectors that are near; 0: the largest gap", at_least(0)),
    },
  },
}


class Splits(NamedTuple):
  """The data of a run.

  Attributes:
    train: all examples that may be trained on.
    test: examples of the same kind that are not trained on; None if there are none.
  """

  train: data.Source
  test: data.Source | None


WHOLE = "x"  # name of the one source of a game without domains


def check(config: ConfigDict) -> None:
  """Refuses fewer examples than a batch has, and shares of what has none."""
  of = config.condition
  if of.name == "vector" and not config.conditional:
    raise ValueError(
      "config.condition.name = 'vector' is of a conditional game: set config.conditional = True too"
    )
  if of.fakes == "shares" and not (config.conditional and of.name == "labels"):
    raise ValueError(
      "config.condition.fakes = 'shares' is for classes: set config.conditional = True and"
      " config.condition.name = 'labels', or leave fakes at 'batch'"
    )
  if of.vicinity.name != "none" and of.name != "vector":
    raise ValueError(
      f"config.condition.vicinity.name = {of.vicinity.name!r} is for vectors: set"
      " config.conditional = True and config.condition.name = 'vector' too"
    )
  if of.shares and of.fakes != "shares":
    raise ValueError(
      "config.condition.shares are of fakes that are labelled by them: set"
      " config.condition.fakes = 'shares' too"
    )
  if 0 < (examples := config.data_options.examples) < config.batch_size:
    raise ValueError(
      f"config.data_options.examples = {examples} are fewer than one batch of"
      f" config.batch_size = {config.batch_size}: train on more, or in smaller batches"
    )


def load(
  config: ConfigDict, domains: Sequence[str] = (), paired: bool = False
) -> dict[str, Splits]:
  """Loads the data of a config.

  Args:
    config: complete.
    domains: names of the domains of its game; () for one source.
    paired: whether examples of the domains belong together, by their places.

  Returns:
    The splits, by domain; of one source by `WHOLE`.

  Raises:
    ValueError: for data that there are not, or that do not fit the options.
    FileNotFoundError: for data that are not there.
  """
  if not config.data:
    raise ValueError(
      "no data are named, as of a run that was made of files: name them, --config.data=folder:DIR"
    )
  share = config.data_options.hold_out
  splits = _of_domains(config, domains) if domains else {WHOLE: _splits(config, config.data)}
  if paired:
    _check_pairs(config, splits)
  if share:
    splits = {name: _hold_out(*of, share, config.batch_size) for name, of in splits.items()}
  return splits


def _of_domains(config: ConfigDict, domains: Sequence[str]) -> dict[str, Splits]:
  """Loads the data of each domain."""
  names = config.data.split("|")
  if len(names) == len(domains):
    return {domain: _splits(config, name) for domain, name in zip(domains, names, strict=True)}
  (kind, _, _), one = names[0].partition(":"), names[0]
  if len(names) == 1 and kind == "tfds":
    return {d: _splits(config, one, f"train{d.upper()}", f"test{d.upper()}") for d in domains}
  if len(names) == 1 and kind in ("folder", "zip"):
    return {d: _splits(config, one, within=d.upper()) for d in domains}
  raise ValueError(
    f"config.data is {config.data!r}: this game has data of {len(domains)} kinds,"
    f" {', '.join(domains)}; name a source of each, such as 'mnist10k|digits8x8', or one folder"
    " with trainA, trainB, testA and testB"
  )


def _check_pairs(config: ConfigDict, splits: Mapping[str, Splits]) -> None:
  """Refuses domains whose examples are not in pairs: as many, of files of the same names."""
  for split in Splits._fields:
    by_domain = {domain: getattr(of, split) for domain, of in splits.items()}
    sources = [source for source in by_domain.values() if source is not None]
    roots = [source.name.partition(":") for source in sources]
    if roots and all(kind in ("folder", "zip") for kind, _, _ in roots):
      options = data.Options(data_dir=config.data_options.data_dir or None)
      check_same_names([argument for _, _, argument in roots], options)
    if len({source and source.size for source in by_domain.values()}) > 1:
      shown = ", ".join(f"{k} has {of.size if of else 'none'}" for k, of in by_domain.items())
      raise ValueError(
        f"{config.data}: of {split} examples {shown}, and this game is of pairs: expected as many"
      )
    labels = [source.arrays.get("y", np.zeros(0)) for source in sources]
    # The share that is held out is that of every class: other classes would be other pairs.
    if config.data_options.hold_out and any(not np.array_equal(y, labels[0]) for y in labels):
      raise ValueError(
        f"config.data_options.hold_out would part the pairs of {config.data}, whose labels differ:"
        " add a test split instead"
      )


def _splits(
  config: ConfigDict,
  name: str,
  train_split: str = "train",
  test_split: str = "test",
  within: str = "",
) -> Splits:
  """Loads both splits of a source.

  Args:
    config: complete.
    name: name of the source.
    train_split, test_split: names of its splits.
    within: domain whose splits are folders of their own in it, such as trainA of "A".
  """
  options = config.data_options
  where: dict[str, Any] = {
    key: options[key] or None
    for key in ("image_size", "channels", "data_dir", "manual_dir", "label", "axes")
  }
  where["condition"] = config.condition.name if config.conditional else None
  where["value_range"] = tuple(options.value_range) if any(options.value_range) else None
  if within:
    train = data.load(f"{name}/train{within}", "train", **where)
    try:
      test = data.load(f"{name}/test{within}", "train", **where)
    except FileNotFoundError:
      test = None
  else:
    train = data.load(name, train_split, **where)
    try:
      test = data.load(name, test_split, **where)
    except data.NoSplitError:
      test = None
  if config.conditional:
    data.warn_unseen(train)
  if train.scale != data.UINT8:
    _LOG.warning(
      "%s: %s of %s; the values %g and %g become %g and %g, and others lie between or beyond",
      *(name, train.kind, *train.scale, *options.pixel_range),
    )
  return Splits(train, test)


def _hold_out(
  source: data.Source, test: data.Source | None, share: float, batch_size: int
) -> Splits:
  """Splits a share of the training split off, as the test split of data without one."""
  if test is not None:
    has = "is endless" if test.size is None else f"has a test split of {test.size} examples"
    raise ValueError(
      f"{source.name} {has}, and --config.data_options.hold_out={share} is for data without one:"
      " leave it out"
    )
  train, held_out = data.hold_out(source, share)
  if train.size is not None and train.size < batch_size:
    raise ValueError(
      f"--config.data_options.hold_out={share} leaves {train.size} of the {source.size} examples of"
      f" {source.name} to train on, fewer than one batch of {batch_size}: hold fewer out, or choose"
      f" --config.batch_size={train.size} or less"
    )
  return Splits(train, held_out)


def batches(
  config: ConfigDict,
  splits: Mapping[str, Splits],
  paired: bool = False,
  labelled: Sequence[str] = (),
) -> data.AnyBatches:
  """Builds the minibatches of a complete config out of its training splits; see `games.Kind`."""
  with_labels = {next(iter(splits)), *labelled} if config.conditional else {}
  parts = {
    name: _batches(config, train, labels=name in with_labels) for name, (train, _) in splits.items()
  }
  return parts[WHOLE] if WHOLE in parts else data.Domains(parts, config.seed, paired=paired)


def _batches(config: ConfigDict, train: data.Source, labels: bool) -> data.Batches:
  options, near = config.data_options, config.condition.vicinity
  train = data.first(train, options.examples) if options.examples else train
  if near.name != "none":
    train = data.vicinal(train, near.name, near.sigma, near.kappa)
  return data.Batches(
    train,
    config.batch_size,
    config.seed,
    crop=options.crop,
    flip=options.flip,
    pixel_range=tuple(options.pixel_range),
    resident=lookup(PLACEMENTS, options.placement, "placement"),
    labels=labels,
  )


def example(
  config: ConfigDict, splits: Mapping[str, Splits], labelled: Sequence[str] = ()
) -> Example:
  """Describes an example of the training data, as the networks of a complete config see it."""
  sources = [train for train, _ in splits.values()]
  train = sources[0]
  if other := [source for source in sources if source.scale != train.scale]:
    raise ValueError(
      f"{train.name} has values {train.scale}, and {other[0].name} {other[0].scale}: expected one"
      " range of all; give it by --config.data_options.value_range"
    )
  also = [splits[name].train for name in labelled]
  if unlike := [source for source in also if source.num_classes != train.num_classes]:
    raise ValueError(f"{unlike[0].name} has not the classes of {train.name}: expected the same")
  crop, shape, channels = config.data_options.crop, tuple(sources[-1].shape), train.shape[-1]
  return Example(
    (crop, crop, *shape[2:]) if crop else shape,
    train.num_classes if config.conditional else None,
    None if train.kind == "points" else tuple(config.data_options.pixel_range),
    train.class_names if config.conditional else None,
    tuple(name for name in splits if name != WHOLE),
    train.scale,
    train.condition_dim if config.conditional else None,
    tuple(labelled),
    None if channels == shape[-1] else channels,
  )
