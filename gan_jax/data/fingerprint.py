"""The fingerprint of a data set: of its contents, not its name, so that moved data match."""

import zlib
from typing import Any

import numpy as np

from gan_jax.data.source import Source

SAMPLE = 64  # examples of a table that is not in memory


def fingerprint(source: Source) -> dict[str, Any]:
  """Computes what tells data apart, cheaply: number, shape, classes, and a checksum.

  Args:
    source: one split.

  Returns:
    {"examples": number or None, "shape": list, "classes": number or None, "crc32": int}; the
    checksum is of all examples where they are in memory (of an endless source, of what it draws
    from), and else of `SAMPLE` evenly spaced ones.
  """
  rows = source.arrays
  if not rows and source.read is not None and source.size:
    spaced = np.linspace(0, source.size - 1, min(SAMPLE, source.size))
    rows = source.read(np.unique(spaced.astype(np.int64)))
  crc32 = 0 if rows else zlib.crc32(source.name.encode())  # of points that a formula draws
  for name in sorted(rows):
    crc32 = zlib.crc32(np.ascontiguousarray(rows[name]).reshape(-1).view(np.uint8).data, crc32)
  return {
    "examples": source.size,
    "shape": list(source.shape),
    "classes": source.num_classes,
    "crc32": crc32,
  }
