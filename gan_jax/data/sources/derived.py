"""Sources derived from another: images in gray or other colours, halves of them, one class."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from gan_jax.data.labels import listed
from gan_jax.data.source import Options, Source, rows, table
from gan_jax.data.sources.images import fit_each

_COLOURS = 0x636F6C  # seed of the colours, which are the same for every run


def gray(name: str, source: Source) -> Source:
  """Builds the source of images in gray, for example to pair them with themselves in colour.

  Args:
    name: name of the new source.
    source: images in gray or colour.

  Raises:
    ValueError: examples are no images.
  """
  if source.read is None or source.kind != "images":
    raise ValueError(f"{name} turns images into gray, and {source.name} has {source.kind}")
  return _converted(name, source, (*source.shape[:2], 1), lambda x: fit_each(x, None, 1))


def coloured(name: str, source: Source) -> Source:
  """Builds the source of |x - colour|, a random colour for each image.

  MNIST-M of Ganin et al. 2016 (arXiv:1505.07818), with plain colours in the place of patches of
  photographs.

  Args:
    name: name of the new source.
    source: images in memory.

  Raises:
    ValueError: the images are not in memory.
  """
  if "x" not in source.arrays or source.kind != "images":
    raise ValueError(f"{name} colours images that are in memory, and {source.name} is none of them")
  n = len(source.arrays["x"])
  rng = np.random.default_rng([_COLOURS, n])
  colours = rng.integers(256, size=(n, 1, 1, 3), dtype=np.int16)
  mix = lambda x: np.abs(x.astype(np.int16) - colours).astype(np.uint8)
  return _converted(name, source, (*source.shape[:2], 3), mix)


def half(name: str, source: Source, right: bool, options: Options) -> Source:
  """Builds the source of the left or the right half of images [H, 2 W, C].

  A pair of pix2pix's published data lies side by side in one file.

  Args:
    name: name of the new source.
    source: images in their own size.
    right: which half.
    options: keyword arguments of `load`, which halves are resized by.

  Raises:
    ValueError: examples are no images of even width.
  """
  if source.read is None or len(source.shape) != 3 or source.shape[1] % 2:
    raise ValueError(
      f"{name} cuts images in the middle, and those of {source.name} are {source.shape}: expected"
      " [H, W, C] of even width W, from files"
    )
  width = source.shape[1] // 2
  columns = slice(width, None) if right else slice(width)
  size, channels = options.image_size, options.channels or source.shape[2]
  shape = (size or source.shape[0], size or width, channels)
  return _converted(name, source, shape, lambda x: fit_each(x[:, :, columns], size, channels))


def _converted(
  name: str, source: Source, shape: Sequence[int], convert: Callable[[np.ndarray], np.ndarray]
) -> Source:
  """Builds the source of converted images, at once where they are in memory."""
  of_files = source.read
  assert of_files is not None
  with_x = lambda raw: {**raw, "x": convert(raw["x"])}
  arrays = with_x(source.arrays) if "x" in source.arrays else {}
  read = functools.partial(rows, arrays) if arrays else lambda indices: with_x(of_files(indices))
  return source._replace(name=name, shape=tuple(shape), arrays=arrays, read=read)


def of_class(name: str, source: Source, label: str) -> Source:
  """Builds the source of the examples of one class, without labels.

  Args:
    name: name of the new source.
    source: examples with classes, in memory.
    label: name of the class, or its number where classes have no names.

  Raises:
    ValueError: examples are not in memory, have no classes, or none of this one.
  """
  in_memory = source.size is not None and "y" in source.arrays
  if source.num_classes is None or not in_memory:
    raise ValueError(
      f"{name} chooses examples by their class, and those of {source.name} have none, or are not in"
      " memory: choose data with labels, of a size that fits there"
    )
  if label not in source.classes:
    raise ValueError(f"{name}: no class is {label!r}: expected one of {listed(source.classes)}")
  x = source.arrays["x"][source.arrays["y"] == source.classes.index(label)]
  return table(name, np.ascontiguousarray(x), None)._replace(scale=source.scale)
