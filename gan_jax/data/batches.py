"""Minibatches as a pure function of (seed, t): nothing to save, nothing to rewind.

Batch t of a table covers the next `batch_size` places of the current epoch's permutation, so every
epoch shows each example at most once; the last places that fill no batch are left out, and every
epoch leaves out others. An endless source is drawn at positions t * batch_size + row; it repeats
itself after 2**32 examples.

The same batch comes to be in two ways that agree bit for bit: gathered from arrays on the device
(`at`), or read on the host and finished on the device (`stream`, then `finish`).
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.checks import is_integer, is_range, shown
from gan_jax.data.example import Example
from gan_jax.data.permutation import Words, hash_words, permute
from gan_jax.data.pixels import UINT8, Range, to_float
from gan_jax.data.source import Raw, Seed, Source, check_seed, draw_on_host, require_labels
from gan_jax.game.random import fixed

Batch = dict[str, jax.Array]

RESIDENT_LIMIT = 1 << 30  # bytes of device memory: tables above it are streamed
LAST_BATCH = 2**31 - 1
_THREADS = 8  # batches that are read at the same time, and kept ready, when streaming
_ORDER, _FLIP, _CROP = 0, 1, 2  # what a hash of the seed is used for


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
  """The endless sequence of minibatches of one source; nothing is read before it is asked for.

  Attributes:
    source: where examples come from.
    batch_size: B, of the global batch over all processes.
    seed: 0 <= seed < 2**32; together with t it determines batch t.
    flip: mirror each image left to right with probability 1/2.
    crop: pixels of a side to which each image is cropped, at a random place; 0 for none.
    pixel_range: (lo, hi) that all but points are scaled to.
    resident: keep the table on the device (True) or stream it (False). None decides: what is in
      memory and not above RESIDENT_LIMIT is kept, and so is whatever is endless.
    labels: whether they are needed. They come along in any case, where there are any.
    process_index, process_count: this process makes only its equal share of each batch.

  Raises:
    ValueError: the options do not fit the source or each other.
  """

  source: Source
  batch_size: int
  seed: int
  _: dataclasses.KW_ONLY
  flip: bool = False
  crop: int = 0
  pixel_range: Range = (-1.0, 1.0)
  resident: bool | None = None
  labels: bool = False
  process_index: int = 0
  process_count: int = 1

  def __post_init__(self) -> None:
    _check(self)
    object.__setattr__(self, "resident", _resident(self.source, self.resident))

  @property
  def arrays(self) -> Raw:
    """What to put on the device for `at`; {} when streamed."""
    return self.source.arrays if self.resident else {}

  @property
  def endless(self) -> bool:
    """Whether examples are computed by their position, and are no rows of a table."""
    return self.source.draw is not None

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of an example."""
    shape = tuple(self.source.shape)
    return (self.crop, self.crop, *shape[2:]) if self.crop else shape

  @property
  def per_epoch(self) -> int | None:
    """Batches in an epoch; None if the source is endless."""
    return None if self.source.size is None else self.source.size // self.batch_size

  def spec(self, *sizes: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Describes finished global batches with these leading sizes, by shape and dtype."""
    source = self.source
    example = Example(self.shape, source.num_classes, None, condition_dim=source.condition_dim)
    return example.batch(*sizes, self.batch_size)

  @property
  def rows(self) -> np.ndarray:
    """Which rows of the global batch this process makes: uint32 [B / process_count]."""
    share = self.batch_size // self.process_count
    return np.arange(share, dtype=np.uint32) + np.uint32(share * self.process_index)

  @fixed
  def at(
    self,
    arrays: Mapping[str, Any],
    t: Words,
    rows: Words | None = None,
    take: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    seed: Seed | None = None,
  ) -> Batch:
    """Computes batch t from arrays on the device; traceable.

    Args:
      arrays: `self.arrays`, as host or (traced) device arrays.
      t: number of the batch, 0 <= t < 2**31.
      rows: uint32 [n], which rows of the global batch; None means this process's.
      take: (array, index [n]) -> examples [n, ...], for arrays that are not whole here.
      seed: another than `self.seed`; it may be traced.

    Returns:
      {"x": float32 [n, ...], "y": int32 [n] if there are labels}.
    """
    t = jnp.asarray(t).astype(jnp.uint32)
    rows = self.rows if rows is None else rows
    seed = self.seed if seed is None else seed
    if self.source.draw is not None:
      raw = self.source.draw(arrays, self._positions(t, rows), seed)
    else:
      index = self._order(t, rows, seed)
      take = take or functools.partial(jnp.take, axis=0, mode="clip")
      raw = {key: take(value, index) for key, value in arrays.items()}
    return self.finish(raw, t, rows, seed)

  @fixed
  def finish(
    self, raw: Mapping[str, Any], t: Words, rows: Words | None = None, seed: Seed | None = None
  ) -> Batch:
    """Computes batch t from the raw batch of `stream`: scales pixels, mirrors images; traceable.

    Args:
      raw: {"x": [n, ...] as stored, "y": int32 [n] if there are labels}.
      t: number of the batch.
      rows, seed: as for `at`.
    """
    x = jnp.asarray(raw["x"])
    if x.dtype == jnp.uint8 or self.source.scale != UINT8:
      x = to_float(x, self.pixel_range, self.source.scale)
    t = jnp.asarray(t).astype(jnp.uint32)
    rows = self.rows if rows is None else rows
    seed = self.seed if seed is None else seed
    if self.crop:
      # Of 16 bits a side: of up to 65,536 places each is as likely as the next.
      word = hash_words(seed, _CROP, t, rows)
      corners = [
        ((part & np.uint32(0xFFFF)) * np.uint32(size - self.crop + 1)) >> np.uint32(16)
        for part, size in ((word, x.shape[1]), (word >> np.uint32(16), x.shape[2]))
      ]
      size = (self.crop, self.crop, x.shape[-1])
      cut = lambda x, row, column: jax.lax.dynamic_slice(x, (row, column, 0), size)
      x = jax.vmap(cut)(x, *(corner.astype(jnp.int32) for corner in corners))
    if self.flip:
      mirrored = hash_words(seed, _FLIP, t, rows) >> np.uint32(31) == 1
      x = jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
    return {**raw, "x": x}

  def every(self, limit: int) -> np.ndarray:
    """Returns the examples themselves as batches have them, float32 [N, ...], in the table's order.

    Args:
      limit: most bytes that they may take.

    Raises:
      ValueError: there is no end of them, they are not in memory, or too many.
    """
    source, why = self.source, ""
    if source.size is None or self.endless:
      why = "is drawn anew for every batch: choose --config.data with a table of examples"
    elif self.crop or self.flip:
      why = "is cropped or flipped at random, and each time another: leave out "
      why += "--config.data_options.crop and --config.data_options.flip"
    elif "x" not in source.arrays:
      why = (
        "is not in memory: lower --config.data_options.image_size, or raise memory_limit in load"
      )
    elif (size := 4 * math.prod(source.shape)) * source.size > limit:
      why = f"takes {size * source.size:,} bytes, more than {limit:,}: choose "
      why += f"--config.data_options.examples={limit // size} or less, or a lower image_size"
    if why:
      raise ValueError(f"{source.name} {why}")
    with jax.ensure_compile_time_eval():  # they are numbers while a program is traced, too
      return np.asarray(self.finish({"x": source.arrays["x"]}, 0)["x"])

  def read(self, t: int) -> Raw:
    """Reads this process's rows of batch t on the host, raw as `finish` takes them."""
    number = np.asarray([t], np.uint32)
    if self.source.draw is not None:
      return draw_on_host(self.source, self._positions(number, self.rows), self.seed)
    assert self.source.read is not None
    return self.source.read(self._order(number, self.rows, self.seed).astype(np.int64))

  def stream(self, start: int = 0) -> Iterator[Raw]:
    """Iterates over raw host batches start, start + 1, ..., read ahead by grain's threads.

    Starting late costs nothing: grain asks for batch t by its number.
    """
    import grain

    batches = grain.MapDataset.source(_ByNumber(self))[start:]
    options = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_THREADS)
    iterator = iter(batches.to_iter_dataset(options))
    try:
      yield from iterator
    finally:
      iterator.close()

  def iterate(self, start: int = 0) -> Iterator[Batch]:
    """Iterates over finished batches start, start + 1, ... on the default device."""
    if self.resident:
      arrays = jax.device_put(self.arrays)
      for t in range(start, LAST_BATCH):
        yield self._jitted_at(arrays, np.uint32(t))
    else:
      for t, raw in enumerate(self.stream(start), start):
        yield self._jitted_finish(raw, np.uint32(t))

  @functools.cached_property
  def _jitted_at(self) -> Callable[..., Batch]:
    return jax.jit(self.at)

  @functools.cached_property
  def _jitted_finish(self) -> Callable[..., Batch]:
    return jax.jit(self.finish)

  def _positions(self, t: Words, rows: Words) -> Words:
    return t * np.uint32(self.batch_size) + rows

  def _order(self, t: Words, rows: Words, seed: Seed) -> Words:
    assert self.source.size is not None and self.per_epoch is not None
    epoch, step = t // np.uint32(self.per_epoch), t % np.uint32(self.per_epoch)
    return permute(self._positions(step, rows), self.source.size, seed, _ORDER, epoch)


