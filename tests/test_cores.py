"""The cores that a process may run on."""

import os
import subprocess
import sys

import pytest

from gan_jax.cores import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is kept from a core")
def test_a_process_counts_the_cores_that_it_was_left():
  """As under a scheduler that gives a job one core of many."""
  program = (
    "import os; from gan_jax.cores import cores; "
    "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(cores())"
  )
  ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
  assert ran.stdout.strip() == "1"


def test_elsewhere_all_cores_count(monkeypatch):
  monkeypatch.delattr(os, "sched_getaffinity", raising=False)
  assert cores() == os.cpu_count()
