"""Several rounds in one program, of data that lie on the devices or come as they are played."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from gan_jax import parallel
from gan_jax.data import AnyBatches
from gan_jax.game.core import Game, State, batches_a_round
from gan_jax.game.play import init, play_round
from gan_jax.game.random import make_key
from gan_jax.parallel.mesh import AXES
from gan_jax.run.training.interruption import interruptible

Dispatch = Callable[[State, int], tuple[State, Mapping[str, jax.Array]]]
Compiling = Callable[[int], contextlib.AbstractContextManager[Any]]


def make_dispatch(
  game: Game,
  batches: AnyBatches,
  mesh: Mesh,
  start: int = 0,
  compiling: Compiling = contextlib.nullcontext,
) -> Dispatch:
  """Compiles several rounds into one dispatch: (state, how many) -> (state, metrics [how many]).

  Data that fit are sampled on the devices, inside the program; others are read ahead on the host,
  by each process its own rows.

  Args:
    game: the game.
    batches: minibatches of its data.
    mesh: devices to share the work, of `parallel.make_mesh`.
    start: the round that streamed data start from.
    compiling: number of rounds -> the context in which their program is compiled, on first use.

  Returns:
    A function that donates its state, which is sharded as by `parallel.state_sharding`.
  """
  n = batches_a_round(game)
  rounds = jit_rounds(game, batches, mesh)
  mine = dataclasses.replace(
    batches, process_index=jax.process_index(), process_count=jax.process_count()
  )
  stream = iter(()) if batches.resident else mine.stream(start * n)
  programs: dict[int, Any] = {}

  def play(state: State, length: int) -> tuple[State, Mapping[str, jax.Array]]:
    streamed = not batches.resident
    raw = parallel.split(_stack(stream, length, n), mesh, axis=2) if streamed else None
    if length not in programs:
      with compiling(length):
        lowered = rounds.play.lower(state, rounds.table, raw, length)
        programs[length] = interruptible(lowered.compile)
    return programs[length](state, rounds.table, raw)

  return play


class JittedRounds(NamedTuple):
  """Several rounds in one program.

  Attributes:
    play: jitted (state, table, raw, how many) -> (state, metrics [how many]); raw are the leaves
      [how many, n, B, ...] of streamed data, None of others.
    table: data that stay on the devices, {} of streamed ones.
    like: shapes and shardings of the state.
  """

  play: Any
  table: Mapping[str, jax.Array]
  like: State


def jit_rounds(game: Game, batches: AnyBatches, mesh: Mesh) -> JittedRounds:
  """Builds the program of `make_dispatch`, which describes the arguments."""
  n = batches_a_round(game)
  put = parallel.replicate if batches.endless else parallel.put_table
  table = put(batches.arrays, mesh)
  make = _batch_maker(batches, mesh, table)
  sharded = parallel.shard_game(game, mesh)
  like = parallel.abstract_state(lambda: init(game, make_key(0), batches.spec(n)), mesh)
  places = jax.tree.map(lambda x: x.sharding, like)

  def play(state: State, table: Any, raw: Any, length: int) -> tuple[State, Mapping[str, Any]]:
    def one(state: State, raw: Any) -> tuple[State, Mapping[str, Any]]:
      t = state.round.astype(jnp.uint32) * n + jnp.arange(n, dtype=jnp.uint32)
      state, metrics = play_round(sharded, state, make(table, raw, t))
      return jax.lax.with_sharding_constraint(state, places), metrics

    return jax.lax.scan(one, state, raw, length=length)

  compiled = jax.jit(
    play,
    static_argnums=3,
    donate_argnums=0,
    in_shardings=(
      places,
      jax.tree.map(lambda x: x.sharding, table),
      parallel.batch_sharding(mesh, axis=2),
    ),
    out_shardings=(places, parallel.replicated(mesh)),
  )
  return JittedRounds(compiled, table, like)


def _batch_maker(batches: AnyBatches, mesh: Mesh, table: Mapping[str, jax.Array]) -> Callable:
  """Builds the function (table, raw [n, B, ...] or None, t [n]) -> batches, sharded by rows.

  Nothing is sent, unless the table is in parts.
  """
  parts = parallel.partition_specs(table)
  take = parallel.take_rows if any(parts.values()) else None
  share = np.uint32(batches.batch_size // mesh.size)

  def make(table: Any, raw: Any, t: jax.Array) -> Any:
    rows = share * jax.lax.axis_index(AXES).astype(jnp.uint32) + jnp.arange(share, dtype=jnp.uint32)
    if raw is None:
      return jax.vmap(lambda t: batches.at(table, t, rows, take))(t)
    return jax.vmap(lambda raw, t: batches.finish(raw, t, rows))(raw, t)

  mine = PartitionSpec(None, AXES)
  given = (parts, mine, PartitionSpec())
  return jax.shard_map(make, mesh=mesh, in_specs=given, out_specs=mine, check_vma=False)


def _stack(stream: Iterator[Mapping[str, np.ndarray]], length: int, n: int) -> Any:
  """Stacks the next minibatches of `length` rounds: leaves [length, n, B, ...]."""
  taken = [next(stream) for _ in range(length * n)]
  return jax.tree.map(lambda *x: np.stack(x).reshape(length, n, *x[0].shape), *taken)
