"""How much memory something takes at worst, for tests of files that promise more than they hold."""

import contextlib
import pathlib
import tracemalloc
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
  """Fails if more bytes are taken inside, at any time, by Python or by what it calls.

  Python's own count has what was asked for and never used as well; the kernel's has C libraries'.
  """
  before = _kernel("VmRSS")
  tracemalloc.start()
  try:
    with contextlib.suppress(OSError):
      pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    yield
    asked = tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()
  used = _kernel("VmHWM") - before if before else 0
  if max(asked, used) > size:
    pytest.fail(f"{asked:,} bytes were asked for and {used:,} used, of {size:,}")


def _kernel(what: str) -> int:
  """Reads a number of bytes that Linux counts for this process; 0 elsewhere."""
  with contextlib.suppress(OSError):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
      if line.startswith(what):
        return int(line.split()[1]) * 1024
  return 0
