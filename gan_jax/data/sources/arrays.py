"""Arrays of examples, [N, ...], in memory or in a file that is read by rows."""

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gan_jax.data.pixels import UINT8, Scale, kind_of
from gan_jax.data.source import Options, Raw, Source, labelled, table
from gan_jax.data.sources.images import fit_all, fit_each

_LOG = logging.getLogger(__name__)

# Orders of the axes: examples, steps or depth, height and width, channels; without C there is one.
AXES = ("NT", "NTC", "NCT", "NHW", "NHWC", "NCHW", "NDHW", "NDHWC", "NCDHW")
_OF_RANK = {  # what an array may be, for the message where it is not certain
  3: "NTC or NCT (series), NHW (gray images)",
  4: "NHWC or NCHW (images), NDHW (volumes of one channel)",
  5: "NDHWC or NCDHW (volumes)",
}
_CHUNK = 64 << 20  # bytes that are measured at a time


@dataclasses.dataclass(frozen=True)
class Rows:
  """Examples in their own type, channels last, as they are read.

  Attributes:
    stored: array or data set of a file [N, ...], with `shape` and `dtype`.
    order: places of the axes N, T, D, H, W and C in it, those that it has.
    one_channel: whether it has no axis of channels, and gets one.
  """

  stored: Any
  order: tuple[int, ...]
  one_channel: bool

  @property
  def dtype(self) -> np.dtype[Any]:
    """Type of examples: uint8, uint16 or float32."""
    native = self.stored.dtype.newbyteorder("=")
    return np.dtype(np.float32) if native.kind == "f" else native

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of all examples."""
    shape = tuple(self.stored.shape[i] for i in self.order)
    return (*shape, 1) if self.one_channel else shape

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
    stored: series, images or volumes uint8, uint16 or float, of the axes `AXES`, or points float
      [N, d]; an array, or a data set of a file that is read by slices and places that rise.
    y, class_names: as of `table`.
    options: keyword arguments of `load`.

  Raises:
    ValueError: examples of another type, or axes that nobody can tell.
  """
  axes = _axes(name, stored, options)
  order = tuple(axes.index(letter) for letter in "NTDHWC" if letter in axes)
  rows = Rows(stored, order, one_channel="C" not in axes)
  kind = kind_of(rows.shape[1:])
  if kind != "images" and (options.image_size or options.channels):
    raise ValueError(f"{name} has {kind}: image_size and channels are for images")
  if math.prod(rows.shape) * rows.dtype.itemsize <= options.memory_limit:
    x = fit_all(name, rows[:], options) if kind == "images" else rows[:]
    return table(name, x, y, class_names)._replace(scale=_scale(name, x, options))
  scale, size, channels = _scale(name, rows, options), options.image_size, options.channels
  fitted = lambda x: fit_each(x, size, channels or x.shape[3]) if kind == "images" else x
  shape = fitted(rows[:1]).shape[1:]  # what cannot be resized is refused before training
  source = Source(name, shape, rows.shape[0], None, {}, scale=scale)
  if y is not None:
    y, source = labelled(source, y, class_names)

  def read(indices: np.ndarray) -> Raw:
    places, back = np.unique(indices, return_inverse=True)
    x = fitted(rows[places])[back]
    return {"x": x} if y is None else {"x": x, "y": y[indices]}

  return source._replace(read=read)


