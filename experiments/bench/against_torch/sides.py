"""Processes that play training steps, window after window; nothing of jax or torch is needed."""

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).parents[3]
PAUSE = 0.2  # seconds before a window, in which idle threads of the other side stop to spin
_TICKS = os.sysconf("SC_CLK_TCK")


class Window(NamedTuple):
  """What was measured while a side played.

  Attributes:
    seconds: of a step.
    others: cores that all other processes of the machine kept busy meanwhile.
  """

  seconds: float
  others: float


class Side:
  """A process that plays steps of one row.

  Attributes:
    facts: what it tells of itself: "steps" that it plays at once, "parameters" by network,
      "machine", "platform".
    started: seconds from its start until its first steps were done.
    peak: MB, the most memory that it has held so far; of a GPU its own as well.
  """

  def __init__(self, python: str, module: str, spec: dict[str, Any]) -> None:
    start, here = time.perf_counter(), __package__
    environment = os.environ | {
      "JAX_ENABLE_COMPILATION_CACHE": "false",  # what a first run waits for is part of the table
      "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the other side needs memory of the GPU too
    }
    self._name = module
    self._process = subprocess.Popen(
      [python, "-m", f"{here}.{module}", json.dumps(spec)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      cwd=ROOT,
      env=environment,
    )
    self.facts = self._read()
    self.started = time.perf_counter() - start
    self.peak: list[int] = []
    self._count = 1

  def _read(self) -> dict[str, Any]:
    line = self._process.stdout.readline()
    if not line:
      sys.exit(f"{self._name} ended with {self._process.wait()}; what it wrote last says why")
    return json.loads(line)

  def warm_up(self, seconds: float) -> None:
    """Plays a window of one call, then one of as many as last so many seconds."""
    self._count = max(1, round(seconds / (self.play().seconds * self.facts["steps"])))
    self.play()

  def play(self) -> Window:
    """Plays a window."""
    time.sleep(PAUSE)
    machine, mine = _machine_seconds(), _process_seconds(self._process.pid)
    self._process.stdin.write(f"{self._count}\n")
    self._process.stdin.flush()
    reply = self._read()
    mine = _process_seconds(self._process.pid) - mine
    others = max(0.0, _machine_seconds() - machine - mine) / reply["seconds"]
    self.peak = reply["peak"]
    return Window(reply["seconds"] / self._count / self.facts["steps"], others)

  def end(self) -> None:
    """Ends the process, which plays until nothing more is asked of it."""
    self._process.stdin.close()
    self._process.wait()


def serve(play: Callable[[int], None], device_peak: Callable[[], list[int]], **facts: Any) -> None:
  """Plays a first call, then windows of as many calls as standard input asks for.

  Args:
    play: plays so many calls and waits until they are done.
    device_peak: lists the most bytes that were in use on each GPU, [] without.
    **facts: `Side.facts`.
  """
  replies, sys.stdout = sys.stdout, sys.stderr
  play(1)
  print(json.dumps(facts), file=replies, flush=True)
  for line in sys.stdin:
    start = time.perf_counter()
    play(int(line))
    seconds = time.perf_counter() - start
    peak = [_host_peak(), *device_peak()]
    print(json.dumps({"seconds": seconds, "peak": peak}), file=replies, flush=True)


def _host_peak() -> int:
  """Reads the most bytes of memory that this process has held."""
  status = pathlib.Path("/proc/self/status").read_text().splitlines()
  return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def _machine_seconds() -> float:
  """Reads the CPU time of all processes."""
  user, nice, system, _, _, *interrupts = pathlib.Path("/proc/stat").read_text().split()[1:9]
  return sum(map(int, (user, nice, system, *interrupts))) / _TICKS


def _process_seconds(pid: int) -> float:
  """Reads the CPU time of a process, all threads together."""
  fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
  return (int(fields[11]) + int(fields[12])) / _TICKS
