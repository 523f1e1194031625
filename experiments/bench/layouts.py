"""Plays every kind of game on every layout of eight devices and compares with one device.

  python -m experiments.bench.layouts [--rounds 20] [--games ...]
  python -m experiments.bench.layouts --processes 2      # that share the eight devices

Tiny networks on points; the largest difference of parameters and averages after so many rounds,
relative to the largest entry of the network. What differs is the order in which means are summed;
keys, data and their order are the same to the bit. Eight devices are forced on the CPU.
"""

import argparse
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax import losses, parallel
from gan_jax.game import rules, views
from gan_jax.game.core import Game, Metrics, State, minibatches
from gan_jax.game.kinds.info import Codes, Q, self_augmented
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import normal
from gan_jax.game.optimizers import lookahead
from gan_jax.game.play import init, play_round
from gan_jax.game.schedules import half_life
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import every
from gan_jax.nets.layers import Dropout, Logit, Norm, WithLabels, labels_for, stream_keys
from gan_jax.nets.linear import Dense
from gan_jax.nets.mlp import MLPEncoder
from gan_jax.parallel import sharding

DEVICES, BATCH, CLASSES = 8, 32, 4

# --- games --------------------------------------------------------------------------------------


class Generator(nn.Module):
  """A hidden layer, by choice with batch norm or noise."""

  norm: str = "none"
  noise: float = 0.0
  num_classes: int | None = None
  axis_name: Any = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    x = Dense(16)(WithLabels()(z, labels_for(self.num_classes, y)))
    if self.noise:
      draw = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))
      x += self.noise * draw(stream_keys(self, "noise", len(x)))
    return Dense(2)(nn.relu(Norm(self.norm, self.axis_name)(x, train=train)))


class Discriminator(nn.Module):
  """A hidden layer, by choice with batch norm, spectral norm or dropout."""

  norm: str = "none"
  dropout: float = 0.0
  num_classes: int | None = None
  axis_name: Any = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    x = Dense(16, spectral=self.norm == "spectral")(x.reshape(x.shape[0], -1), train=train)
    x = nn.tanh(Norm(self.norm, self.axis_name)(x, train=train))
    x = Dropout(self.dropout)(x, train=train)
    return Logit()(x, labels_for(self.num_classes, y), train=train)


def make(
  loss: losses.AdversarialLoss = losses.non_saturating,
  optimizer: optax.GradientTransformation | None = None,
  generator: nn.Module | None = None,
  discriminator: nn.Module | None = None,
  **options: Any,
) -> Game:
  """Builds a game of tiny networks, by default with stochastic gradient descent."""
  optimizer = optimizer or optax.sgd(0.05)
  return two_player(
    generator or Generator(),
    discriminator or Discriminator(),
    loss=loss,
    optimizers={"discriminator": optimizer, "generator": optimizer},
    latent=normal(3),
    averages={"generator": half_life(500)},
    **options,
  )


