"""Another domain of the same images: each before a colour of its own."""

import numpy as np

from gan_jax.data.source import Source

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
  read = lambda indices: {key: value[indices] for key, value in arrays.items()}
  return source._replace(name=name, shape=mixed.shape[1:], arrays=arrays, read=read)
