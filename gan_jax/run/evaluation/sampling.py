"""Samples of a generator: many, quantised like saved images, by class, interpolated."""

import functools
import logging
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import Source, take, to_float, to_levels, to_picture, to_stored
from gan_jax.data.example import Example
from gan_jax.data.labels import label_type
from gan_jax.game.core import Game, Sampler, State
from gan_jax.game.play import networks
from gan_jax.game.random import fixed, make_key
from gan_jax.metrics import slerp
from gan_jax.plots import traces

_LOG = logging.getLogger(__name__)

Inputs = Callable[[int, int], Any]  # (n, seed) -> inputs of n examples
LARGE = 1 << 21  # numbers in the examples of a dispatch, where 128 of them would have more
CHUNK = 128  # examples per dispatch: bounds the memory, whatever the number asked for


class CompiledSampler:
  """Draws examples by one of a game's samplers, in one compiled program."""

  def __init__(
    self, game: Game, example: Example, name: str | None = None, given: Inputs | None = None
  ):
    """Prepares to draw; compiles on first use.

    Args:
      game: the game.
      example: shape, classes and pixel range of the examples.
      name: name of the sampler; by default the game's first.
      given: (n, seed) -> inputs [n, ...], of a sampler that does not draw its own.
    """
    how = game.sampler(name)
    # A translator is given examples alone; labels of these are for who learns them in training.
    self.example = example.unlabelled if how.inputs is None else example
    self.truncate = how.truncate
    self._chunk = min(CHUNK, max(1, LARGE // math.prod(example.shape)))
    self._generate = jax.jit(fixed(how.draw))
    self._given = given
    self._back = None if how.back is None else jax.jit(fixed(game.sampler(how.back).draw))
    self._predict = None if game.predict is None else jax.jit(fixed(Sampler(game.predict).draw))
    self._map = None if how.mapping is None else jax.jit(fixed(Sampler(how.mapping).draw))
    self.translates = how.inputs is None
    if how.inputs is not None:
      draw = jax.jit(fixed(how.inputs), static_argnums=1)
      self._given = lambda n, seed: jax.tree.map(np.asarray, draw(make_key(seed), n))

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
      labels: classes, int [n], or vectors, float [n, d], of a conditional game.
      ema: whether to use averaged networks.
      truncation: as of `truncated`; None for none.

    Returns:
      [n, ...]: examples in the type of the data, points as float32.
    """
    z = self.latents(n, seed)
    z = z if truncation is None else self.truncated(z, truncation)
    return self.generate(state, z, labels=labels, ema=ema, seed=seed)

  def translations(self, state: State, inputs: np.ndarray, *, ema: bool = True) -> list[np.ndarray]:
    """Translates images, and what comes of it back.

    Args:
      state: state of the game.
      inputs: float32 [n, H, W, C] in the range that networks see.
      ema: whether to use averaged networks.

    Returns:
      Images, translations and reconstructions, [n, ...] each; no last of a game without a way back.
    """
    steps = [inputs]
    for apply in filter(None, (self._generate, self._back)):
      steps.append(self._apply(apply, state, steps[-1], None, ema))
    return list(map(self._in_data, steps))

  def classes(self, state: State, x: np.ndarray, *, ema: bool = True) -> np.ndarray:
    """Predicts the classes, int [n], of examples in the range that networks see."""
    return self._apply(self._predict, state, x, None, ema).argmax(axis=1)

  def styles(self, state: State, z: Any, *, labels: Any = None, ema: bool = True) -> np.ndarray:
    """Maps inputs to styles w, [n, rows, d], of a generator in stages."""
    return self._apply(self._map, state, z, labels, ema)

  def latents(self, n: int, seed: int = 0) -> Any:
    """Draws the inputs of n examples, such as latents [n, d]."""
    if self._given is None:
      raise ValueError("this sampler starts from examples of the data, which have not been opened")
    return self._given(n, seed)

  def truncated(self, z: np.ndarray, bound: float) -> np.ndarray:
    """Truncates latents at a bound, or styles by psi.

    Args:
      z: inputs [n, d].
      bound: as of `latents.truncate_normal`, or psi of `latents.truncate_styles`.

    Raises:
      ValueError: neither normal latents nor styles, or a bound that there cannot be.
    """
    if self.truncate is None:
      raise ValueError(
        "truncation is of styles, or of normal latents of scale 1: this run has neither"
      )
    return self.truncate(z, bound)

  def check_truncation(self, *bounds: float | None) -> None:
    """Refuses what `truncated` would, before anything is drawn."""
    for bound in bounds:
      if bound is not None:
        self.truncated(np.zeros((1, 1), np.float32), bound)

  def generate(
    self,
    state: State,
    z: Any,
    *,
    labels: Any = None,
    ema: bool = True,
    rounded: bool = True,
    seed: int = 0,
    places: np.ndarray | None = None,
  ) -> np.ndarray:
    """Generates one example for each z.

    Args:
      state: state of the game.
      z: inputs of the sampler, such as latents [n, d].
      labels: classes, int [n], vectors, float [n, d], or `nets.layers.ClassShares`, of a
        conditional game.
      ema: whether to use averaged networks.
      rounded: whether examples are in the type of the data; else they are float32 from 0 to 255.
      seed: seed of what networks draw while sampling.
      places: int [n]; examples of one place have the same draws. By default each has its own.

    Returns:
      [n, ...]: examples.
    """
    x = self._apply(self._generate, state, z, labels, ema, seed, places)
    return self._in_data(x, rounded)

  def _apply(
    self,
    generate: Any,
    state: State,
    z: Any,
    labels: Any,
    ema: bool,
    seed: int = 0,
    places: np.ndarray | None = None,
  ) -> np.ndarray:
    """Computes examples in the range that networks see, in chunks of one size."""
    params, carried = networks(state, ema)
    parts, n, size = [], len(jax.tree.leaves(z)[0]), self._chunk
    key = make_key(seed)
    places = np.asarray(np.arange(n) if places is None else places, np.int32)
    y = jax.tree.map(lambda y: np.asarray(y, label_type(np.asarray(y).dtype)), labels)
    for first in range(0, n, size):
      take = lambda x, first=first: jnp.asarray(_fill(x[first : first + size], size))
      out = generate(params, carried, *jax.tree.map(take, (z, y)), key, take(places))
      parts.append(np.asarray(out)[: min(size, n - first)])
    return np.concatenate(parts)

  def _in_data(self, x: np.ndarray, rounded: bool = True) -> np.ndarray:
    """Converts examples to the range of the data."""
    pixel_range, scale = self.example.pixel_range, self.example.scale
    if pixel_range is None:
      return x
    return to_stored(x, pixel_range, scale) if rounded else to_levels(x, pixel_range)

  def shown(self, x: np.ndarray) -> np.ndarray:
    """Returns what a picture can show of examples: uint8 [..., H, W, 1 or 3]; points as they are.

    Of a volume that is its middle slice; of a series its traces.
    """
    kind, scale = self.example.kind, self.example.scale
    if self.example.pixel_range is None:
      return x
    if self.example.not_shown:
      _warn_once(self.example.not_shown)
    if kind == "series":
      return traces(x, scale.lo, scale.hi)
    middle = x[..., self.example.shape[0] // 2, :, :, :] if kind == "volumes" else x
    return to_picture(middle, scale)

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
      labels: of each row, classes or vectors; by default one class after another.
      ema: whether to use averaged networks.

    Returns:
      [rows * steps, ...], row by row.
    """
    ends = self.latents(2 * rows, seed)
    position = np.tile(np.linspace(0, 1, steps), rows)

    def walk(ends: np.ndarray) -> np.ndarray:
      start, end = (np.repeat(part, steps, axis=0) for part in (ends[:rows], ends[rows:]))
      return slerp(start, end, position).astype(np.float32)

    if self.example.num_classes is not None and labels is None:
      labels = np.arange(rows) % self.example.num_classes
    if labels is not None:
      labels = np.repeat(labels, steps, axis=0)
    # One draw a row: a walk is along the latents alone.
    places = np.repeat(np.arange(rows), steps)
    z = jax.tree.map(walk, ends)
    return self.generate(state, z, labels=labels, ema=ema, seed=seed, places=places)


@functools.cache
def _warn_once(text: str) -> None:
  _LOG.warning("%s", text)


def by_class(n: int, num_classes: int) -> np.ndarray:
  """Computes labels [n] that share n examples out to the classes, class by class."""
  return np.arange(n) * num_classes // n if n >= num_classes else np.arange(n)


def _fill(x: np.ndarray, size: int) -> np.ndarray:
  """Repeats the last row up to a full chunk, so that one compiled program serves every size."""
  return x if len(x) == size else np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])


def inputs_of(source: Source, example: Example) -> Inputs:
  """Builds the function that takes a translator's inputs from a source: (n, seed) -> [n, ...]."""
  return lambda n, seed: scaled(examples_of(source, n, seed), example)


def examples_of(source: Source, n: int, seed: int) -> np.ndarray:
  """Draws raw examples [n, ...] of a source; of two with as many examples, at the same places.

  Of a finite source they are all different, until there are no more; then they come once again.
  """
  x = take(source, min(n, source.size or n), seed)["x"]
  return np.concatenate([x] * -(-n // len(x)))[:n]


def scaled(x: np.ndarray, example: Example) -> np.ndarray:
  """Scales raw examples to the range that networks see."""
  pixel_range = example.pixel_range
  return (
    x if pixel_range is None else np.asarray(to_float(jnp.asarray(x), pixel_range, example.scale))
  )


def row_of_class(n: int, num_classes: int) -> int:
  """Chooses the length of a row of n examples: each class fills rows, of a sheet near a square."""
  each = max(1, n // num_classes)
  lengths = (length for length in range(1, each + 1) if each % length == 0)
  return min(lengths, key=lambda length: abs(length - math.sqrt(n)))
