"""Kills a run at random moments, resumes it each time, and compares it with one left alone.

  python -m experiments.bench.kills [--kills 30] [--seed 0]

Both runs play the same rounds with the same seed; one of them is killed (SIGKILL) again and again,
one time in five while it starts, else up to two checkpoints after it went on, a third of these in a
save: in dispatches, rows, pictures and saves. However busy the machine is, it goes no further than
that, as it waits there. Told are the rounds that had been played and were played again, and what
differs in the end: rows, TensorBoard's events, pictures, bits of the checkpoints. Matplotlib, which
would take more time than all else, draws nothing here.
"""

import argparse
import json
import logging
import multiprocessing
import os
import pathlib
import random
import shutil
import statistics
import tempfile
import time
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from ml_collections import ConfigDict

TIMING = {"seconds", "rounds_per_second", "images_per_second"}
PRELOAD = ["gan_jax.run.training.train", "gan_jax.run.experiment", "tensorboardX", "PIL.Image"]
EVERY = 60  # rounds between checkpoints
FURTHER = 15  # rounds that it may go on where it is to be killed


class Kill(NamedTuple):
  """One kill.

  Attributes:
    after: seconds from the start of the process.
    reached: round that the run had played, as far as it was dispatched; None if it was starting.
    complete: round of the newest complete checkpoint then; 0 for none.
    saving: whether a checkpoint was being written.
  """

  after: float
  reached: int | None
  complete: int
  saving: bool


def config(rounds: int) -> ConfigDict:
  """Builds the config of a small game that writes all files of a run, often."""
  from gan_jax.run.config import default_config, network

  made = default_config()
  made.data, made.batch_size, made.rounds = "ring8", 64, rounds
  made.generator = network("mlp_generator", hidden=(16,))
  made.discriminator = network("mlp_discriminator", hidden=(16,))
  made.regularizers.lecam = 0.1
  made.optimizers.generator.lookahead = 7
  made.rounds_per_call = 5
  made.log_every, made.sample_every, made.checkpoint_every = 15, 30, EVERY
  made.evaluate_every, made.num_samples, made.num_fake = 2 * EVERY, 64, 64
  return made


def play(workdir: str, rounds: int, cache: str, reached: Any, limit: int) -> None:
  """Trains in a process of its own, tells which rounds it dispatches, and waits at a limit."""
  from gan_jax import plots
  from gan_jax.run import experiment
  from gan_jax.run.cli.compilation_cache import keep_programs
  from gan_jax.run.training import train

  logging.disable(logging.WARNING)
  os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the progress line
  keep_programs(cache)
  next_stop = train.next_stop

  def noting(round: int, *rest: int) -> int:
    reached.value = round
    while round >= limit:
      time.sleep(0.001)
    return next_stop(round, *rest)

  drawn = {
    "history": lambda *_: None,
    "picture": lambda x, **_: np.uint8(40 * x + 128)[..., None],
  }
  with mock.patch.object(train, "next_stop", noting), mock.patch.multiple(plots, **drawn):
    train.fit(experiment.build(config(rounds)), workdir)


def complete(workdir: pathlib.Path) -> list[int]:
  """Lists the rounds of complete checkpoints."""
  return sorted(int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdecimal())


def rows(workdir: pathlib.Path) -> list[dict[str, Any]]:
  """Reads the rows of a run without their times; every line must be one."""
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [{k: v for k, v in json.loads(line).items() if k not in TIMING} for line in lines]


def events(workdir: pathlib.Path) -> dict[str, list[int]]:
  """Reads the rounds of TensorBoard's events, by name."""
  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

  found = EventAccumulator(str(workdir / "tensorboard"), {"scalars": 0, "images": 0})
  found.Reload()
  tags = found.Tags()
  return {
    **{tag: [e.step for e in found.Scalars(tag)] for tag in tags["scalars"]},
    **{tag: [e.step for e in found.Images(tag)] for tag in tags["images"]},
  }


def pictures(workdir: pathlib.Path) -> dict[str, bytes]:
  return {p.name: p.read_bytes() for p in (workdir / "samples").iterdir()}


