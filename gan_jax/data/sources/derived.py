"""Sources derived from another: images in colours of their own, halves of them, one class."""

import functools

import numpy as np

from gan_jax.data.labels import listed
from gan_jax.data.source import Options, Raw, Source, rows, table
from gan_jax.data.sources.images import fit_each

_COLOURS = 0x636F6C  # seed of the colours, which are the same for every run


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
  x = source.arrays["x"]
  rng = np.random.default_rng([_COLOURS, len(x)])
  colours = rng.integers(256, size=(len(x), 1, 1, 3), dtype=np.int16)
  mixed = np.abs(x.astype(np.int16) - colours).astype(np.uint8)
  arrays = {**source.arrays, "x": mixed}
  read = functools.partial(rows, arrays)
  return source._replace(name=name, shape=mixed.shape[1:], arrays=arrays, read=read)


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
  read, width = source.read, source.shape[1] // 2
  columns = slice(width, None) if right else slice(width)
  size, channels = options.image_size, options.channels or source.shape[2]

  def cut(raw: Raw) -> Raw:
    return {**raw, "x": fit_each(raw["x"][:, :, columns], size, channels)}

  shape = (size or source.shape[0], size or width, channels)
  arrays = cut(source.arrays) if "x" in source.arrays else {}
  of_files = lambda indices: cut(read(indices))
  read_half = functools.partial(rows, arrays) if arrays else of_files
  return source._replace(name=name, shape=shape, arrays=arrays, read=read_half)


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
