"""Parts of a source, such as examples held out, and the fingerprint that tells one from another."""

import functools
import logging
import zlib
from typing import Any

import numpy as np

from gan_jax.data.permutation import hash_words, permute
from gan_jax.data.source import Raw, Source, check_seed, draw_on_host, rows

_LOG = logging.getLogger(__name__)

SAMPLE = 64  # examples that a fingerprint is of, where the table is not in memory
_TAKE = 0x74616B65  # keeps the examples of `take` apart from the batches of the same seed
_HOLD_OUT_FLAG = "--config.data_options.hold_out"
_HOLD_OUT = 0x686F6C64  # what `hold_out` keeps back is the same for every seed of a run


def first(source: Source, n: int) -> Source:
  """Returns a source of the first n examples of a table, in its own order.

  Args:
    source: finite source.
    n: number of examples, from 1 to its size.

  Returns:
    The smaller source, with the same classes.

  Raises:
    ValueError: the source is endless, or has fewer.
  """
  if source.size is None or not 0 < n <= source.size:
    has = "is endless" if source.size is None else f"has {source.size} examples"
    raise ValueError(
      f"{source.name} {has}: it has no first {n} to train on alone; choose"
      " another --config.data_options.examples, 0 for all"
    )
  arrays = {key: value[:n] for key, value in source.arrays.items()}
  if (
    source.num_classes
    and "y" in arrays
    and ((classes := len(np.unique(arrays["y"]))) < source.num_classes)
  ):
    _LOG.warning(
      "the first %d examples of %s are of %d of its %d classes",
      n,
      source.name,
      classes,
      source.num_classes,
    )
  return source._replace(size=n, arrays=arrays)


def hold_out(source: Source, share: float) -> tuple[Source, Source]:
  """Splits a table at random, always the same way: the share held out is that of every class.

  Where labels are in memory, every class gives its share to within one example and keeps at least
  one; otherwise the choice does not look at classes.

  Args:
    source: finite source.
    share: share of its examples to hold out, 0 < share < 1; the number is rounded down.

  Returns:
    (training source, held-out source), each in the order of the table.

  Raises:
    ValueError: the source is endless, or one of the two would be empty.
  """
  if not 0 < share < 1:
    raise ValueError(f"{_HOLD_OUT_FLAG}={share}: expected a share between 0 and 1, such as 0.1")
  if source.size is None:
    raise ValueError(f"{source.name} is endless: draw other examples rather than hold some out")
  order = permute(np.arange(source.size, dtype=np.uint32), source.size, _HOLD_OUT).astype(np.int64)
  classes = source.arrays.get("y") if source.num_classes else None
  y = (np.zeros(source.size, np.int32) if classes is None else classes)[order]
  grouped = np.argsort(y, kind="stable")  # class by class, at random within each
  # Rounding must not lose an example: in floats 0.29 * 100 is below 29.
  held = np.diff(np.floor(share * np.arange(source.size + 1) + 1e-9)) > 0
  for of_class in np.split(held, np.unique(y[grouped], return_index=True)[1][1:]):  # views
    # Each class keeps its first, for which another of it is held out, if one is left.
    of_class[np.argmin(of_class)] |= of_class[0]
    of_class[0] = False
  places = [np.sort(order[grouped[which]]) for which in (~held, held)]
  if not held.any():
    raise ValueError(
      f"{_HOLD_OUT_FLAG}={share} of the {source.size} examples of {source.name} are none, as every"
      " class keeps one to train on: hold out more, or add a test split"
    )
  train, test = (_part(source, of) for of in places)
  return train, test._replace(name=f"{source.name} ({share} held out)")


def _part(source: Source, places: np.ndarray) -> Source:
  """Builds a source of the examples at some places of a table."""
  arrays = {key: value[places] for key, value in source.arrays.items()}
  read_all = source.read
  assert read_all is not None
  read = functools.partial(rows, arrays) if arrays else lambda indices: read_all(places[indices])
  return source._replace(size=len(places), arrays=arrays, read=read)


def take(source: Source, n: int | None = None, seed: int = 0) -> Raw:
  """Reads examples of a source as raw host arrays, for evaluation.

  Args:
    source: any source.
    n: number of examples; None reads the whole table in its own order.
    seed: seed of a random choice without replacement, or fresh draws if the source is endless.
      They are independent of the batches that training makes from the same seed.

  Returns:
    {"x": [n, ...] as stored, "y": int32 [n] if there are labels, float32 [n, d] if these are
    vectors}.

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


def fingerprint(source: Source) -> dict[str, Any]:
  """Computes what tells data apart, cheaply: number, shape, classes, and a checksum.

  It is of the contents and not the name, so that moved data match.

  Args:
    source: one split.

  Returns:
    {"examples": number or None, "shape": list, "classes": number or None, "crc32": int}; the
    checksum is of all examples where they are in memory (of an endless source, of what it draws
    from), and else of `SAMPLE` evenly spaced ones.
  """
  arrays = source.arrays
  if not arrays and source.read is not None and source.size:
    spaced = np.linspace(0, source.size - 1, min(SAMPLE, source.size))
    arrays = source.read(np.unique(spaced.astype(np.int64)))
  crc32 = 0 if arrays else zlib.crc32(source.name.encode())  # of points that a formula draws
  for name in sorted(arrays):
    crc32 = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data, crc32)
  return {
    "examples": source.size,
    "shape": list(source.shape),
    "classes": source.num_classes,
    "crc32": crc32,
  }
