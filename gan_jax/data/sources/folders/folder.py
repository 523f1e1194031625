"""A folder of the user's own images, or a zip of it.

    folder/*.png                  no labels
    folder/<class>/**/*.png       classes in the sorted order of their folders
    folder/00000/img00000000.png, folder/dataset.json     StyleGAN's form, with its labels
    folder/train/..., test/...    any of the above for each split; val/ (dev/, eval/) is the test
                                  split if no other is there

Without such folders everything is the training split. Every file's header is read before anything
else happens; what fits into `memory_limit` is decoded at once, so that a damaged file stops the run
before it starts. Larger folders are decoded batch by batch. What is left out is told.
"""

import functools
import logging
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from gan_jax.cores import cores
from gan_jax.data.labels import class_names, encode_split, listed
from gan_jax.data.source import HOLD_OUT, NoSplitError, Options, Raw, Source, table
from gan_jax.data.sources.arrays import scale_of
from gan_jax.data.sources.folders.layout import image_names, listing, splits_of
from gan_jax.data.sources.folders.trees import File
from gan_jax.data.sources.images import RECOLOUR, RESIZE, Header, read_header, read_image

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")


def open_folder(argument: str, split: str, options: Options, *, kind: str = "folder") -> Source:
  """Opens `folder:<dir>`, or a zip of one.

  Raises:
    NoSplitError: no such split.
    FileNotFoundError: no such folder, or no images in it.
    ValueError: damaged, oversized or mixed images, or folders of which nobody knows what they are;
      names the file.
  """
  name = f"{kind}:{argument}"
  splits = splits_of(name, options.path(argument), split)
  if split not in splits:
    raise NoSplitError(_no_split(name, options.path(argument), split))
  names, labels = listing(splits[split])
  other = split == "test" and "train" in splits
  training = listing(splits["train"], tell=False)[1] if other else labels
  y, classes = encode_split(name, labels, len(names), training)
  return image_source(name, [splits[split].file(n) for n in names], y, classes, options)


def check_same_names(arguments: Sequence[str], options: Options) -> None:
  """Checks that folders, or zips, have images of the same names, which pair them.

  Raises:
    ValueError: an image has no partner; names it.
  """
  (one, a), *others = [(root, {*image_names(root)}) for root in map(options.path, arguments)]
  for other, b in others:
    if alone := sorted(a ^ b):
      has, lacks = (one, other) if alone[0] in a else (other, one)
      raise ValueError(
        f"{has}/{alone[0]} has no partner of this name in {lacks} ({len(alone)} have none): pairs"
        " are of one name; add it, or remove the other"
      )


def _no_split(name: str, root: pathlib.Path, split: str) -> str:
  """Formats the message that a split is missing."""
  what = (
    f"{name} has no folder {split}/, so there is no {split} split: put images into {root / split}"
  )
  if split == "train":
    return f"{what}, or name the folder whose images are to be trained on"
  return f"{what}, or {HOLD_OUT}"


def image_source(
  name: str,
  files: Sequence[File],
  y: np.ndarray | None,
  classes: np.ndarray | None,
  options: Options,
) -> Source:
  """Builds a source of image files and their classes.

  Args:
    name: name of the data in error messages.
    files: [N] images, each with a name of its own.
    y: places among the classes, int32 [N]; None without labels.
    classes: labels or names of the classes [K]; None without labels.
    options: keyword arguments of `load`.

  Raises:
    ValueError: damaged, oversized or mixed images; names the file.
  """
  shape, dtype = _common_shape(files, _in_threads(read_header, files), options)
  decode = functools.partial(_decode, shape=shape, size=options.image_size)
  names = None if classes is None else classes.tolist()
  if names is not None:
    _LOG.info("%s: %d images of %s", name, len(files), listed(names))
  if len(files) * math.prod(shape) * np.dtype(dtype).itemsize > options.memory_limit:
    scale = scale_of(name, dtype, map(decode, files), options)

    def read(indices: np.ndarray) -> Raw:
      raw = {"x": np.stack([decode(files[i]) for i in indices])}
      return raw if y is None else {**raw, "y": y[indices]}

    count, called = (None, None) if names is None else (len(names), class_names(names))
    return Source(name, shape, len(files), count, {}, read, None, called, scale)
  _LOG.info("%s: decoding %d images", name, len(files))
  x = np.empty((len(files), *shape), dtype)

  def put(i: int) -> None:
    x[i] = decode(files[i])

  _in_threads(put, range(len(files)))
  return table(name, x, y, names)._replace(scale=scale_of(name, dtype, x, options))


def _common_shape(
  files: Sequence[File], headers: Iterable[Header], options: Options
) -> tuple[tuple[int, int, int], str]:
  """Checks that all images fit together and returns the shape and type they will have."""
  types: dict[str, File] = {}
  sizes: dict[tuple[int, int], File] = {}  # of each kind of image, the first example
  kinds: dict[int, File] = {}
  several: list[File] = []
  for file, header in zip(files, headers, strict=True):
    sizes.setdefault((header.height, header.width), file)
    kinds.setdefault(header.channels, file)
    types.setdefault(header.dtype, file)
    several += [file] if header.frames else []
  if several:
    _LOG.warning(
      "%d files are animated or have several pages (%s): the first image of each is used",
      *(len(several), several[0]),
    )
  if len(types) > 1:
    listed_types = ", ".join(f"{file} is {dtype}" for dtype, file in types.items())
    raise ValueError(f"the images differ in type: {listed_types}; convert them to one")
  (dtype,) = types
  channels = options.channels or _common_channels(kinds, dtype)
  if (dtype != "uint8" or max(kinds) > 4) and {*kinds} != {channels}:
    raise ValueError(
      f"{next(iter(kinds.values()))} has {next(iter(kinds))} channels of {dtype}, which are not"
      f" turned into {channels}: leave out --config.data_options.channels"
    )
  if options.image_size:
    return (options.image_size, options.image_size, channels), dtype
  if len(sizes) > 1:
    (a, at_a), (b, at_b) = list(sizes.items())[:2]
    more = f" ({len(sizes)} sizes in all)" if len(sizes) > 2 else ""
    raise ValueError(
      f"the images differ in size: {at_a} is {a[1]} x {a[0]}, {at_b} is {b[1]} x {b[0]}{more}."
      f" {RESIZE}"
    )
  ((height, width),) = sizes
  return (height, width, channels), dtype


def _common_channels(first: Mapping[int, File], dtype: str) -> int:
  name = {1: "gray", 2: "gray with transparency", 3: "colour", 4: "colour with transparency"}
  if len(first) == 1 and ((only := next(iter(first))) in (1, 3) or only > 4 or dtype != "uint8"):
    return only
  described = lambda channels: name.get(channels, f"of {channels} channels")
  what = ", ".join(f"{path} is {described(channels)}" for channels, path in first.items())
  raise ValueError(f"{what}: {RECOLOUR}")


def _decode(path: File, shape: tuple[int, int, int], size: int | None) -> np.ndarray:
  image = read_image(path, size, shape[2])
  if image.shape != shape:  # the header does not always say that a photograph lies on its side
    raise ValueError(
      f"{path} is {image.shape[1]} x {image.shape[0]} when upright, others are {shape[1]} x"
      f" {shape[0]}. {RESIZE}"
    )
  return image


def _in_threads(function: Callable[[T], U], items: Sequence[T]) -> list[U]:
  """Maps a function over items in threads: Pillow works outside the GIL."""
  with ThreadPoolExecutor(cores()) as pool:
    return list(pool.map(function, items))