class _ByNumber:
  """The batches as grain sees them: a very long list."""

  def __init__(self, batches: Batches):
    self.batches = batches

  def __len__(self) -> int:
    return LAST_BATCH

  def __getitem__(self, t: int) -> Raw:
    return self.batches.read(int(t))


def _resident(source: Source, asked: bool | None) -> bool:
  in_memory = source.draw is not None or bool(source.arrays)
  if asked and not in_memory:
    raise ValueError(
      f"{source.name} is not in memory, so it cannot be kept on the device: leave out"
      " --config.data_options.placement=device to stream it, lower"
      " --config.data_options.image_size, or raise memory_limit in load(...)"
    )
  if asked is None:
    return in_memory and sum(a.nbytes for a in source.arrays.values()) <= RESIDENT_LIMIT
  return asked


def _check(b: Batches) -> None:
  source = b.source
  if not isinstance(source, Source):
    raise ValueError(f"source is {shown(source)}: expected a Source, as data.load('mnist10k')")
  for name in ("batch_size", "seed", "process_index", "process_count"):
    if not is_integer(value := getattr(b, name)):
      raise ValueError(f"{name} is {shown(value)}: expected an int")
  for name in ("flip", "resident", "labels"):
    given = isinstance(value := getattr(b, name), bool | np.bool_)
    if not given and not (name == "resident" and value is None):
      raise ValueError(f"{name} is {shown(value)}: expected True or False")
  check_seed(b.seed)
  if b.labels:
    require_labels(source)
  if b.batch_size < 1:
    raise ValueError(f"batch_size is {b.batch_size}: expected at least 1")
  if source.size is not None and b.batch_size > source.size:
    raise ValueError(
      f"{source.name} has {source.size} examples, fewer than one batch of {b.batch_size}: choose"
      f" --config.batch_size={source.size} or less"
    )
  if b.process_count < 1 or b.batch_size % b.process_count:
    raise ValueError(
      f"a batch of {b.batch_size} cannot be shared out equally to {b.process_count} processes:"
      " choose a --config.batch_size that is a multiple of their number"
    )
  if not 0 <= b.process_index < b.process_count:
    raise ValueError(
      f"process_index is {b.process_index}: expected 0 to {b.process_count - 1}, one less than"
      " process_count"
    )
  if b.flip and source.kind != "images":
    raise ValueError(
      f"flip=True mirrors images, and {source.name} has {source.kind}: use flip=False"
    )
  if not is_integer(b.crop) or b.crop < 0 or (b.crop and source.kind != "images"):
    raise ValueError(f"crop is {shown(b.crop)}: expected pixels of a side, of images; 0 for none")
  if b.crop > min(source.shape[:2]):
    raise ValueError(
      f"crop = {b.crop} pixels of images of {source.shape[0]} x {source.shape[1]}: choose"
      " --config.data_options.crop of at most their shorter side"
    )
  if not is_range(b.pixel_range):
    raise ValueError(f"pixel_range is {shown(b.pixel_range)}: expected (lo, hi) with lo < hi")
