"""One round on every layout of eight devices, for tests that compare them with one device."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game import Game, Metrics, State, play_round


def on_every_layout(game: Game, state: State, batch: Any) -> Iterator[tuple[str, State, Metrics]]:
  """Plays one round under pmap, shard_map and jit on a sharded batch.

  Args:
    game: the game.
    state: before the round.
    batch: leaves [n, B, ...] with B a multiple of 8.

  Yields:
    (name of the layout, state after, metrics).
  """
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:8]), ("i",))
  spec = jax.sharding.PartitionSpec
  mapped = functools.partial(play_round, game, axis_name="i")
  part = lambda x: jnp.moveaxis(x.reshape(x.shape[0], 8, -1, *x.shape[2:]), 1, 0)
  pmapped = jax.pmap(mapped, "i", in_axes=(None, 0))(state, jax.tree.map(part, batch))
  yield "pmap", *jax.tree.map(lambda x: x[0], pmapped)
  specs = {"in_specs": (spec(), spec(None, "i")), "out_specs": spec()}
  shard_mapped = jax.shard_map(mapped, mesh=mesh, check_vma=False, **specs)
  yield "shard_map", *jax.jit(shard_mapped)(state, batch)
  sharded = jax.device_put(batch, jax.sharding.NamedSharding(mesh, spec(None, "i")))
  yield "jit", *jax.jit(functools.partial(play_round, game))(state, sharded)