def _axes(name: str, stored: Any, options: Options) -> str:
  """Returns the axes of an array: those that are given or certain, "NC" of points."""
  shape, dtype = tuple(stored.shape), stored.dtype.newbyteorder("=")
  if not math.prod(shape) or not (dtype in (np.uint8, np.uint16) or dtype.kind == "f"):
    raise _not_examples(name, dtype, shape)
  if options.axes:
    if len(options.axes) != len(shape):
      raise ValueError(
        f"{name} has examples of shape {list(shape)}: axes {options.axes} are of"
        f" {len(options.axes)} dimensions; choose another --config.data_options.axes"
      )
    return options.axes
  if len(shape) == 2 and dtype.kind == "f":
    if options.value_range:
      raise ValueError(f"{name} has points, which are not scaled: leave out value_range")
    return "NC"
  if len(shape) == 3 and dtype.kind != "f":
    return "NHW"
  if len(shape) in (4, 5):
    sides = "HW" if len(shape) == 4 else "DHW"
    last = shape[-1] in (1, 3) or (len(shape) == 4 and _has_alpha(shape, dtype, options))
    first = shape[1] in (1, 3)
    if last and not first:
      return f"N{sides}C"
    if first and not last:
      kind = kind_of(shape[1:])
      _LOG.info("%s has %s %s: the first of these are channels", name, kind, list(shape[1:]))
      return f"NC{sides}"
  raise _not_examples(name, dtype, shape)


def _has_alpha(shape: tuple[int, ...], dtype: Any, options: Options) -> bool:
  return bool(shape[-1] == 4 and options.channels and dtype == np.uint8)


def _not_examples(name: str, dtype: Any, shape: tuple[int, ...]) -> ValueError:
  hint = ""
  if len(shape) == 2 and dtype == np.uint8:
    hint = (
      ". Rows of pixels do not say how they lie: write images, such as x.reshape(-1, 3, 32,"
      " 32).transpose(0, 2, 3, 1) of planes; of series of one channel, say"
      " --config.data_options.axes=NT (score: --axes)"
    )
  elif len(shape) in _OF_RANK:
    hint = (
      ". The shape does not say what its axes are, so say it:"
      f" --config.data_options.axes={_OF_RANK[len(shape)]} (score: --axes)"
    )
  return ValueError(
    f"{name} has examples of type {dtype} and shape {list(shape)}: expected uint8, uint16 or float"
    " series [N, T, C], images [N, H, W, C] or volumes [N, D, H, W, C] with C = 1 or 3, or points,"
    f" float [N, d]{hint}"
  )


def _scale(name: str, x: Any, options: Options) -> Scale:
  """Returns how values are stored; checks that they are finite."""
  chunk = max(1, _CHUNK // (math.prod(x.shape[1:]) * x.dtype.itemsize))
  parts = (x[first : first + chunk] for first in range(0, x.shape[0], chunk))
  if len(x.shape) == 2:
    _range(name, "points", parts)
    return UINT8
  return scale_of(name, str(x.dtype), parts, options, kind_of(x.shape[1:]))


def _range(name: str, kind: str, parts: Iterable[np.ndarray]) -> tuple[float, float]:
  """Computes the least and the largest value, which must be finite."""
  ends = np.array([(part.min(), part.max()) for part in parts], np.float64)
  if not np.isfinite(ends).all():
    raise ValueError(f"{name} has {kind} that are not finite (NaN or infinity)")
  return float(ends[:, 0].min()), float(ends[:, 1].max())


def scale_of(
  name: str,
  dtype: str,
  parts: Iterable[np.ndarray],
  options: Options,
  kind: str = "images",
) -> Scale:
  """Returns how values are stored; measures the range of those that are not uint8.

  Args:
    name: name of the data in error messages.
    dtype: type of the examples.
    parts: all of them, some at a time; not read where they are uint8.
    options: keyword arguments of `load`, of which `value_range` replaces what is measured.
    kind: kind of the examples.

  Raises:
    ValueError: values that are not finite, or all alike, or a range that is not asked for.
  """
  if dtype == "uint8":
    if options.value_range:
      raise ValueError(
        f"{name} has {kind} of uint8, whose values are from 0 to 255: leave out"
        " --config.data_options.value_range"
      )
    return UINT8
  measured = _range(name, kind, parts)
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
  _LOG.info("%s: %s of %s, values from %g to %g (%s)%s", name, kind, dtype, lo, hi, how, outside)
  return Scale(dtype, lo, hi)
