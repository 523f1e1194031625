"""Examples as a user wants them: many, quantised like saved images, by class, interpolated."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from gan_jax.data import to_levels, to_uint8
from gan_jax.data.labels import listed, numbers, values
from gan_jax.game.core import Game, State, networks
from gan_jax.game.random import fixed, make_key
from gan_jax.metrics import slerp

CHUNK = 128  # examples per dispatch: bounds the memory, whatever the number asked for


class Example(NamedTuple):
  """What a game has to know of its data.

  Attributes:
    shape: of one example.
    num_classes: how many classes a conditional game has; None for an unconditional one.
    pixel_range: what 0 and 255 are scaled to; None for data that are not images.
    class_names: of a conditional game; None if classes are called by their numbers.
  """

  shape: tuple[int, ...]
  num_classes: int | None
  pixel_range: tuple[float, float] | None
  class_names: tuple[str, ...] | None = None

  @property
  def classes(self) -> tuple[str, ...]:
    """What to call each class; () of an unconditional game."""
    return self.class_names or numbers(self.num_classes or 0)

  def class_places(self, names: Sequence[str]) -> np.ndarray:
    """Finds classes by name, or by number where names are none: int [m].

    Raises:
      ValueError: for a class that there is not.
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
    """Turns classes [n] into what a file holds: y as in the data, class_names if those are text."""
    known = values(self.classes)
    named = {"class_names": np.array(self.classes)}
    return {"y": known[labels], **({} if tuple(map(str, known)) == self.classes else named)}

  def batch(self, *sizes: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Describes a batch of examples with these leading sizes."""
    spec = {"x": jax.ShapeDtypeStruct((*sizes, *self.shape), jnp.float32)}
    if self.num_classes is not None:
      spec["y"] = jax.ShapeDtypeStruct(sizes, jnp.int32)
    return spec


class Sampler:
  """Draws examples from a game's generator, in one compiled program."""

  def __init__(self, game: Game, example: Example):
    """Prepares to draw; compiles on first use."""
    self.example = example
    self._prior = jax.jit(fixed(game.prior), static_argnums=1)
    self._generate = jax.jit(fixed(game.generate))

  def __call__(
    self,
    state: State,
    n: int,
    *,
    seed: int = 0,
    labels: np.ndarray | None = None,
    ema: bool = True,
    truncation: float | None = None,
  ) -> np.ndarray:
    """Draws n examples.

    Args:
      state: of the game.
      n: how many.
      seed: the first m of n examples are the m examples of the same seed.
      labels: int [n], for a conditional game.
      ema: whether to use averaged networks.
      truncation: bound on every entry of normal latents (see `truncated`); None for none.

    Returns:
      [n, ...]: uint8 images, or float32 for data that are not images.
    """
    z = self.latents(n, seed)
    z = z if truncation is None else truncated(z, truncation)
    return self.generate(state, z, labels=labels, ema=ema)

  def latents(self, n: int, seed: int = 0) -> np.ndarray:
    """Draws what n examples start from: [n, d]."""
    return np.asarray(self._prior(make_key(seed), n))

  def generate(
    self,
    state: State,
    z: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    ema: bool = True,
    rounded: bool = True,
  ) -> np.ndarray:
    """Generates one example for each z.

    Args:
      state: of the game.
      z: [n, d].
      labels: int [n], for a conditional game.
      ema: whether to use averaged networks.
      rounded: whether images are uint8; else they are float32 from 0 to 255.

    Returns:
      As a call does.
    """
    params, carried = networks(state, ema)
    parts = []
    for first in range(0, len(z), CHUNK):
      chunk = slice(first, first + CHUNK)
      y = None if labels is None else _fill(np.asarray(labels[chunk], np.int32))
      out = self._generate(params, carried, jnp.asarray(_fill(z[chunk])), y)
      parts.append(np.asarray(out)[: len(z[chunk])])
    x, pixel_range = np.concatenate(parts), self.example.pixel_range
    return x if pixel_range is None else (to_uint8 if rounded else to_levels)(x, pixel_range)

  def interpolate(
    self,
    state: State,
    rows: int = 8,
    steps: int = 10,
    *,
    seed: int = 0,
    labels: np.ndarray | None = None,
    ema: bool = True,
  ) -> np.ndarray:
    """Walks from one latent to another, a row each; a row keeps one class.

    The walk is along the great circle, which keeps the length that normal latents of many
    dimensions have; near the origin or between parallel latents it is the straight line.

    Args:
      state: of the game.
      rows: how many walks.
      steps: examples in each.
      seed: of the ends.
      labels: of the rows, int [rows], for a conditional game; by default one class after another.
      ema: whether to use averaged networks.

    Returns:
      [rows * steps, ...], row by row.
    """
    ends = self.latents(2 * rows, seed)
    start, end = (np.repeat(part, steps, axis=0) for part in (ends[:rows], ends[rows:]))
    z = slerp(start, end, np.tile(np.linspace(0, 1, steps), rows))
    if self.example.num_classes is not None:
      labels = np.arange(rows) % self.example.num_classes if labels is None else labels
      labels = np.repeat(labels, steps)
    return self.generate(state, z.astype(np.float32), labels=labels, ema=ema)


def by_class(n: int, num_classes: int) -> np.ndarray:
  """Shares n examples out to the classes, class by class: labels [n]."""
  return np.arange(n) * num_classes // n if n >= num_classes else np.arange(n)


def truncated(z: np.ndarray, bound: float) -> np.ndarray:
  """Turns normal latents into latents of the normal distribution within a bound.

  The truncation trick of Brock et al. 2019 (arXiv:1809.11096): fewer kinds of examples, and better
  ones. They draw again what is beyond; here each entry keeps its rank, so that one seed gives
  examples that change little by little with the bound.

  Args:
    z: [n, d] from N(0, I).
    bound: > 0, in standard deviations.

  Returns:
    [n, d], float32, each entry within ±bound.

  Raises:
    ValueError: for another bound.
  """
  if not bound > 0:
    raise ValueError(f"latents are truncated at a bound > 0, got {bound}")
  low, high = ndtr(-bound), ndtr(bound)
  return ndtri(low + ndtr(z.astype(np.float64)) * (high - low)).clip(-bound, bound).astype(z.dtype)


def _fill(x: np.ndarray) -> np.ndarray:
  """Repeats the last row up to a full chunk, so that one compiled program serves every size."""
  return x if len(x) == CHUNK else np.concatenate([x, np.repeat(x[-1:], CHUNK - len(x), axis=0)])


def row_of_class(n: int, num_classes: int) -> int:
  """Chooses the length of a row of n examples: each class fills rows, of a sheet near a square."""
  each = max(1, n // num_classes)
  lengths = (length for length in range(1, each + 1) if each % length == 0)
  return min(lengths, key=lambda length: abs(length - math.sqrt(n)))
