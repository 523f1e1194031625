"""The examples of a game's data: what a game is built for, and what a run's folder says of them."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.labels import listed, numbers, values
from gan_jax.data.pixels import UINT8, Scale, kind_of

TRACES = 4  # most channels of a series that are shown


class Example(NamedTuple):
  """Shape, classes and scale of the examples of a game's data.

  Attributes:
    shape: shape of one example.
    num_classes: number of classes of a game conditional on labels; None of another.
    pixel_range: range that values are scaled to; None of points, which are not.
    class_names: [num_classes]; None if classes are called by their numbers.
    domains: names of the kinds of examples of which a batch has as many each; () for one kind.
    scale: how the data store their values.
    condition_dim: entries of the vectors of a game conditional on these; None of another.
    labelled: domains beside the first whose classes are in a batch too, of domain d as "y_d".
    input_channels: channels of what a translator starts from, where not those of `shape`.
  """

  shape: tuple[int, ...]
  num_classes: int | None
  pixel_range: tuple[float, float] | None
  class_names: tuple[str, ...] | None = None
  domains: tuple[str, ...] = ()
  scale: Scale = UINT8
  condition_dim: int | None = None
  labelled: tuple[str, ...] = ()
  input_channels: int | None = None

  @property
  def input_shape(self) -> tuple[int, ...]:
    """Shape of an example of the first domain, which a translator starts from."""
    return (*self.shape[:-1], self.input_channels or self.shape[-1])

  @property
  def condition_size(self) -> int | None:
    """Entries of what the networks see of a label: classes, or those of a vector; None of none."""
    return self.condition_dim if self.num_classes is None else self.num_classes

  @property
  def unlabelled(self) -> Self:
    """The same examples, of an unconditional game."""
    return self._replace(num_classes=None, class_names=None, condition_dim=None)

  @property
  def kind(self) -> str:
    """Kind of the examples: "points", "series", "images" or "volumes"."""
    return kind_of(self.shape)

  @property
  def not_shown(self) -> str:
    """What pictures show of examples, and so what they do not; "" where they show all of them."""
    (dtype, lo, hi), channels, kind = self.scale, self.shape[-1], self.kind
    if kind in ("points", "arrays") or (
      kind == "images" and dtype == "uint8" and channels in (1, 3)
    ):
      return ""
    most = TRACES if kind == "series" else 3 if channels >= 3 else 1
    shown = "all" if channels <= most else f"the first {most}"
    of = f"{shown} of {channels} channels of {dtype}"
    if kind == "series":
      return f"pictures show traces of {of}, {lo:g} at the bottom, {hi:g} at the top"
    depth = self.shape[0]
    middle = f"slice {depth // 2} of {depth}, " if kind == "volumes" else ""
    return f"pictures show {middle}{of}, {lo:g} as black, {hi:g} as white"

  @property
  def classes(self) -> tuple[str, ...]:
    """Name of each class; () of an unconditional game."""
    return self.class_names or numbers(self.num_classes or 0)

  def labels(self, names: Sequence[str]) -> np.ndarray:
    """Returns labels that are given as text.

    Args:
      names: names of classes, or their numbers where names are none; vectors as "0.5:1".

    Returns:
      Places of classes, int [m], or vectors, float32 [m, d].

    Raises:
      ValueError: for a class that there is not, or a vector of another size.
    """
    if self.condition_dim is not None:
      return np.stack([self._vector(name) for name in names])
    if not self.classes:
      raise ValueError(f"labels {', '.join(names)} are of classes, and this run has none")
    places = {name: i for i, name in enumerate(self.classes)}
    if not any(name.isdecimal() for name in places):
      places |= {str(i): i for i in range(len(self.classes))}
    if unknown := [name for name in names if name not in places]:
      raise ValueError(f"there is no class {unknown[0]!r}: expected some of {listed(self.classes)}")
    return np.array([places[name] for name in names])

  def _vector(self, text: str) -> np.ndarray:
    try:
      vector = np.array(text.split(":"), np.float32)
    except ValueError:
      vector = np.zeros(0, np.float32)
    if vector.shape != (self.condition_dim,) or not np.isfinite(vector).all():
      form = ":".join(["0.5"] * min(self.condition_dim or 1, 3))
      raise ValueError(
        f"{text!r} is not {self.condition_dim} numbers: expected such as {form}, with colons within"
        " a vector and commas between vectors"
      )
    return vector

  def written(self, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns arrays of labels for a file: y as in the data, class_names if those are text."""
    if self.condition_dim is not None:
      return {"y": labels}
    known = values(self.classes)
    named = {"class_names": np.array(self.classes)}
    return {"y": known[labels], **({} if tuple(map(str, known)) == self.classes else named)}

  def batch(self, *sizes: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the shapes of a batch of examples with these leading sizes."""
    first, *others = self.domains or ("x",)
    spec = dict.fromkeys(others, jax.ShapeDtypeStruct((*sizes, *self.shape), jnp.float32))
    spec = {first: jax.ShapeDtypeStruct((*sizes, *self.input_shape), jnp.float32)} | spec
    if self.num_classes is not None:
      names = ("y", *(f"y_{domain}" for domain in self.labelled))
      spec |= dict.fromkeys(names, jax.ShapeDtypeStruct(sizes, jnp.int32))
    elif self.condition_dim is not None:
      spec["y"] = jax.ShapeDtypeStruct((*sizes, self.condition_dim), jnp.float32)
    return spec
