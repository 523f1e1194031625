"""Samples of a generator: many, quantised like saved images, by class, interpolated."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from gan_jax.data import to_levels, to_uint8
from gan_jax.data.example import Example
from gan_jax.game.core import Game, State
from gan_jax.game.play import networks
from gan_jax.game.random import fixed, make_key
from gan_jax.metrics import slerp

CHUNK = 128  # examples per dispatch: bounds the memory, whatever the number asked for


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
      state: state of the game.
      n: number of examples.
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
    """Draws the latents of n examples: [n, d]."""
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
      state: state of the game.
      z: latents [n, d].
      labels: int [n], for a conditional game.
      ema: whether to use averaged networks.
      rounded: whether images are uint8; else they are float32 from 0 to 255.

    Returns:
      [n, ...]: uint8 or float32 images, or float32 data that are not images.
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
    """Draws walks from one latent to another, a row each; a row keeps one class.

    The walk is along the great circle, which keeps the length that normal latents of many
    dimensions have; near the origin or between parallel latents it is the straight line.

    Args:
      state: state of the game.
      rows: number of walks.
      steps: number of examples in each.
      seed: seed of the ends.
      labels: int [rows], for a conditional game; by default one class after another.
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
  """Computes labels [n] that share n examples out to the classes, class by class."""
  return np.arange(n) * num_classes // n if n >= num_classes else np.arange(n)


def truncated(z: np.ndarray, bound: float) -> np.ndarray:
  """Computes latents of the normal distribution within a bound from normal latents.

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