jitter = losses.jitter(scale=0.1)
labelled = {"conditional": True, "generator": Generator(num_classes=CLASSES)}
GAMES: dict[str, Callable[[], Game]] = {
  "non-saturating": make,
  "relativistic average, R1 and R2": lambda: make(
    losses.relativistic_average,
    regularizers={"r1": (0.1, regularizers.r1), "r2": (0.1, regularizers.r2)},
  ),
  "Wasserstein, gradient penalty, k = 5": lambda: make(
    losses.wasserstein,
    regularizers={"penalty": (1.0, regularizers.gradient_penalty())},
    turns=alternating(5),
  ),
  "hinge, LeCam, DRAGAN": lambda: make(
    losses.hinge,
    regularizers={"lecam": (0.1, regularizers.lecam()), "dragan": (1.0, regularizers.dragan())},
  ),
  "least squares, consistency, lazy": lambda: make(
    losses.least_squares,
    regularizers={
      "balanced": (1.0, regularizers.balanced_consistency(transform=jitter)),
      "latent": (1.0, every(4, regularizers.latent_consistency())),
    },
    views=(views.gaussian_noise(0.1),),
  ),
  "relativistic, simultaneous, conditional": lambda: make(
    losses.relativistic,
    discriminator=Discriminator(num_classes=CLASSES),
    turns=simultaneous(),
    **labelled,
  ),
  "batch norm": lambda: make(generator=Generator("batch"), discriminator=Discriminator("batch")),
  "batch norm, joint, packed": lambda: make(
    generator=Generator("batch"),
    discriminator=Discriminator("batch"),
    joint=True,
    views=(views.packing(2),),
  ),
  "spectral norm, dropout, noise, orthogonal": lambda: make(
    generator=Generator(noise=0.5),
    discriminator=Discriminator("spectral", dropout=0.5),
    generator_regularizers={"orthogonal": (0.01, regularizers.orthogonal())},
  ),
  "joint, dropout": lambda: make(discriminator=Discriminator(dropout=0.5), joint=True),
  "self-augmented codes": lambda: make(
    encoders={Q: MLPEncoder(3, hidden=(8,), activation="tanh")},
    generator_regularizers={
      "self_augmented": (1.0, self_augmented(Codes(0, (3,), 0), jitter)),
    },
  ),
  "extragradient": lambda: make(turns=rules.extragradient(simultaneous())),
  "consensus": lambda: make(turns=rules.consensus(simultaneous(), weight=1.0)),
  "unrolled, lookahead": lambda: make(
    optimizer=lookahead(optax.sgd(0.05), every=5),
    turns=rules.unrolled(alternating(), steps=3),
  ),
  # How optimizers pass rounding on is a matter of theirs alone, so one game is enough.
  "momentum": lambda: make(optimizer=optax.sgd(0.02, momentum=0.9)),
  "Adam": lambda: make(optimizer=optax.adam(1e-3, b1=0.5)),
  "RMSProp": lambda: make(optimizer=optax.rmsprop(1e-3)),
}


def batches(game: Game, rounds: int) -> dict[str, jax.Array]:
  """Builds the data of so many rounds: leaves [rounds, n, B, ...]."""
  shape = (rounds, max(1, minibatches(game)), BATCH)
  x = jax.random.normal(jax.random.key(1), (*shape, 2)) + 1
  return {"x": x, "y": jax.random.randint(jax.random.key(2), shape, 0, CLASSES)}


# --- layouts ------------------------------------------------------------------------------------


def _rounds(game: Game, axis_name: Any = None) -> Callable[[State, Any], tuple[State, Metrics]]:
  return lambda state, data: jax.lax.scan(
    functools.partial(play_round, game, axis_name=axis_name), state, data
  )


def one(game: Game, state: State, data: Any) -> tuple[State, Metrics]:
  """Plays on one device."""
  return jax.jit(_rounds(game))(state, data)


def sharded(data_axis: int, fsdp: int, game: Game, state: State, data: Any) -> Any:
  """Plays as training does, on a mesh; all that can be split over `fsdp` is."""
  mesh = Mesh(np.array(jax.devices()[:DEVICES]).reshape(data_axis, fsdp), parallel.AXES)
  places = parallel.state_sharding(state, mesh)
  play = jax.jit(
    _rounds(parallel.shard_game(game, mesh)), out_shardings=(places, parallel.replicated(mesh))
  )
  return play(
    jax.device_put(state, places), jax.device_put(data, parallel.batch_sharding(mesh, axis=2))
  )


def compiler(game: Game, state: State, data: Any) -> tuple[State, Metrics]:
  """Plays the bare step on data in parts, and leaves all else to the compiler."""
  mesh = Mesh(np.array(jax.devices()[:DEVICES]), "i")
  return one(game, state, jax.device_put(data, NamedSharding(mesh, _SECOND)))


def shard_mapped(game: Game, state: State, data: Any) -> tuple[State, Metrics]:
  """Plays under `shard_map`."""
  mesh, everywhere = Mesh(np.array(jax.devices()[:DEVICES]), "i"), PartitionSpec()
  specs: dict[str, Any] = {"in_specs": (everywhere, _SECOND), "out_specs": everywhere}
  return jax.jit(jax.shard_map(_rounds(game, "i"), mesh=mesh, check_vma=False, **specs))(
    state, data
  )


def pmapped(game: Game, state: State, data: Any) -> tuple[State, Metrics]:
  """Plays under `pmap`."""
  apart = lambda x: jnp.moveaxis(x.reshape(*x.shape[:2], DEVICES, -1, *x.shape[3:]), 2, 0)
  play = jax.pmap(_rounds(game, "i"), "i", in_axes=(None, 0), devices=jax.devices()[:DEVICES])
  return jax.tree.map(lambda x: x[0], play(state, jax.tree.map(apart, data)))


