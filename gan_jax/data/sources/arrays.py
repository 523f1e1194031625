"""Arrays of examples, [N, ...], in memory or in a file that is read by rows."""

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gan_jax.data.pixels import UINT8, Scale
from gan_jax.data.source import Options, Raw, Source, labelled, table
from gan_jax.data.sources.images import fit_all, fit_each

_LOG = logging.getLogger(__name__)

# Order of the axes, and the places of N, H, W and C in it.
AXES = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1), "NHW": (0, 1, 2)}
_CHUNK = 64 << 20  # bytes that are measured at a time


@dataclasses.dataclass(frozen=True)
class Rows:
  """Examples in their own type, brought to [n, H, W, C] or [n, d] as they are read.

  Attributes:
    stored: array or data set of a file [N, ...], with `shape` and `dtype`.
    order: places of the axes N, H, W and C in it, or N and d.
  """

  stored: Any
  order: tuple[int, ...]

  @property
  def dtype(self) -> np.dtype[Any]:
    """Type of examples: uint8, uint16 or float32."""
    native = self.stored.dtype.newbyteorder("=")
    return np.dtype(np.float32) if native.kind == "f" else native

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of all examples."""
    shape = tuple(self.stored.shape[i] for i in self.order)
    return (*shape, 1) if len(shape) == 3 else shape

  def __getitem__(self, places: Any) -> np.ndarray:
    """Reads examples at a slice, or at places that rise."""
    x = np.transpose(np.asarray(self.stored[places]), self.order)
    with np.errstate(over="ignore"):  # infinities are looked for
      return np.ascontiguousarray(x.reshape(len(x), *self.shape[1:]), self.dtype)


def array_source(
  name: str,
  stored: Any,
  y: np.ndarray | None,
  options: Options,
  class_names: Sequence[object] | None = None,
) -> Source:
  """Builds a source of an array; one that is larger than the memory limit is streamed.

  Args:
    name: name of the data in error messages.
    stored: images uint8, uint16 or float [N, H, W, C], [N, C, H, W] or [N, H, W], or points float
      [N, d]; an array, or a data set of a file that is read by slices and places that rise.
    y, class_names: as of `table`.
    options: keyword arguments of `load`.

  Raises:
    ValueError: examples of another type, or axes that nobody can tell.
  """
  rows = Rows(stored, _order(name, stored, options))
  if math.prod(rows.shape) * rows.dtype.itemsize <= options.memory_limit:
    x = rows[:] if len(rows.shape) == 2 else fit_all(name, rows[:], options)
    return table(name, x, y, class_names)._replace(scale=_scale(name, x, options))
  scale, size, channels = _scale(name, rows, options), options.image_size, options.channels
  fitted = lambda x: x if x.ndim == 2 else fit_each(x, size, channels or x.shape[3])
  shape = fitted(rows[:1]).shape[1:]  # what cannot be resized is refused before training
  source = Source(name, shape, rows.shape[0], None, {}, scale=scale)
  if y is not None:
    y, source = labelled(source, y, class_names)

  def read(indices: np.ndarray) -> Raw:
    places, back = np.unique(indices, return_inverse=True)
    x = fitted(rows[places])[back]
    return {"x": x} if y is None else {"x": x, "y": y[indices]}

  return source._replace(read=read)


def _order(name: str, stored: Any, options: Options) -> tuple[int, ...]:
  """Returns the places of the axes of images or points."""
  shape, dtype = tuple(stored.shape), stored.dtype.newbyteorder("=")
  if not math.prod(shape) or not (dtype in (np.uint8, np.uint16) or dtype.kind == "f"):
    raise _not_examples(name, dtype, shape)
  if len(shape) == 2 and dtype.kind == "f":
    if options.image_size or options.channels or options.axes or options.value_range:
      raise ValueError(
        f"{name} has points: image_size, channels, axes and value_range are for images"
      )
    return 0, 1
  if options.axes:
    order = AXES[options.axes]
    if len(order) != len(shape):
      raise ValueError(
        f"{name} has examples of shape {list(shape)}: axes {options.axes} are of {len(order)}"
        " dimensions; choose another --config.data_options.axes"
      )
    return order
  if len(shape) == 3 and dtype.kind != "f":
    return AXES["NHW"]
  if len(shape) == 4:
    last = shape[3] in (1, 3) or (shape[3] == 4 and options.channels and dtype == np.uint8)
    first = shape[1] in (1, 3)
    if last and not first:
      return AXES["NHWC"]
    if first and not last:
      _LOG.info("%s has images %s: the first of these are channels", name, list(shape[1:]))
      return AXES["NCHW"]
  raise _not_examples(name, dtype, shape)


def _not_examples(name: str, dtype: Any, shape: tuple[int, ...]) -> ValueError:
  hint = ""
  if len(shape) == 2 and dtype == np.uint8:
    hint = (
      ". Rows of pixels do not say how they lie: write images, such as x.reshape(-1, 3, 32,"
      " 32).transpose(0, 2, 3, 1) of planes"
    )
  elif len(shape) in (3, 4):
    axes = "NHWC or NCHW" if len(shape) == 4 else "NHW"
    hint = (
      f". If these are images whose axes cannot be told by their shape, say them:"
      f" --config.data_options.axes={axes} (score: --axes)"
    )
  return ValueError(
    f"{name} has examples of type {dtype} and shape {list(shape)}: expected images, uint8, uint16"
    " or float [N, H, W, C] with C = 1 or 3, or points, float [N, d]; series and volumes are not"
    f" trained on{hint}"
  )


def _scale(name: str, x: Any, options: Options) -> Scale:
  """Returns how images are stored; checks that images and points are finite."""
  chunk = max(1, _CHUNK // (math.prod(x.shape[1:]) * x.dtype.itemsize))
  parts = (x[first : first + chunk] for first in range(0, x.shape[0], chunk))
  if len(x.shape) == 2:
    _range(name, "points", parts)
    return UINT8
  return scale_of(name, str(x.dtype), parts, options)


def _range(name: str, kind: str, parts: Iterable[np.ndarray]) -> tuple[float, float]:
  """Computes the least and the largest value, which must be finite."""
  ends = np.array([(part.min(), part.max()) for part in parts], np.float64)
  if not np.isfinite(ends).all():
    raise ValueError(f"{name} has {kind} that are not finite (NaN or infinity)")
  return float(ends[:, 0].min()), float(ends[:, 1].max())


def scale_of(name: str, dtype: str, parts: Iterable[np.ndarray], options: Options) -> Scale:
  """Returns how images are stored; measures the range of those that are not uint8.

  Args:
    name: name of the data in error messages.
    dtype: type of the images.
    parts: all of them, some at a time; not read where they are uint8.
    options: keyword arguments of `load`, of which `value_range` replaces what is measured.

  Raises:
    ValueError: values that are not finite, or all alike, or a range that is not asked for.
  """
  if dtype == "uint8":
    if options.value_range:
      raise ValueError(
        f"{name} has images of uint8, whose values are from 0 to 255: leave out"
        " --config.data_options.value_range"
      )
    return UINT8
  measured = _range(name, "images", parts)
  lo, hi = map(float, options.value_range or measured)
  if not lo < hi or not np.isfinite(np.float32(hi) - np.float32(lo)):
    raise ValueError(
      f"{name} has values from {measured[0]:g} to {measured[1]:g}, which cannot be scaled: say a"
      " range of theirs by --config.data_options.value_range, such as (0, 1)"
    )
  outside = ""
  if measured[0] < lo or measured[1] > hi:
    outside = f"; they reach from {measured[0]:g} to {measured[1]:g}"
  how = "given" if options.value_range else "measured"
  _LOG.info("%s: images of %s, values from %g to %g (%s)%s", name, dtype, lo, hi, how, outside)
  return Scale(dtype, lo, hi)
