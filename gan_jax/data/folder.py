"""A folder of the user's own images.

    folder/*.png                  no labels
    folder/<class>/*.png          labels 0, 1, ... in the sorted order of the class folders
    folder/train/..., test/...    either of the above for each split

Without train/ and test/ everything is the training split. Every file's header is read before
anything else happens; what fits into `memory_limit` is decoded at once, so that a damaged file
stops the run before it starts. Larger folders are decoded batch by batch.
"""

import functools
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from absl import logging

from gan_jax.data.images import SUFFIXES, Header, read_header, read_image
from gan_jax.data.source import NoSplitError, Options, Raw, Source, table

T = TypeVar("T")
U = TypeVar("U")


def open_folder(argument: str, split: str, options: Options) -> Source:
  """Opens `folder:<dir>`.

  Raises:
    NoSplitError: no such split.
    FileNotFoundError: no such folder, or no images in it.
    ValueError: damaged, oversized or mixed images; names the file.
  """
  name, root = f"folder:{argument}", options.path(argument)
  if not root.is_dir():
    raise FileNotFoundError(f"{name}: there is no folder {root.absolute()}")
  classes = _classes(_split_folder(root, "train" if (root / "train").is_dir() else split))
  paths, labels = _list(_split_folder(root, split), classes)
  shape = _common_shape(paths, _in_threads(read_header, paths), options)
  decode = functools.partial(_decode, shape=shape, size=options.image_size)
  y = np.array(labels, np.int32) if classes else None
  if len(paths) * math.prod(shape) > options.memory_limit:
    read = functools.partial(_read, paths, y, decode)
    return Source(name, shape, len(paths), len(classes) or None, {}, read=read)
  logging.info("%s: decoding %d images", name, len(paths))
  x = np.empty((len(paths), *shape), np.uint8)

  def put(i: int) -> None:
    x[i] = decode(paths[i])

  _in_threads(put, range(len(paths)))
  return table(name, x, y, len(classes) or None)


def _split_folder(root: pathlib.Path, split: str) -> pathlib.Path:
  if (root / split).is_dir():
    return root / split
  if split == "train" and not (root / "test").is_dir():
    return root
  raise NoSplitError(
    f"{root} has no folder {split}/, so there is no {split} split: put images into {root / split},"
    f" or use the other split"
  )


def _classes(folder: pathlib.Path) -> list[str]:
  return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(
    p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
  )


def _list(
  folder: pathlib.Path, classes: Sequence[str]
) -> tuple[Sequence[pathlib.Path], Sequence[int]]:
  """Finds the images of a split and their labels ([] if there are no classes)."""
  loose, found = _images(folder), _classes(folder)
  if loose and found:
    raise ValueError(
      f"{folder} has images ({loose[0].name}, ...) beside folders ({found[0]}, ...): either every"
      " image lies in the folder of its class, or there are no folders"
    )
  if unknown := sorted(set(found) - set(classes)):
    raise ValueError(f"{folder / unknown[0]} is a class that the train split does not have")
  if classes and loose:
    raise ValueError(f"{folder} has images without a class, and the train split has classes")
  paths: list[pathlib.Path] = list(loose)
  labels: list[int] = []
  for name in found:
    members = _images(folder / name)
    if not members:
      raise FileNotFoundError(_no_images(folder / name))
    paths += members
    labels += [classes.index(name)] * len(members)
  if not paths:
    raise FileNotFoundError(_no_images(folder))
  return paths, labels


def _no_images(folder: pathlib.Path) -> str:
  return f"{folder} has no images ({', '.join(SUFFIXES)}): put some there, or remove it"


def _common_shape(
  paths: Sequence[pathlib.Path], headers: Iterable[Header], options: Options
) -> tuple[int, int, int]:
  """Checks that all images fit together and returns the shape they will have."""
  first: dict[tuple[int, ...], pathlib.Path] = {}  # of each kind of image, the first example
  for path, header in zip(paths, headers, strict=True):
    first.setdefault(header[2:] if options.image_size else header, path)
  kinds = list(first)
  channels = options.channels or _common_channels({kind[-1]: first[kind] for kind in kinds})
  if options.image_size:
    return options.image_size, options.image_size, channels
  sizes = {kind[:2]: first[kind] for kind in kinds}
  if len(sizes) > 1:
    (a, at_a), (b, at_b) = list(sizes.items())[:2]
    raise ValueError(
      f"the images differ in size: {at_a} is {a[1]} x {a[0]}, {at_b} is {b[1]} x {b[0]}. Pass"
      " image_size=... to crop and resize them all"
    )
  ((height, width),) = sizes
  return height, width, channels


def _common_channels(first: dict[int, pathlib.Path]) -> int:
  name = {1: "gray", 2: "gray with transparency", 3: "colour", 4: "colour with transparency"}
  if len(first) == 1 and (only := next(iter(first))) in (1, 3):
    return only
  what = ", ".join(f"{path} is {name[channels]}" for channels, path in first.items())
  raise ValueError(f"{what}: pass channels=1 or channels=3 to turn all images into gray or colour")


def _decode(path: pathlib.Path, shape: tuple[int, int, int], size: int | None) -> np.ndarray:
  image = read_image(path, size, shape[2])
  if image.shape != shape:  # the header does not say that a photograph lies on its side
    raise ValueError(
      f"{path} is {image.shape[1]} x {image.shape[0]} when upright, others are {shape[1]} x"
      f" {shape[0]}. Pass image_size=... to crop and resize them all"
    )
  return image


def _read(
  paths: Sequence[pathlib.Path],
  y: np.ndarray | None,
  decode: Callable[[pathlib.Path], np.ndarray],
  indices: np.ndarray,
) -> Raw:
  x = np.stack([decode(paths[i]) for i in indices])
  return {"x": x} if y is None else {"x": x, "y": y[indices]}


def _in_threads(function: Callable[[T], U], items: Sequence[T]) -> list[U]:
  """Maps a function over items in threads: Pillow works outside the GIL."""
  with ThreadPoolExecutor(os.cpu_count()) as pool:
    return list(pool.map(function, items))
