"""Cores of this process, of which a scheduler may have given it some."""

import os


def cores() -> int:
  """Counts the cores that this process may run on: no more than a scheduler or taskset left it."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1  # where no process can be kept from a core, as on macOS