_SECOND = PartitionSpec(None, None, "i")
# (game, state, data [rounds, n, B, ...]) -> (state, metrics [rounds])
LAYOUTS: dict[str, Callable[[Game, State, Any], tuple[State, Metrics]]] = {
  "data 8": functools.partial(sharded, 8, 1),
  "data 4, fsdp 2": functools.partial(sharded, 4, 2),
  "pmap": pmapped,
  "shard_map": shard_mapped,
  "jit alone": compiler,
}


def difference(a: Any, b: Any) -> float:
  """Computes the largest difference of two networks, relative to the largest entry of the first.

  Not of each array: some have no gradient but rounding, such as biases before a batch norm, and the
  discriminator's last under a loss that looks at differences of logits.
  """
  flat = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
  return float(np.max(np.abs(flat(a) - flat(b))) / np.max(np.abs(flat(a))))


def compare(name: str, rounds: int) -> dict[str, float]:
  """Plays a game on every layout: {layout: largest difference from one device}."""
  game = GAMES[name]()
  data = batches(game, rounds)
  state = init(game, jax.random.key(0), jax.tree.map(lambda x: x[0], data))
  want = one(game, state, data)[0]
  found = {layout: play(game, state, data)[0] for layout, play in LAYOUTS.items()}
  return {layout: state_difference(want, got) for layout, got in found.items()}


def state_difference(a: State, b: State) -> float:
  """Computes the largest difference of networks and of their averages."""
  pairs = [(x[net], y[net]) for x, y in ((a.params, b.params), (a.ema, b.ema)) for net in x]
  return max(difference(*pair) for pair in pairs)


# --- several processes --------------------------------------------------------------------------


def compare_together(name: str, rounds: int) -> float:
  """Plays a game on the devices of all processes: how it differs from one device, for the first."""
  game = GAMES[name]()
  data = jax.tree.map(np.asarray, batches(game, rounds))
  first = jax.tree.map(lambda x: x[0], data)
  make = lambda: init(game, jax.random.key(0), first)
  alone = one(game, make(), data)[0] if parallel.is_first() else None
  mesh = parallel.make_mesh(BATCH, data=DEVICES // 2, fsdp=2)
  places = parallel.state_sharding(jax.eval_shape(make), mesh)
  rows = parallel.batch_sharding(mesh, axis=2)
  mine = jax.tree.map(
    lambda x: jax.make_array_from_callback(x.shape, rows, lambda part: x[part]), data
  )
  state = jax.jit(make, out_shardings=places)()
  play = jax.jit(_rounds(parallel.shard_game(game, mesh)), out_shardings=(places, None))
  got = play(state, mine)[0]
  got = parallel.local(got, mesh)
  return state_difference(alone, got) if alone is not None else 0.0


def start_processes(count: int) -> int:
  """Runs this command as so many processes that find each other; returns the worst exit code."""
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"
  command = [sys.executable, "-m", "experiments.bench.layouts", *sys.argv[1:]]
  environment = {
    **os.environ,
    "JAX_NUM_CPU_DEVICES": str(DEVICES // count),
    "GAN_JAX_COORDINATOR": address,
    "GAN_JAX_NUM_PROCESSES": str(count),
  }
  running = [
    subprocess.Popen(command, env={**environment, "GAN_JAX_PROCESS_ID": str(i)})
    for i in range(count)
  ]
  return max(process.wait() for process in running)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--rounds", type=int, default=20)
  parser.add_argument("--games", nargs="*", choices=GAMES, default=list(GAMES))
  parser.add_argument("--processes", type=int, default=1)
  options = parser.parse_args()
  sharding.SMALL = 1  # else nothing here were large enough to be split
  if options.processes > 1:
    if "GAN_JAX_PROCESS_ID" not in os.environ:
      sys.exit(start_processes(options.processes))
    parallel.start()
    for name in options.games:
      found = compare_together(name, options.rounds)
      if parallel.is_first():
        print(f"| {name} | {found:.0e} |", flush=True)
    return
  if jax.config.jax_num_cpu_devices < DEVICES:  # type: ignore[attr-defined]
    jax.config.update("jax_num_cpu_devices", DEVICES)
  print(f"| after {options.rounds} rounds | {' | '.join(LAYOUTS)} |\n|---|{'---|' * len(LAYOUTS)}")
  for name in options.games:
    cells = (f"{x:.0e}" for x in compare(name, options.rounds).values())
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
  main()
