"""Times n seeds of an experiment in one program against n runs one after another.

  python -m experiments.bench.population [--configs ring ablations/losses_ring mnist_mlp]
    [--seeds 1 2 4 8] [--rounds 100] [--repeats 7]

All play the same rounds of the same games in turn within one process, repeat after repeat: the runs
one after another on one device, each by the program that `gan_jax train` plays; the population by
`vmap`; and the population member by member. The ratio is the time of the runs by that of the
population, median over repeats: above 1 the population is faster. An ablation stands for its base
config. What starting processes and compiling n times costs comes on top for runs of their own.
Times belong to the machine named; with several devices (JAX_NUM_CPU_DEVICES=2) they share the
members.
"""

import argparse
import pathlib
import statistics
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.bench.convolutions import machine
from experiments.bench.monitors import seconds
from gan_jax import parallel
from gan_jax.game.core import minibatches
from gan_jax.game.play import init
from gan_jax.run import population
from gan_jax.run.config import from_file
from gan_jax.run.experiment import Experiment, build
from gan_jax.run.population import Population
from gan_jax.run.training.rounds import make_dispatch

FOLDER = pathlib.Path(__file__).parents[1]


def singles(experiment: Experiment, seeds: int, rounds: int) -> Callable[[], None]:
  """Compiles the program of a run; returns what plays each seed's next rounds, one by one."""
  config, game = experiment.config, experiment.game
  mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), parallel.AXES)
  spec = experiment.example.batch(max(1, minibatches(game)), config.batch_size)
  start = lambda seed: init(game, jax.random.key(seed), spec)
  states = [jax.device_put(s := start(i), parallel.state_sharding(s, mesh)) for i in range(seeds)]
  play = make_dispatch(game, experiment.batches, mesh)

  def run() -> None:
    for i in range(seeds):
      states[i], metrics = jax.block_until_ready(play(states[i], rounds))
      jax.device_get(metrics)

  return run


def together(
  experiment: Experiment, seeds: int, rounds: int, at_once: int | None
) -> Callable[[], None]:
  """Compiles the program of a population; returns what plays its next rounds."""
  people = Population(lambda numbers: experiment.game, np.arange(seeds))
  states = population.start(people, experiment.batches)
  play = population.player(people, experiment.batches, at_once)

  def run() -> None:
    nonlocal states
    states, metrics = jax.block_until_ready(play(states, rounds))
    jax.device_get(metrics)

  return run


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  default = ["ring", "ablations/losses_ring", "mnist_mlp"]
  parser.add_argument("--configs", nargs="*", default=default)
  parser.add_argument("--seeds", nargs="*", type=int, default=[8])
  parser.add_argument("--rounds", type=int, default=100, help="in one dispatch")
  parser.add_argument("--repeats", type=int, default=7)
  options = parser.parse_args()

  print(machine())
  for name in options.configs:
    config = from_file(FOLDER / f"{name}.py")
    experiment = build(config.base if "base" in config else config)
    for seeds in options.seeds:
      size = seeds, options.rounds
      runs = [singles(experiment, *size), *(together(experiment, *size, n) for n in (None, 1))]
      compiled = [seconds(run) for run in runs]
      times = [[seconds(run) for run in runs] for _ in range(options.repeats)]
      one, all_at_once, in_turn = (1e3 * min(t) / options.rounds for t in zip(*times, strict=True))
      ratios = [statistics.median(t[0] / t[i] for t in times) for i in (1, 2)]
      print(
        f"{name:24s} {seeds} runs {one:.3g} ms a round; vmap {all_at_once:.3g}, ratio "
        f"{ratios[0]:.2f}; member by member {in_turn:.3g}, ratio {ratios[1]:.2f}; first dispatch "
        f"{compiled[0]:.1f} s, {compiled[1]:.1f} s",
        flush=True,
      )


if __name__ == "__main__":
  main()
