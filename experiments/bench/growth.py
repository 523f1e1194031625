"""Times rounds as the batch and the data grow, with data on the device and streamed.

  python -m experiments.bench.growth [--config mnist_dcgan] [--batches 16 64 256]
    [--examples 1000 60000] [--dtype float32] [--rounds 10] [--repeats 7]

All play rounds of the same game in turn within one process, repeat after repeat. Data are noise of
the shape of digits, since no time depends on what they hold. Images are the real ones that a round
takes; "to linear" is the time of a round by what the smallest batch takes for as many images, below
1 where a larger batch is cheaper for each. "streamed / device" is the median over repeats of the
times of neighbours: the share above 1 is what a streamed run waits. Times belong to the machine.
"""

import argparse
import importlib
import pathlib
import statistics
import tempfile
from collections.abc import Callable

import jax
import numpy as np

from experiments.bench.convolutions import machine
from experiments.bench.monitors import seconds, start
from gan_jax.parallel.mesh import make_mesh
from gan_jax.run.config import complete, replaced
from gan_jax.run.experiment import build
from gan_jax.run.training.rounds import make_dispatch

PLACES = ("device", "stream")


def noise(folder: pathlib.Path, examples: int) -> str:
  """Writes so many grey images of 28 x 28 pixels; returns what `config.data` calls them."""
  path = folder / f"{examples}.npz"
  pixels = np.random.default_rng(0).integers(256, size=(examples, 28, 28, 1), dtype=np.uint8)
  np.savez(path, images=pixels)
  return f"npz:{path}"


def player(name: str, changes: dict[str, object], rounds: int) -> Callable[[], None]:
  """Compiles a dispatch of an experiment with other values; returns what plays the next one."""
  config = importlib.import_module(f"experiments.{name}").get_config()
  experiment = build(complete(replaced(config, changes)))
  mesh = make_mesh(experiment.config.batch_size)
  state, dispatch = (
    start(experiment, mesh),
    make_dispatch(experiment.game, experiment.batches, mesh),
  )

  def run() -> None:
    nonlocal state
    state, metrics = jax.block_until_ready(dispatch(state, rounds))
    jax.device_get(metrics)

  run()
  return run


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--config", default="mnist_dcgan")
  parser.add_argument("--batches", nargs="*", type=int, default=[16, 64, 256])
  parser.add_argument("--examples", nargs="*", type=int, default=[1000, 60_000])
  parser.add_argument("--dtype", default="float32", help="that networks compute in")
  parser.add_argument("--rounds", type=int, default=10, help="in one dispatch")
  parser.add_argument("--repeats", type=int, default=7)
  options = parser.parse_args()

  print(machine())
  print("| batch | examples | ms a round | images/s | to linear | streamed / device |")
  print("|---|---|---|---|---|---|", flush=True)
  dtypes = {f"{side}.dtype": options.dtype for side in ("generator", "discriminator")}
  with tempfile.TemporaryDirectory() as folder:
    sources = {n: noise(pathlib.Path(folder), n) for n in options.examples}
    runs = {
      (batch, n, place): player(
        options.config,
        {"data": source, "batch_size": batch, "data_options.placement": place} | dtypes,
        options.rounds,
      )
      for batch in options.batches
      for n, source in sources.items()
      for place in PLACES
    }
    times = [{row: seconds(run) for row, run in runs.items()} for _ in range(options.repeats)]
  medians = {row: statistics.median(t[row] for t in times) / options.rounds for row in runs}
  for batch in options.batches:
    for n in options.examples:
      device, stream = ((batch, n, place) for place in PLACES)
      least = medians[options.batches[0], n, "device"] * batch / options.batches[0]
      waits = statistics.median(t[stream] / t[device] for t in times)
      print(
        f"| {batch} | {n} | {1e3 * medians[device]:.3g} | {batch / medians[device]:.0f} |"
        f" {medians[device] / least:.2f} | {waits:.3f} |",
        flush=True,
      )


if __name__ == "__main__":
  main()
