"""Times rounds with R1 and R2 by finite differences against exact ones, and against none.

  python -m experiments.bench.penalties [--configs mnist_dcgan r3gan_mnist] [--dtype float32]
    [--rounds 10] [--repeats 15]

The rivals play short windows of the same rounds in turn, within one process; the ratio is the
median, over windows, of the time of one by that of the exact one beside it. Exact penalties have
second derivatives; the others have forwards at other points, one of the real examples and two of
the fakes. Times belong to the machine named.
"""

import argparse
import importlib
import statistics

from experiments.bench.convolutions import machine
from experiments.bench.monitors import seconds, start
from gan_jax.parallel.mesh import make_mesh
from gan_jax.run.config import replaced
from gan_jax.run.experiment import build
from gan_jax.run.training.rounds import make_dispatch

PENALTIES = {
  "exact": ("r1", "r2"),
  "approximated": ("r1_approximate", "r2_approximate"),
  "none": (),
}
OFF = {f"regularizers.{name}": 0.0 for penalties in PENALTIES.values() for name in penalties}


def player(experiment, rounds):
  """Compiles so many rounds in one dispatch; returns the function that plays the next ones."""
  mesh = make_mesh(experiment.config.batch_size)
  state, play = start(experiment, mesh), make_dispatch(experiment.game, experiment.batches, mesh)

  def run():
    nonlocal state
    state, metrics = play(state, rounds)
    metrics["discriminator/loss"].block_until_ready()

  run()
  return run


def variant(config, penalties, dtype):
  """Builds an experiment with these penalties, all of weight 1."""
  weights = {f"regularizers.{name}": 1.0 for name in penalties}
  dtypes = {f"{name}.dtype": dtype for name in ("generator", "discriminator") if dtype}
  return build(replaced(config, OFF | weights | dtypes))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--configs", nargs="*", default=["mnist_dcgan", "r3gan_mnist"])
  parser.add_argument("--dtype", default="", help="of both networks; that of the config by default")
  parser.add_argument("--rounds", type=int, default=10, help="in one window")
  parser.add_argument("--repeats", type=int, default=15)
  options = parser.parse_args()

  print(machine())
  for name in options.configs:
    config = importlib.import_module(f"experiments.{name}").get_config()
    runs = {
      which: player(variant(config, penalties, options.dtype), options.rounds)
      for which, penalties in PENALTIES.items()
    }
    windows = [{which: seconds(run) for which, run in runs.items()} for _ in range(options.repeats)]
    for which in PENALTIES:
      ratio = statistics.median(window[which] / window["exact"] for window in windows)
      fastest = 1e3 * min(window[which] for window in windows) / options.rounds
      print(f"{name:14s} {which:13s} {fastest:7.2f} ms a round, {ratio:.3f} of exact", flush=True)


if __name__ == "__main__":
  main()
