"""Times the rounds of an experiment with and without `gan_jax.game.kinds.sides.monitors`.

  python -m experiments.bench.monitors [--configs ring mnist_dcgan] [--rounds 50] [--repeats 10]

Both play the same rounds in turn within one process, repeat after repeat; the ratio is that of the
fastest repeats, and the median of the ratios of neighbours. The probe of held-out examples runs
once in a row of the log: its share is that of the rounds of a row. Times belong to the machine
named.
"""

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from unittest import mock

import jax
from jax.sharding import Mesh

from experiments.bench.convolutions import machine
from gan_jax.game.core import State, minibatches
from gan_jax.game.kinds.sides import monitors
from gan_jax.game.play import init
from gan_jax.parallel.mesh import make_mesh
from gan_jax.parallel.sharding import state_sharding
from gan_jax.run.evaluation.held_out import held_out_probe
from gan_jax.run.experiment import Experiment, build
from gan_jax.run.training.rounds import make_dispatch


def start(experiment: Experiment, mesh: Mesh) -> State:
  """Builds the state before the first round."""
  game = experiment.game
  spec = experiment.example.batch(minibatches(game), experiment.config.batch_size)
  make = lambda: init(game, jax.random.key(0), spec)
  return jax.jit(make, out_shardings=state_sharding(jax.eval_shape(make), mesh))()


def player(experiment: Experiment, mesh: Mesh, rounds: int, watched: bool) -> Callable[[], None]:
  """Compiles so many rounds in one dispatch; returns what plays the next ones."""
  game, state = experiment.game, start(experiment, mesh)
  play = make_dispatch(game, experiment.batches, mesh)

  def run() -> None:
    nonlocal state
    state, metrics = play(state, rounds)
    jax.block_until_ready((state, metrics))

  names = ("of_discriminator", "of_generator")
  measure = {name: getattr(monitors, name) if watched else lambda *_: {} for name in names}
  with mock.patch.multiple(monitors, **measure):
    run()  # traced here, and never again
  return run


def prober(experiment: Experiment, mesh: Mesh) -> Callable[[], object]:
  """Compiles the probe of held-out examples; returns what looks at them once."""
  state = start(experiment, mesh)
  probe = held_out_probe(experiment.game, experiment.batches, experiment.held_out, mesh)
  probe(state)
  return lambda: probe(state)


def seconds(run: Callable[[], object]) -> float:
  start = time.perf_counter()
  run()
  return time.perf_counter() - start


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--configs", nargs="*", default=["ring", "mnist_dcgan"])
  parser.add_argument("--rounds", type=int, default=50, help="in one dispatch")
  parser.add_argument("--repeats", type=int, default=10)
  options = parser.parse_args()

  print(machine())
  for name in options.configs:
    config = importlib.import_module(f"experiments.{name}").get_config()
    experiment, mesh = build(config), make_mesh(config.batch_size)
    runs = [player(experiment, mesh, options.rounds, watched) for watched in (False, True)]
    pairs = [tuple(seconds(run) for run in runs) for _ in range(options.repeats)]
    bare, watched = (1e3 * min(times) / options.rounds for times in zip(*pairs, strict=True))
    ratio = statistics.median(after / before for before, after in pairs)
    probe = prober(experiment, mesh)
    probed = 1e3 * min(seconds(probe) for _ in range(options.repeats)) / config.log_every
    print(
      f"{name:20s} {bare:.2f} ms a round, {watched:.2f} with monitors: "
      f"{watched / bare:.3f} of the fastest, {ratio:.3f} in the median of {options.repeats}; "
      f"probe {probed:.3f} ms a round, {probed / bare:.4f}",
      flush=True,
    )


if __name__ == "__main__":
  main()
