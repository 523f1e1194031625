"""Processes that play windows of training steps; nothing of jax or torch is imported."""

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

PAUSE = 0.2  # seconds before a window, in which idle threads of the other side stop to spin
ENVIRONMENT = {
  "JAX_ENABLE_COMPILATION_CACHE": "false",  # the wait for a first run is part of the table
  "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the other side needs memory of the GPU too
}


class Window(NamedTuple):
  """What was measured while a side played: seconds of a step, and cores that others kept busy."""

  seconds: float
  others: float


class Side:
  """A process that plays steps of one row.

  Attributes:
    facts: what the process tells of itself: "steps" of a call, "parameters" by network, "machine".
    first: seconds from its start until its first call was done.
    peak: most bytes of memory that it has held.
  """

  def __init__(self, python: str, module: str, spec: dict[str, Any]) -> None:
    start = time.perf_counter()
    self._name, self._calls, self.peak = module, 1, 0
    self._process = subprocess.Popen(
      [python, "-m", f"{__package__}.{module}", json.dumps(spec)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      cwd=pathlib.Path(__file__).parents[3],
      env=os.environ | ENVIRONMENT,
    )
    self.facts = self._read()
    self.first = time.perf_counter() - start

  def _read(self) -> dict[str, Any]:
    if line := self._process.stdout.readline():
      return json.loads(line)
    sys.exit(f"{self._name} ended with {self._process.wait()}: see its message above")

  def warm_up(self, seconds: float) -> None:
    """Plays a call, then a window of about so many seconds, as long as those that follow."""
    self._calls = max(1, round(seconds / (self.play().seconds * self.facts["steps"])))
    self.play()

  def play(self) -> Window:
    """Plays a window."""
    time.sleep(PAUSE)
    before = _cpu_seconds(self._process.pid)
    print(self._calls, file=self._process.stdin, flush=True)
    reply = self._read()
    others = _cpu_seconds(self._process.pid) - before
    self.peak = reply["peak"]
    seconds = reply["seconds"]
    return Window(seconds / self._calls / self.facts["steps"], max(0.0, others) / seconds)

  def end(self) -> None:
    """Ends the process."""
    self._process.communicate()


def serve(play: Callable[[int], None], **facts: Any) -> None:
  """Plays a first call, then windows of as many calls as standard input asks for.

  Args:
    play: plays so many calls and waits until they are done.
    **facts: `Side.facts`.
  """
  replies, sys.stdout = sys.stdout, sys.stderr
  play(1)
  print(json.dumps(facts), file=replies, flush=True)
  for line in sys.stdin:
    start = time.perf_counter()
    play(int(line))
    seconds = time.perf_counter() - start
    status = pathlib.Path("/proc/self/status").read_text()
    peak = 1024 * int(status.partition("VmHWM:")[2].split()[0])
    print(json.dumps({"seconds": seconds, "peak": peak}), file=replies, flush=True)


def _cpu_seconds(pid: int) -> float:
  """Reads the CPU time of all processes of the machine but this one."""
  user, nice, system, _, _, *rest = pathlib.Path("/proc/stat").read_text().split()[1:9]
  fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
  ticks = sum(map(int, (user, nice, system, *rest))) - int(fields[11]) - int(fields[12])
  return ticks / os.sysconf("SC_CLK_TCK")
