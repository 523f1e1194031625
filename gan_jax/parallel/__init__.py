"""Layouts: mesh, shardings, and several processes that play one game."""

from gan_jax.parallel.mesh import (
  AXES,
  SMALL_TABLE,
  all_gather,
  batch_sharding,
  check_mesh,
  copy,
  local,
  local_mesh,
  make_mesh,
  partition_specs,
  put_table,
  replicate,
  replicated,
  split,
  take_rows,
  to_host,
)
from gan_jax.parallel.processes import (
  OtherProcessError,
  any_process,
  is_collective,
  is_first,
  mark_collective,
  run_on_all_or_fail,
  start,
)
from gan_jax.parallel.sharding import SMALL, abstract_state, shard_game, state_sharding
