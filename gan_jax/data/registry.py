"""Names of data sets, and what each kind of name opens. Adding a kind is one line of `KINDS`."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from gan_jax.checks import is_range
from gan_jax.data.pixels import Range
from gan_jax.data.source import MEMORY_LIMIT, Options, Source
from gan_jax.data.sources.arrays import AXES
from gan_jax.data.sources.containers.hdf5 import open_hdf5
from gan_jax.data.sources.containers.npy import open_npy
from gan_jax.data.sources.containers.npz import open_npz
from gan_jax.data.sources.containers.parquet import open_parquet
from gan_jax.data.sources.containers.webdataset import open_webdataset
from gan_jax.data.sources.derived import coloured, gray, half, of_class
from gan_jax.data.sources.endless import POINTS, mixture_source, stack
from gan_jax.data.sources.folders.folder import open_folder
from gan_jax.data.sources.published.cifar import open_cifar
from gan_jax.data.sources.published.imagenet import open_imagenet
from gan_jax.data.sources.published.mnist import open_bundled, open_idx
from gan_jax.data.sources.published.stl10 import open_stl10
from gan_jax.data.sources.published.svhn import open_svhn


class Kind(NamedTuple):
  """One kind of source.

  Attributes:
    form: how its names are written.
    open: (what follows the colon, split, options) -> the source.
  """

  form: str
  open: Callable[[str, str, Options], Source]


def load(
  name: str,
  split: str = "train",
  *,
  image_size: int | None = None,
  channels: int | None = None,
  data_dir: str | None = None,
  manual_dir: str | None = None,
  memory_limit: int = MEMORY_LIMIT,
  label: str | None = None,
  axes: str | None = None,
  value_range: Range | None = None,
  condition: str | None = None,
) -> Source:
  """Opens a data set by name.

  Args:
    name: one of the forms in `KINDS`, such as "mnist10k", "folder:cats" or "tfds:cifar10".
    split: "train" or "test" (of TFDS, any split it knows). An endless source has but one.
    image_size: resize images to this many pixels on the shorter side (Lanczos, antialiased) and
      crop the longer one to its middle; None keeps them as they are.
    channels: 1 or 3 turns images into gray or colour; None keeps them.
    data_dir: where TFDS keeps its data (None: $TFDS_DATA_DIR or its default), and where relative
      paths of the other kinds start.
    manual_dir: for `tfds:`, a folder with official files that need not be downloaded.
    memory_limit: tables of more bytes are not read into memory but streamed, where that is
      possible, and refused elsewhere.
    label: name of the labels, of data that have several, such as "coarse_label".
    axes: order of the axes of an array, one of `AXES`, such as "NHWC" of images, "NTC" of series or
      "NDHWC" of volumes; None reads those that are certain.
    value_range: (lo, hi) that the ends of the pixel range stand for, of data other than uint8; None
      measures them.
    condition: "vector" for labels that are numbers, or flags of several classes; None for classes.

  Raises:
    NoSplitError: there is no such split.
    ValueError, FileNotFoundError: names what is wrong and what to do.
  """
  options = Options(
    image_size, channels, data_dir, manual_dir, memory_limit, label, axes, value_range, condition
  )
  _check(name, split, options)
  source = _open(name, split, options)
  if condition == "vector" and source.condition_dim is None:
    raise ValueError(
      f"{name} has no vectors to condition on: expected numbers [N] or [N, d], called y in an npz"
      " file and labels in an hdf5 file; write them there, or leave out config.conditional"
    )
  if condition == "labels" and source.num_classes is None and source.condition_dim is not None:
    raise ValueError(
      f"{name} has vectors to condition on, and no classes: set --config.condition.name=vector"
    )
  return source


def check_name(name: str) -> None:
  """Raises ValueError for a name that is of no kind."""
  prefix, colon, argument = name.partition(":")
  kind = KINDS.get(prefix)
  if kind is None or bool(argument) != (":" in kind.form) or bool(colon) != bool(argument):
    forms = ", ".join(kind.form for kind in KINDS.values())
    raise ValueError(f"unknown data set {name!r}: expected one of {forms}")


def _open(name: str, split: str, options: Options) -> Source:
  check_name(name)
  prefix, _, argument = name.partition(":")
  return KINDS[prefix].open(argument, split, options)


def _open_mixture(name: str, argument: str, split: str, options: Options) -> Source:
  del argument, split
  if options.image_size or options.channels:
    raise ValueError(f"{name} has points: image_size and channels are for images")
  return mixture_source(name, POINTS[name])


def _open_derived(
  kind: str, derive: Callable[[str, Source], Source], argument: str, split: str, options: Options
) -> Source:
  return derive(f"{kind}:{argument}", _open(argument, split, options))


def _open_class(argument: str, split: str, options: Options) -> Source:
  label, _, of = argument.partition(":")
  if not (label and of):
    raise ValueError(f"class:{argument} names no class of a source: expected {KINDS['class'].form}")
  return of_class(f"class:{argument}", _open(of, split, options), label)


def _open_half(kind: str, argument: str, split: str, options: Options) -> Source:
  whole = options._replace(image_size=None)  # a resized image would be cropped to its middle
  return half(f"{kind}:{argument}", _open(argument, split, whole), kind == "right", options)


def _open_tfds(argument: str, split: str, options: Options) -> Source:
  from gan_jax.data.sources.tfds import open_tfds

  return open_tfds(argument, split, options)


KINDS = {
  "mnist10k": Kind("mnist10k", functools.partial(open_bundled, "mnist10k")),
  "digits8x8": Kind("digits8x8", functools.partial(open_bundled, "digits8x8")),
  "tfds": Kind("tfds:<name>", _open_tfds),
  "idx": Kind("idx:<dir>", open_idx),
  "cifar10": Kind("cifar10:<dir>", functools.partial(open_cifar, "cifar10")),
  "cifar100": Kind("cifar100:<dir>", functools.partial(open_cifar, "cifar100")),
  "svhn": Kind("svhn:<dir>", open_svhn),
  "stl10": Kind("stl10:<dir>", open_stl10),
  "imagenet": Kind("imagenet:<dir>", open_imagenet),
  "folder": Kind("folder:<dir>", open_folder),
  "zip": Kind("zip:<file>", functools.partial(open_folder, kind="zip")),
  "parquet": Kind("parquet:<dir>", open_parquet),
  "webdataset": Kind("webdataset:<dir>", open_webdataset),
  "hdf5": Kind("hdf5:<file>", open_hdf5),
  "npy": Kind("npy:<file>", open_npy),
  "npz": Kind("npz:<file>", open_npz),
  "stacked": Kind("stacked:<source>", functools.partial(_open_derived, "stacked", stack)),
  "gray": Kind("gray:<source>", functools.partial(_open_derived, "gray", gray)),
  "coloured": Kind("coloured:<source>", functools.partial(_open_derived, "coloured", coloured)),
  "class": Kind("class:<name>:<source>", _open_class),
  "left": Kind("left:<source>", functools.partial(_open_half, "left")),
  "right": Kind("right:<source>", functools.partial(_open_half, "right")),
} | {name: Kind(name, functools.partial(_open_mixture, name)) for name in POINTS}


# Kinds that are made of another source, and how many parts of their names stand before its own.
DERIVED = {"stacked": 1, "gray": 1, "coloured": 1, "class": 2, "left": 1, "right": 1}

# Options that are for some kinds of names alone.
OPTIONS_OF = {
  "axes": ("npy", "npz", "hdf5"),
  "label": ("parquet", "cifar100"),
  "value_range": ("npy", "npz", "hdf5", "folder", "zip", "webdataset"),
}


def _check(name: str, split: str, options: Options) -> None:
  if split not in ("train", "test") and "tfds:" not in name:
    raise ValueError(f"split is {split!r}: expected 'train' or 'test'")
  if options.image_size is not None and options.image_size < 1:
    raise ValueError(f"image_size is {options.image_size}: expected at least 1")
  if options.channels not in (None, 1, 3):
    raise ValueError(f"channels is {options.channels}: expected 1 or 3")
  if options.manual_dir and "tfds:" not in name:
    raise ValueError(f"manual_dir is for tfds:<name>, and {name} downloads nothing")
  of = name
  while (kind := of.partition(":")[0]) in DERIVED:
    of = of.split(":", DERIVED[kind])[-1]
  for option, kinds in OPTIONS_OF.items():
    if getattr(options, option) and kind not in kinds:
      raise ValueError(
        f"{option} is for {', '.join(KINDS[known].form for known in kinds)}, not for {name}: leave"
        f" out --config.data_options.{option}"
      )
  if options.condition not in (None, "labels", "vector"):
    raise ValueError(f"condition is {options.condition!r}: expected 'labels' or 'vector'")
  if options.axes and options.axes not in AXES:
    raise ValueError(f"axes is {options.axes!r}: expected one of {', '.join(AXES)}")
  if options.value_range and not is_range(options.value_range):
    raise ValueError(f"value_range is {options.value_range}: expected (lo, hi) with lo < hi")
