"""What a data set is, once it has been opened: a name, a shape, and a way to get at examples.

A source is either a finite table (`read` gives rows by index; small tables also sit in `arrays`) or
endless (`draw` makes the example at any position out of thin air, inside jit). Everything is raw
here: images are uint8 [H, W, C], points float32 [d], labels int32.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from gan_jax.data.permutation import hash_words, permute
from gan_jax.switches import fixed

Raw = dict[str, np.ndarray]
ReadFn = Callable[[np.ndarray], Raw]
Seed = int | np.uint32 | jax.Array
DrawFn = Callable[[Mapping[str, jax.Array], jax.Array, Seed], dict[str, jax.Array]]

MEMORY_LIMIT = 2 << 30  # bytes: larger image tables stay on disk
_TAKE = 0x74616B65  # keeps the examples of `take` apart from the batches of the same seed


class Source(NamedTuple):
  """One split of a data set.

  Attributes:
    name: as given to `load`.
    shape: of one example: (H, W, C) of an image, (d,) of a point.
    size: number of examples N; None means endless.
    num_classes: labels are 0 .. num_classes - 1; None means there are no labels.
    arrays: {"x": [N, ...], "y": int32 [N]} where the whole table is in memory, else {}. The arrays
      an endless source draws from, if any.
    read: indices int64 [n] -> {"x": [n, ...], "y": int32 [n]}, on the host; None if endless.
    draw: (arrays, positions uint32 [n], seed) -> the same, traceable; None if finite. The example
      at position p depends on (seed, p) alone.
  """

  name: str
  shape: tuple[int, ...]
  size: int | None
  num_classes: int | None
  arrays: Raw
  read: ReadFn | None = None
  draw: DrawFn | None = None


class Options(NamedTuple):
  """The keyword arguments of `load`, as every kind of source receives them."""

  image_size: int | None = None
  channels: int | None = None
  data_dir: str | None = None
  manual_dir: str | None = None
  memory_limit: int = MEMORY_LIMIT

  def path(self, name: str) -> pathlib.Path:
    """Resolves a user's path: `~` is the home folder, relative paths start at `data_dir`."""
    return pathlib.Path(self.data_dir or "").expanduser() / pathlib.Path(name).expanduser()


class NoSplitError(ValueError):
  """A data set does not have the split that was asked for."""


def table(name: str, x: np.ndarray, y: np.ndarray | None, num_classes: int | None = None) -> Source:
  """Makes a source of arrays in memory.

  Args:
    name: what error messages call it.
    x: uint8 [N, H, W, C] images or float32 [N, d] points.
    y: integers [N], or None.
    num_classes: number of classes; None means the largest label + 1.

  Raises:
    ValueError: no examples, or labels that do not fit them.
  """
  if len(x) == 0:
    raise ValueError(f"{name} has no examples")
  if y is None:
    arrays: Raw = {"x": x}
    num_classes = None
  else:
    arrays = {"x": x, "y": check_labels(name, y, len(x), num_classes)}
    num_classes = num_classes or int(arrays["y"].max()) + 1
  read = functools.partial(_rows, arrays)
  return Source(name, x.shape[1:], len(x), num_classes, arrays, read=read)


def _rows(arrays: Raw, indices: np.ndarray) -> Raw:
  return {key: value[indices] for key, value in arrays.items()}


def check_labels(name: str, y: np.ndarray, size: int, num_classes: int | None) -> np.ndarray:
  """Returns labels as int32 [size] after checking their shape, type and range."""
  if y.shape != (size,) or not np.issubdtype(y.dtype, np.integer):
    raise ValueError(
      f"the labels of {name} are {y.dtype} {list(y.shape)}: expected integers [{size}], one for"
      " each example"
    )
  highest = (num_classes or 2**31) - 1
  if y.min() < 0 or y.max() > highest:
    raise ValueError(
      f"the labels of {name} reach from {y.min()} to {y.max()}: expected 0 to {highest}"
    )
  return y.astype(np.int32)


def require_labels(source: Source) -> None:
  """Raises ValueError if the source has no labels, which a conditional game cannot do without."""
  if source.num_classes is None:
    raise ValueError(
      f"{source.name} has no labels, and a conditional game needs them. Use a source with labels"
      " (a folder with one subfolder for each class, an npz file with an array y), or an"
      " unconditional game"
    )


def check_seed(seed: int) -> None:
  """Raises ValueError unless the seed is one unsigned 32-bit number."""
  if not 0 <= seed < 2**32:
    raise ValueError(f"seed is {seed}: expected 0 <= seed < 2**32")


def first(source: Source, n: int) -> Source:
  """Keeps the first n examples of a table, in its own order.

  Args:
    source: a finite source.
    n: how many, from 1 to its size.

  Returns:
    The smaller source, with the same classes.

  Raises:
    ValueError: the source is endless, or has fewer.
  """
  if source.size is None or not 0 < n <= source.size:
    has = "is endless" if source.size is None else f"has {source.size} examples"
    raise ValueError(f"{source.name} {has}: it has no first {n} to train on alone")
  arrays = {key: value[:n] for key, value in source.arrays.items()}
  return source._replace(size=n, arrays=arrays)


def take(source: Source, n: int | None = None, seed: int = 0) -> Raw:
  """Takes examples out of a source as raw host arrays, for evaluation.

  Args:
    source: any source.
    n: how many; None takes the whole table in its own order.
    seed: which ones: a random choice without replacement, or fresh draws if the source is endless.
      They are independent of the batches that training makes from the same seed.

  Returns:
    {"x": uint8 [n, H, W, C] or float32 [n, d], "y": int32 [n] if there are labels}.

  Raises:
    ValueError: n is more than there is, or missing for an endless source.
  """
  check_seed(seed)
  if source.read is None:
    if n is None:
      raise ValueError(f"{source.name} is endless: say how many examples to take (n=...)")
    return draw_on_host(source, np.arange(n, dtype=np.uint32), int(hash_words(seed, _TAKE)[0]))
  assert source.size is not None
  if n is None:
    return source.read(np.arange(source.size))
  if n > source.size:
    raise ValueError(
      f"{source.name} has {source.size} examples, and {n} were asked for: take at most"
      f" {source.size}"
    )
  positions = np.arange(n, dtype=np.uint32)
  return source.read(permute(positions, source.size, seed, _TAKE).astype(np.int64))


def draw_on_host(source: Source, positions: np.ndarray, seed: int) -> Raw:
  """Draws the examples at the given positions of an endless source, as host arrays."""
  assert source.draw is not None
  drawn = jax.jit(fixed(source.draw))(source.arrays, positions, np.uint32(seed))
  return jax.tree.map(np.asarray, drawn)
