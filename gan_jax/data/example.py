"""The form of examples: their shape, range and classes, as a game and its samples need them."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.labels import listed, numbers, values


class Example(NamedTuple):
  """The form of the examples that a game plays with.

  Attributes:
    shape: shape of one example.
    num_classes: number of classes of a conditional game; None for an unconditional one.
    pixel_range: values that 0 and 255 are scaled to; None for data that are not images.
    class_names: names of the classes of a conditional game; None if they are numbers.
  """

  shape: tuple[int, ...]
  num_classes: int | None
  pixel_range: tuple[float, float] | None
  class_names: tuple[str, ...] | None = None

  @property
  def classes(self) -> tuple[str, ...]:
    """Names of the classes; () for an unconditional game."""
    return self.class_names or numbers(self.num_classes or 0)

  def class_places(self, names: Sequence[str]) -> np.ndarray:
    """Returns the classes of these names, or numbers where no name is one: int [m].

    Raises:
      ValueError: if there is no such class.
    """
    if not self.classes:
      raise ValueError(f"labels {', '.join(names)} are of classes, and this run has none")
    places = {name: i for i, name in enumerate(self.classes)}
    if not any(name.isdecimal() for name in places):
      places |= {str(i): i for i in range(len(self.classes))}
    if unknown := [name for name in names if name not in places]:
      raise ValueError(f"there is no class {unknown[0]!r}: expected some of {listed(self.classes)}")
    return np.array([places[name] for name in names])

  def written(self, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Converts classes [n] to arrays of a file: y as in the data, class_names if those are text."""
    known = values(self.classes)
    named = {"class_names": np.array(self.classes)}
    return {"y": known[labels], **({} if tuple(map(str, known)) == self.classes else named)}

  def batch(self, *sizes: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Describes a batch of examples with these leading sizes."""
    spec = {"x": jax.ShapeDtypeStruct((*sizes, *self.shape), jnp.float32)}
    if self.num_classes is not None:
      spec["y"] = jax.ShapeDtypeStruct(sizes, jnp.int32)
    return spec
