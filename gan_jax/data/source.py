"""The source, an opened data set: its name, its shape, and functions to read examples.

A source is either a finite table (`read` gives rows by index; small tables also sit in `arrays`) or
endless (`draw` computes the example at any position, inside jit). Everything is raw
here: series [T, C], images [H, W, C] and volumes [D, H, W, C] are uint8, uint16 or float32, points
float32 [d], labels int32.
"""

import functools
import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from gan_jax.data.labels import class_names as names_of
from gan_jax.data.labels import encode, listed, numbers
from gan_jax.data.pixels import UINT8, Range, Scale, kind_of
from gan_jax.game.random import fixed

_LOG = logging.getLogger(__name__)

Raw = dict[str, np.ndarray]
ReadFn = Callable[[np.ndarray], Raw]
Seed = int | np.uint32 | jax.Array
DrawFn = Callable[[Mapping[str, jax.Array], jax.Array, Seed], dict[str, jax.Array]]

MEMORY_LIMIT = 2 << 30  # bytes: larger image tables stay on disk
HOLD_OUT = "hold some out by --config.data_options.hold_out=0.1"  # of data without a test split
SPLITS = {  # by the name of a folder or file
  **dict.fromkeys(("train", "training"), "train"),
  **dict.fromkeys(("test", "testing"), "test"),
  **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "validation"),
}


class Source(NamedTuple):
  """One split of a data set.

  Attributes:
    name: as given to `load`.
    shape: of one example: (d,) of a point, (T, C), (H, W, C) or (D, H, W, C).
    size: number of examples N; None means endless.
    num_classes: labels are 0 .. num_classes - 1; None means there are no labels.
    condition_dim: entries of the vectors that are given in the place of labels; None means none.
    arrays: {"x": [N, ...], "y": int32 [N], or float32 [N, d] of vectors} where the whole table is
      in memory, else {}. The arrays an endless source draws from, if any.
    read: indices int64 [n] -> {"x": [n, ...], "y": int32 [n]}, on the host; None if endless.
    draw: (arrays, positions uint32 [n], seed) -> the same, traceable; None if batches are of rows.
      The example at position p depends on (seed, p) alone.
    class_names: of label 0, 1, ...: the user's own names or numbers; None if these are the labels.
    scale: how values are stored; of no meaning for points.
  """

  name: str
  shape: tuple[int, ...]
  size: int | None
  num_classes: int | None
  arrays: Raw
  read: ReadFn | None = None
  draw: DrawFn | None = None
  class_names: tuple[str, ...] | None = None
  scale: Scale = UINT8
  condition_dim: int | None = None

  @property
  def kind(self) -> str:
    """Kind of its examples: "points", "series", "images" or "volumes"."""
    return kind_of(self.shape)

  @property
  def classes(self) -> tuple[str, ...]:
    """What to call each class; () without labels."""
    return self.class_names or numbers(self.num_classes or 0)


class Options(NamedTuple):
  """The keyword arguments of `load`, as every kind of source receives them."""

  image_size: int | None = None
  channels: int | None = None
  data_dir: str | None = None
  manual_dir: str | None = None
  memory_limit: int = MEMORY_LIMIT
  label: str | None = None
  axes: str | None = None
  value_range: Range | None = None
  condition: str | None = None

  def path(self, name: str) -> pathlib.Path:
    """Resolves a user's path: `~` is the home folder, relative paths start at `data_dir`."""
    return pathlib.Path(self.data_dir or "").expanduser() / pathlib.Path(name).expanduser()


class NoSplitError(ValueError):
  """A data set does not have the split that was asked for."""


def table(
  name: str,
  x: np.ndarray,
  y: np.ndarray | None,
  class_names: Sequence[object] | None = None,
) -> Source:
  """Builds a source of arrays in memory.

  Args:
    name: name of the data in error messages.
    x: series, images or volumes uint8, uint16 or float32 [N, ..., C], or float32 points [N, d].
    y: integers [N]; vectors, float32 [N, d]; or None.
    class_names: names of the classes 0 .. K-1; None means those that occur in y, whose numbers
      become their names.

  Raises:
    ValueError: no examples, or labels that do not fit them.
  """
  if len(x) == 0:
    raise ValueError(f"{name} has no examples")
  arrays: Raw = {"x": x}
  source = Source(name, x.shape[1:], len(x), None, arrays, read=functools.partial(rows, arrays))
  if y is None:
    return source
  arrays["y"], source = labelled(source, y, class_names)
  return source


def labelled(
  source: Source, y: np.ndarray, class_names: Sequence[object] | None
) -> tuple[np.ndarray, Source]:
  """Numbers the labels of a source: (places among its classes, int32 [N]; it, with these classes).

  Vectors stay as they are. Arguments and errors are those of `table`.
  """
  assert source.size is not None
  if y.ndim == 2 and y.dtype == np.float32:
    return y, source._replace(condition_dim=y.shape[1])
  known = None if class_names is None else np.arange(len(class_names))
  places, classes = encode(source.name, y, source.size, known)
  names = names_of(classes.tolist() if class_names is None else class_names)
  return places, source._replace(num_classes=len(classes), class_names=names)


def rows(arrays: Raw, indices: np.ndarray) -> Raw:
  """Reads examples of a table in memory."""
  return {key: value[indices] for key, value in arrays.items()}


def require_labels(source: Source) -> None:
  """Raises ValueError if the source has no labels, which a conditional game cannot do without."""
  if source.num_classes is None and source.condition_dim is None:
    raise ValueError(
      f"{source.name} has no labels, and a conditional game needs them. Use a source with labels"
      " (a folder with one subfolder for each class, an npz file with an array y), or an"
      " unconditional game, conditional=False"
    )


def warn_unseen(source: Source) -> None:
  """Warns of classes that a data set declares, and has no example of: nobody can learn them."""
  if "y" in source.arrays and source.size is not None and source.num_classes:
    absent = sorted({*range(source.num_classes)} - {*source.arrays["y"].tolist()})
    if absent:
      _LOG.warning(
        "%s has no example of %s to train on",
        source.name,
        listed([source.classes[i] for i in absent]),
      )


def check_seed(seed: int) -> None:
  """Raises ValueError unless the seed is one unsigned 32-bit number."""
  if not 0 <= seed < 2**32:
    raise ValueError(f"seed is {seed}: expected 0 <= seed < 2**32")


def draw_on_host(source: Source, positions: np.ndarray, seed: int) -> Raw:
  """Computes the examples at the given positions of an endless source, as host arrays."""
  assert source.draw is not None
  examples = _compiled(source.draw)(source.arrays, positions, np.uint32(seed))
  return jax.tree.map(np.asarray, examples)


@functools.lru_cache(maxsize=16)  # so that the next batch compiles nothing
def _compiled(draw: Callable[..., Raw]) -> Callable[..., Raw]:
  return jax.jit(fixed(draw))
