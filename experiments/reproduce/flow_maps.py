"""Maps of adversarial flows on a line, beside the optimal one: with transport and without.

Paper:    AFM, arXiv:2511.22475, and CAFM, arXiv:2604.11521: the setting of their notebooks, smaller
Command:  python -m experiments.reproduce.flow_maps            (or some of its rows, by name)
Hardware: 2 cores of an AMD EPYC beside much other work, jax 0.10.2
Time:     246 s of CPU for the ten runs of "one step", 122 s for the five of "continuous"
Score:    the table of docs/losses.md, "Adversarial flows": with transport 0.48 ± 0.07 from the
          optimal map, without 1.25 ± 0.32; "continuous" 0.225 ± 0.024
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from experiments import flow_1d
from gan_jax.data import LINE4
from gan_jax.game.core import minibatches
from gan_jax.game.play import init, play_round, sample
from gan_jax.run.config import default_config, network, optimizer
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.experiment import build

SEEDS, POINTS = 5, 10_000


def continuous():
  """Makes the config of CAFM: eight moves of D to one of G, and 64 steps of Euler's method."""
  config, like = default_config("continuous_flow"), flow_1d.get_config()
  config.data, config.batch_size, config.rounds = like.data, like.batch_size, 400
  of = {**like.generator, "layer_norm": True}
  del of["name"]
  config.generator = network("flow_mlp_generator", **of)
  config.discriminator = network("flow_mlp_discriminator", **of)
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=5e-4, b1=0.0, b2=0.9)
  config.k, config.average.decay = 8, 0.9
  return config


ROWS = {  # of one config, and weights of transport
  "one step": (flow_1d.get_config, (0.05, 0.0)),
  "continuous": (continuous, (0.0,)),
}


def play(config, weights):
  """Plays a run of each seed and weight of transport, in one program; yields weight and state."""
  experiment = build(config)
  batches, spec = experiment.batches, experiment.batches.spec(minibatches(experiment.game))
  rows = np.arange(config.batch_size, dtype=np.uint32)

  @jax.jit
  def rounds(state, seed, weight):
    config.weights.transport = weight
    game, n = build_game(config, experiment.example), minibatches(experiment.game)

    def step(state, round):
      at = lambda t: batches.at(batches.arrays, t, rows, seed=seed)
      return play_round(game, state, jax.vmap(at)(round * n + jnp.arange(n, dtype=jnp.uint32)))[
        0
      ], None

    return jax.lax.scan(step, state, jnp.arange(config.rounds, dtype=jnp.uint32))[0]

  for weight in weights:
    for seed in range(SEEDS):
      state = init(experiment.game, jax.random.key(seed), spec)
      yield weight, experiment.game, rounds(state, np.uint32(seed), weight)


def optimal_map(z):
  """Computes the monotone map of N(0, 1) to the mixture, at z [n], in float64."""
  x = np.linspace(-2, 2, 40_001)
  return np.interp(ndtr(z), ndtr((x[:, None] - LINE4.centers[:, 0]) / LINE4.std).mean(axis=1), x)


def measures(game, state):
  """Computes W2 to the data, the distance to the optimal map, and the cost of transport."""
  z = ndtri((np.arange(POINTS) + 0.5) / POINTS)
  inputs = jnp.asarray(z[:, None], jnp.float32)
  x = np.asarray(sample(game, state, jax.random.key(0), POINTS, inputs=inputs), np.float64)[:, 0]
  best = optimal_map(z)
  off = lambda a, b: np.sqrt(np.mean((a - b) ** 2))
  modes = np.abs(x[:, None] - LINE4.centers[:, 0]).argmin(axis=1)
  return {
    "W2": off(np.sort(x), best),
    "map": off(x, best),
    "cost": np.mean((x - z) ** 2),
    "least share": np.bincount(modes, minlength=len(LINE4.centers)).min() / POINTS,
  }


def main():
  for name in sys.argv[1:] or ROWS:
    make, weights = ROWS[name]
    began, found = time.process_time(), {weight: [] for weight in weights}
    for weight, game, state in play(make(), weights):
      found[weight].append(measures(game, state))
      print(name, weight, *(f"{key} {x:.3f}" for key, x in found[weight][-1].items()), flush=True)
    for weight, runs in found.items():
      for key in runs[0]:
        x = np.array([run[key] for run in runs])
        error = x.std(ddof=1) / len(x) ** 0.5
        print(f"{name}, transport {weight}: {key} {x.mean():.3f} ± {error:.3f}")
    print(f"{name}: {time.process_time() - began:.0f} s of CPU", flush=True)


if __name__ == "__main__":
  main()
