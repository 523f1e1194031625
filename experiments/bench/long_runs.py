"""Measures what a long run costs beside its rounds: the stall of a save, and memory that grows.

  python -m experiments.bench.long_runs [--config mnist_dcgan] [--saves 5] [--dispatches 3000]

A save stalls the loop until the state has been looked through and `Checkpoints.save` returns;
writing goes on behind the rounds that follow, which are timed with and without it. Memory is what
is resident of the process, less its files, while a small game plays, writes rows and saves; its
growth is fitted over the second half.
"""

import argparse
import gc
import importlib
import pathlib
import re
import statistics
import tempfile
import time
from unittest import mock

import jax
import numpy as np

from experiments.bench.convolutions import machine
from experiments.bench.kills import config as small_config
from experiments.bench.monitors import start
from gan_jax import report, train
from gan_jax.checkpoint import Checkpoints
from gan_jax.experiment import build
from gan_jax.parallel import make_mesh
from gan_jax.teller import Teller
from gan_jax.watch import check_state


def megabytes() -> float:
  """Reads how much memory this process holds: without files, which the kernel drops at will."""
  (line,) = re.findall(r"RssAnon:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())
  return int(line) / 1024


def stalls(name: str, saves: int) -> str:
  """Times a dispatch of ten rounds alone, and beside a save that was started before it."""
  config = importlib.import_module(f"experiments.{name}").get_config()
  experiment, mesh = build(config), make_mesh(config.batch_size)
  state, play = (
    start(experiment, mesh),
    train.rounds_player(experiment.game, experiment.batches, mesh),
  )
  size = sum(x.nbytes for x in jax.tree.leaves(state.replace(key=state.round))) / 2**20
  alone, beside, stalled = [], [], []

  def timed(times: list[float]) -> None:
    nonlocal state
    begin = time.perf_counter()
    state = jax.block_until_ready(play(state, 10)[0])
    times.append(time.perf_counter() - begin)

  timed([])
  with tempfile.TemporaryDirectory() as folder, Checkpoints(folder) as checkpoints:
    for _ in range(saves + 1):
      timed(alone)
      begin = time.perf_counter()
      check_state(state)
      checkpoints.save(state)
      stalled.append(time.perf_counter() - begin)
      timed(beside)
      checkpoints.wait()
  middle = lambda times: 1e3 * statistics.median(times[1:])  # the first save compiles
  return (
    f"{name}: state of {size:.1f} MB; a save returns after {middle(stalled):.0f} ms (the first:"
    f" {1e3 * stalled[0]:.0f}); ten rounds take {middle(alone):.0f} ms alone, {middle(beside):.0f}"
    f" while it is written"
  )


def growth(dispatches: int) -> str:
  """Plays a small game, and fits how its memory grows."""
  rounds = 5 * dispatches
  config = small_config(rounds)
  config.log_every, config.sample_every, config.checkpoint_every = 100, 500, 500
  seen: list[tuple[int, float]] = []
  tell = Teller.tell

  def watched(teller: Teller, round: int, *rest: object) -> bool:
    is_best = tell(teller, round, *rest)
    gc.collect()
    seen.append((round, megabytes()))
    return is_best

  begin = time.monotonic()
  drawn = {"curves": lambda rows: None, "picture": lambda x, **_: np.uint8(40 * x + 128)[..., None]}
  with (
    tempfile.TemporaryDirectory() as folder,
    mock.patch.object(Teller, "tell", watched),
    mock.patch.multiple(report, **drawn),
  ):
    train.fit(build(config), folder)
  late = np.array(seen[len(seen) // 2 : -1])  # in the last row there are scores
  slope = np.polyfit(late[:, 0], late[:, 1], 1)[0]
  return (
    f"{rounds} rounds in {dispatches} dispatches, {time.monotonic() - begin:.0f} s: "
    f"{seen[len(seen) // 10][1]:.1f} MB after a tenth, {seen[len(seen) // 2][1]:.1f} after half,"
    f" {seen[-2][1]:.1f} at the end; {1e3 * slope:.3f} MB for each 1000 rounds of the second half"
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--config", nargs="*", default=["mnist_dcgan"])
  parser.add_argument("--saves", type=int, default=5)
  parser.add_argument("--dispatches", type=int, default=3000)
  options = parser.parse_args()
  print(machine())
  for name in options.config:
    print(stalls(name, options.saves), flush=True)
  print(growth(options.dispatches))


if __name__ == "__main__":
  main()
