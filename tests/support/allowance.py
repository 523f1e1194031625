"""How much memory something takes at worst, for tests of files that promise more than they hold."""

import contextlib
import pathlib
from collections.abc import Iterator

import pytest

ROOM = 1 << 30  # of addresses, which threads reserve for themselves


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
  """Fails if more bytes are used inside, at any time, or asked for and not used.

  The kernel counts, so that C libraries are counted as well. (Python 3.11's own count, tracemalloc,
  crashes where threads without an interpreter, as TensorStore's, allocate while it stops.)
  """
  with contextlib.suppress(OSError):
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM, the peak of VmRSS, is from here
  used, asked = _kernel("VmHWM"), _kernel("VmPeak")  # where it may not be set back, of all before
  yield
  used, asked = _kernel("VmHWM") - used, _kernel("VmPeak") - asked
  if used > size or asked > size + ROOM:
    pytest.fail(f"{asked:,} bytes were asked for and {used:,} used, of {size:,}")


def _kernel(what: str) -> int:
  """Reads a number of bytes that Linux counts for this process; 0 elsewhere."""
  with contextlib.suppress(OSError):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
      if line.startswith(what):
        return int(line.split()[1]) * 1024
  return 0
