"""Follows how far layouts part from one device over rounds, beside what rounding alone does.

  python -m experiments.bench.rounding [--rounds 150] [--out docs/layouts.png]

The game of experiments/ring.py (Adam, ReLU, R1) on one device, on eight in every layout of
`experiments.bench.layouts`, and on one device again from parameters of which each is changed by at
most 10^-7 of itself, which rounds to a unit or two in its last place. What is drawn is the largest
difference of parameters, relative to the largest of the network. Layouts sum means in another
order, so they differ by rounding, and the game magnifies any such difference alike. Lines are
medians, bands the middle half. 84 s of one core of an AMD EPYC, jax 0.10.2.
"""

import argparse
import pathlib
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments import ring
from experiments.bench.layouts import DEVICES, LAYOUTS, one
from gan_jax import plots
from gan_jax.game.core import Game, Player, State, minibatches
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.parallel import sharding
from gan_jax.run.experiment import build

CHANGES = 3  # of the first parameters, each from a seed of its own


def telling(game: Game) -> Game:
  """Adds each player's parameters before its move to the metrics."""

  def tell(name: str, player: Player) -> Player:
    def value(seen: Any, params: Any, carried: Any, context: Any) -> Any:
      loss, (memory, metrics) = player.objective.value(seen, params, carried, context)
      told = {f"{name}/parameters": jax.lax.stop_gradient(ravel_pytree(params)[0])}
      return loss, (memory, {**metrics, **told})

    return player._replace(objective=player.objective._replace(value=value))

  return game._replace(players={name: tell(name, player) for name, player in game.players.items()})


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> np.ndarray:
  """Computes the largest relative difference of parameters in each round: [rounds]."""
  names = [name for name in a if name.endswith("/parameters")]
  apart = lambda x, y: np.max(np.abs(x - y), axis=1) / np.max(np.abs(x), axis=1)
  return np.max([apart(a[name], b[name]) for name in names], axis=0)


def changed(state: State, seed: int) -> State:
  """Changes each parameter by at most 10^-7 of itself, up to rounding."""
  rng = np.random.default_rng(seed)
  by = lambda x: x * (1 + 1e-7 * rng.uniform(-1, 1, x.shape)).astype(np.float32)
  return state.replace(params=jax.tree.map(by, state.params))


def measure(rounds: int) -> dict[str, np.ndarray]:
  """Plays everything: {what differs: [rounds] or [rounds, CHANGES]}."""
  experiment = build(ring.get_config())
  game, n = telling(experiment.game), minibatches(experiment.game)
  t = np.arange(rounds * n, dtype=np.uint32).reshape(rounds, n)
  data = jax.jit(jax.vmap(jax.vmap(lambda t: experiment.batches.at({}, t))))(t)
  state = init(game, make_key(0), experiment.batches.spec(n))
  # Arrays that are on no device yet: each layout puts them where it wants them.
  state, data = jax.tree.map(lambda x: x if x is state.key else np.asarray(x), (state, data))
  alone = jax.jit(lambda state: one(game, state, data)[1])
  want = jax.device_get(alone(state))
  found = {
    f"8 devices: {name}": difference(want, jax.device_get(play(game, state, data)[1]))
    for name, play in LAYOUTS.items()
  }
  parted = [difference(want, jax.device_get(alone(changed(state, i)))) for i in range(CHANGES)]
  return {"1 device, parameters changed by 1e-7": np.stack(parted, axis=1), **found}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=150)
  parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/layouts.png"))
  options = parser.parse_args()
  sharding.SMALL = 1  # else nothing here were large enough to be split
  if jax.config.jax_num_cpu_devices < DEVICES:  # type: ignore[attr-defined]
    jax.config.update("jax_num_cpu_devices", DEVICES)
  found = measure(options.rounds)
  shown = [round for round in (1, 10, 20, 40, 60, 80, 100, 149) if round < options.rounds]
  print(f"| round | {' | '.join(map(str, shown))} |\n|---|{'---|' * len(shown)}")
  for name, values in found.items():
    median = np.median(values, axis=1) if values.ndim == 2 else values
    print(f"| {name} | {' | '.join(f'{median[round]:.0e}' for round in shown)} |")
  title = "largest difference from one device, relative"
  alone, *layouts = found.values()
  series = {
    f"one device, parameters changed by 1e-7 at first ({CHANGES} times)": alone,
    f"eight devices ({len(layouts)} layouts)": np.stack(layouts, axis=1),
  }
  figure = plots.curves({title: series}, band="quartiles", log=[title], size=(6.4, 3.2))
  plots.save(figure, options.out)
  print(f"wrote {options.out}")


if __name__ == "__main__":
  main()
