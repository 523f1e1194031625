"""Seconds from the command to the first row of a run, where they go, and its memory.

Command:  python -m experiments.bench.start experiments/ring.py --repeats 3 [--config.KEY=VALUE]

Each run is a process of its own, without compiled programs on disk (cold), then with those that the
cold one has left (warm). What JAX traces, lowers and compiles is told by `jax.monitoring`, and
holds for all programs together; reading one from the disk counts as compiling it. CPU seconds are
of all threads: other work on the machine disturbs them least.
"""

import argparse
import collections
import gc
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

COLUMNS = ("imports", "trace", "lower", "compile", "first row", "CPU", "MB")
EVENTS = {
  "/jax/core/compile/jaxpr_trace_duration": "trace",
  "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
  "/jax/core/compile/backend_compile_duration": "compile",
}


def main() -> None:
  """Prints a table."""
  parser = argparse.ArgumentParser(description="measures starts of runs")
  parser.add_argument("configs", nargs="+", help="config files")
  parser.add_argument("--repeats", type=int, default=3, help="cold and warm runs of each")
  parser.add_argument("--child", nargs=2, metavar=("BEGAN", "WORKDIR"), help=argparse.SUPPRESS)
  arguments, flags = parser.parse_known_args()
  if arguments.child:
    start(arguments.configs[0], arguments.child[1], float(arguments.child[0]), flags)
  print(f"| run | | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}")
  for config in arguments.configs:
    runs: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(arguments.repeats):
      with tempfile.TemporaryDirectory() as folder:
        for name, rows in runs.items():
          rows.append(measure(config, pathlib.Path(folder), name, flags))
    for name, rows in runs.items():
      cells = (f"{statistics.median(row[column] for row in rows):.4g}" for column in COLUMNS)
      print(f"| {pathlib.Path(config).stem} | {name} | {' | '.join(cells)} |", flush=True)


def measure(config: str, folder: pathlib.Path, name: str, flags: list[str]) -> dict[str, float]:
  """Starts a run in a process of its own; returns seconds by stage, CPU seconds and megabytes."""
  command = [sys.executable, "-m", "experiments.bench.start", config]
  child = ["--child", str(time.time()), str(folder / name), *flags]
  environment = {**os.environ, "GAN_JAX_CACHE": str(folder / "cache")}
  ended = subprocess.run([*command, *child], env=environment, stdout=subprocess.PIPE, check=True)
  return json.loads(ended.stdout.splitlines()[-1])


def start(config: str, workdir: str, began: float, flags: list[str]) -> None:
  """Trains by the command line up to the first row, prints what it took, and ends the process."""
  from gan_jax.run.cli import app

  gc.set_threshold(app.GARBAGE)  # as `app.main` does, before the imports that follow
  import jax

  from gan_jax.run.results.rows import Writer
  from gan_jax.run.training import train  # noqa: F401

  taken: dict[str, float] = collections.defaultdict(float, imports=time.time() - began)

  def listen(event: str, seconds: float, **_: Any) -> None:
    if event in EVENTS:
      taken[EVENTS[event]] += seconds

  write = Writer.row

  def row(*arguments: Any) -> None:
    write(*arguments)
    taken["first row"] = time.time() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    taken["CPU"], taken["MB"] = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(json.dumps(taken), flush=True)
    os._exit(0)

  jax.monitoring.register_event_duration_secs_listener(listen)
  Writer.row = row
  sys.argv = ["gan_jax", "train", f"--config={config}", f"--workdir={workdir}", *flags]
  app.main()


if __name__ == "__main__":
  main()
