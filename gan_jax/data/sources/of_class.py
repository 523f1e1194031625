"""The examples of one class: a domain of its own, as CycleGAN's horses are."""

import numpy as np

from gan_jax.data.labels import listed
from gan_jax.data.source import Source, table


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
