"""Layouts: mesh, shardings, and several processes that play one game."""

from gan_jax.parallel.processes import (
  OtherProcessError,
  agreed,
  any_process,
  is_common,
  is_first,
  start,
  together,
)
from gan_jax.parallel.sharding import (
  AXES,
  SMALL,
  SMALL_TABLE,
  check_mesh,
  copied,
  everywhere,
  gathered,
  local,
  local_mesh,
  make_mesh,
  placed,
  places,
  put_table,
  replicate,
  rows,
  specs,
  split,
  spread,
  take_rows,
  to_host,
)
