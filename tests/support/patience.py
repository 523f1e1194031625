"""How long tests wait for what other processes and threads do.

No outcome depends on it, as it only ends what hangs: on idle cores nothing takes a tenth of it.
What a test is about is told by what was said, written or left out, never by how long it took.
"""

import pathlib
import time
from collections.abc import Callable

HANG = 600.0  # seconds


def until(condition: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
  """Waits for a condition; says at last what there was in its place."""
  end = time.monotonic() + HANG
  while not condition():
    assert time.monotonic() < end, told()
    time.sleep(0.05)


def catches(pid: int, number: int) -> bool:
  """Tells whether a process has set a handler for a signal, as Linux says."""
  lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
  (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt"))
  return bool(int(caught, 16) >> (number - 1) & 1)