def bits(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads the checksums of the leaves of all checkpoints that are kept, the best among them."""
  found = {}
  for path in [*workdir.glob("checkpoints/*/leaves/metadata"), *workdir.glob("best/*/*/metadata")]:
    leaves = json.loads(path.read_text())["leaves"]
    found |= {f"{path.relative_to(workdir)} {name}": leaf for name, leaf in leaves.items()}
  return found


def differences(a: pathlib.Path, b: pathlib.Path) -> dict[str, int]:
  """Counts what differs between two runs."""
  here, there = rows(a), rows(b)
  missing = [row for row in here if row not in there]
  steps = [events(a), events(b)]
  drawn = [pictures(a), pictures(b)]
  leaves = [bits(a), bits(b)]
  return {
    "rows lost or other": len(missing),
    "rows too many": len(there) - (len(here) - len(missing)),
    "events lost or twice": sum(
      steps[0].get(tag) != steps[1].get(tag) for tag in steps[0] | steps[1]
    ),
    "pictures other": sum(drawn[0].get(name) != drawn[1].get(name) for name in drawn[0] | drawn[1]),
    "leaves other": sum(
      leaves[0].get(name) != leaves[1].get(name) for name in leaves[0] | leaves[1]
    ),
  }


def start(
  workdir: pathlib.Path, rounds: int, cache: pathlib.Path, limit: int | None = None
) -> tuple[Any, Any]:
  """Starts a run, to wait at a limit, in a process that has imported all it needs."""
  context = multiprocessing.get_context("forkserver")
  context.set_forkserver_preload(PRELOAD)
  reached = context.Value("i", -1)
  limit = rounds if limit is None else limit
  process = context.Process(target=play, args=(str(workdir), rounds, str(cache), reached, limit))
  process.start()
  return process, reached


def kill_again_and_again(folder: pathlib.Path, kills: int, seed: int) -> list[Kill]:
  """Plays a run to its end, killed so often on the way.

  Args:
    folder: folder of the runs, `whole` and `killed`, and a cache of compiled programs.
    kills: number of kills.
    seed: seed of the moments.

  Returns:
    The kills.
  """
  cache, rng, rounds, found = folder / "cache", random.Random(seed), EVERY * (kills + 2), []
  _play_out(*start(folder / "whole", rounds, cache))
  workdir, starting = folder / "killed", 1.0
  while len(found) < kills:
    begin = time.monotonic()
    first = max(complete(workdir), default=0)
    aim, in_save = first + rng.randrange(1, 2 * EVERY), rng.random() < 1 / 3
    aim = first + 2 * EVERY if in_save else aim  # at least one save is before it
    process, reached = start(workdir, rounds, cache, aim + FURTHER)
    if rng.random() < 0.2:
      time.sleep(rng.uniform(0, starting))
    else:
      while reached.value < aim and process.is_alive():
        time.sleep(0.001)
        starting = time.monotonic() - begin if reached.value < 0 else starting
        if in_save and reached.value >= 0 and is_saving(workdir):
          break
      else:
        time.sleep(rng.uniform(0, 0.1))
    alive, at = process.is_alive(), reached.value
    process.kill()
    process.join()
    if not alive:
      raise RuntimeError(f"the run ended by itself ({process.exitcode}) after {len(found)} kills")
    saving = is_saving(workdir)
    newest = max(complete(workdir), default=0)
    found.append(Kill(time.monotonic() - begin, at if at >= 0 else None, newest, saving))
  _play_out(*start(workdir, rounds, cache))
  return found


def is_saving(workdir: pathlib.Path) -> bool:
  """Checks whether a checkpoint is being written."""
  return any((workdir / "checkpoints").glob("*-tmp"))


def _play_out(process: Any, reached: Any) -> None:
  process.join()
  if process.exitcode:
    raise RuntimeError(f"the run could not go on at round {reached.value}")


def told(kills: list[Kill]) -> str:
  """Formats the losses by kills."""
  lost = [kill.reached - kill.complete for kill in kills if kill.reached is not None]
  return (
    f"{len(kills)} kills survived, {len(lost)} of them while rounds were played,"
    f" {sum(kill.saving for kill in kills)} while a checkpoint was written; rounds played again:"
    f" median {statistics.median(lost):.0f}, most {max(lost)}, with {EVERY} between checkpoints"
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--kills", type=int, default=30)
  parser.add_argument("--seed", type=int, default=0)
  options = parser.parse_args()
  folder, begin = pathlib.Path(tempfile.mkdtemp(prefix="kills")), time.monotonic()
  try:
    kills = kill_again_and_again(folder, options.kills, options.seed)
    print(f"{told(kills)}; {time.monotonic() - begin:.0f} s")
    print(differences(folder / "whole", folder / "killed"))
  finally:
    shutil.rmtree(folder)


if __name__ == "__main__":
  main()
