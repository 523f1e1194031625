"""Measures what a long run costs beside its rounds: the stall of a save, and memory that grows.

  python -m experiments.bench.long_runs [--widths 32 230] [--rounds 10] [--saves 5] [--minutes 30]

A save stalls the loop until `Checkpoints.save` returns; the rest goes on behind the rounds that
follow, which are timed with and without it. The states are those of `experiments/mnist_dcgan.py`
with networks of these widths. Memory is what is resident of the process, less its files, while a
small game plays, writes rows, draws, is scored and saves; its growth is fitted over the second
half. Several processes, of the variables GAN_JAX_COORDINATOR and so on, time saves to one --folder.
"""

import argparse
import contextlib
import gc
import os
import pathlib
import re
import signal
import statistics
import tempfile
import time
from unittest import mock

import jax
import numpy as np

from experiments import mnist_dcgan
from experiments.bench.convolutions import machine
from experiments.bench.kills import config as small_config
from experiments.bench.monitors import start
from gan_jax import parallel
from gan_jax.parallel.mesh import make_mesh
from gan_jax.run.experiment import build
from gan_jax.run.training import train
from gan_jax.run.training.interruption import Interrupted
from gan_jax.run.training.log.logger import Logger
from gan_jax.run.training.log.metrics_buffer import MetricsBuffer
from gan_jax.run.training.saving.checkpoint import Checkpoints


def megabytes() -> float:
  """Reads how much memory this process holds: without files, which the kernel drops at will."""
  (line,) = re.findall(r"RssAnon:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())
  return int(line) / 1024


def stalls(width: int, rounds: int, saves: int, folder: pathlib.Path) -> str:
  """Times a dispatch of some rounds alone, and beside a save that was started before it."""
  config = mnist_dcgan.get_config()
  config.generator.width = config.discriminator.width = width
  experiment, mesh = build(config), make_mesh(config.batch_size)
  state, play = (
    start(experiment, mesh),
    train.make_dispatch(experiment.game, experiment.batches, mesh),
  )
  size = sum(x.nbytes for x in jax.tree.leaves(state.replace(key=state.round))) / 2**20
  alone, beside, stalled, written = [], [], [], []
  look = MetricsBuffer().finite_check()

  def timed(times: list[float]) -> None:
    nonlocal state
    begin = time.perf_counter()
    state = jax.block_until_ready(play(state, rounds)[0])
    times.append(time.perf_counter() - begin)

  timed([])
  with Checkpoints(folder / str(width)) as checkpoints:
    for _ in range(saves + 1):
      timed(alone)
      begin = time.perf_counter()
      checkpoints.save(state, look)
      stalled.append(time.perf_counter() - begin)
      timed(beside)
      checkpoints.wait()
      written.append(time.perf_counter() - begin)
  ms = lambda times: f"{1e3 * statistics.median(times[1:]):.1f} ms"  # the first save compiles
  return (
    f"width {width}: state of {size:.1f} MB; a save returns after {ms(stalled)} (the first:"
    f" {1e3 * stalled[0]:.0f}); {rounds} rounds take {ms(alone)} alone, {ms(beside)} beside a save;"
    f" both are done after {ms(written)}"
  )


def growth(minutes: float) -> str:
  """Plays a small game for so long, prints how its memory grows, and fits that."""
  config = small_config(10**9)
  config.log_every, config.checkpoint_every = 100, 500
  config.sample_every = config.evaluate_every = 5000
  seen: list[tuple[float, int, float]] = []
  tell, begin, told_every = Logger.log, time.monotonic(), minutes / 6

  def watched(logger: Logger, round: int, *rest: object) -> bool:
    is_best = tell(logger, round, *rest)
    gc.collect()
    seen.append(((time.monotonic() - begin) / 60, round, megabytes()))
    if int(seen[-1][0] / told_every) > int(seen[-2][0] / told_every if seen[1:] else 0):
      print("{:5.1f} min, round {}: {:.1f} MB".format(*seen[-1]), flush=True)
    if seen[-1][0] > minutes:
      os.kill(os.getpid(), signal.SIGTERM)  # it saves, and ends
    return is_best

  with (
    tempfile.TemporaryDirectory() as folder,
    mock.patch.object(Logger, "log", watched),
    contextlib.suppress(Interrupted),
  ):
    train.fit(build(config), folder)
  late = np.array(seen[len(seen) // 2 :])
  slope = np.polyfit(late[:, 1], late[:, 2], 1)[0]
  return (
    f"{len(seen)} rows, {seen[-1][1] // config.checkpoint_every} checkpoints:"
    f" {1e3 * slope:.3f} MB for each 1000 rounds of the second half"
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--widths", nargs="*", type=int, default=[32, 230])
  parser.add_argument("--rounds", type=int, default=10, help="that are timed beside a save")
  parser.add_argument("--saves", type=int, default=5)
  parser.add_argument("--minutes", type=float, default=30.0)
  parser.add_argument("--folder", type=pathlib.Path, help="to save to; by default a temporary one")
  options = parser.parse_args()
  parallel.start()
  print(machine())
  with tempfile.TemporaryDirectory() as temporary:
    for width in options.widths:
      folder = options.folder or pathlib.Path(temporary)
      print(stalls(width, options.rounds, options.saves, folder), flush=True)
  if options.minutes:
    print(growth(options.minutes))


if __name__ == "__main__":
  main()
