"""Layouts: how state and batches lie on the devices, of one process or of several.

All devices form a mesh of two axes. Batches are split over both; `fsdp` splits the large arrays of
the state as well (ZeRO, Rajbhandari et al. 2020, arXiv:1910.02054), of which a move gathers the
parameters it looks at. What is computed does not depend on the mesh.

    mesh = make_mesh(batch_size, data=-1, fsdp=1)
    game = spread(game, mesh)          # the same game, whose moves share their work out
    state = jax.jit(make, out_shardings=places(jax.eval_shape(make), mesh))()
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.game.core import (
  Batch,
  Game,
  Gradients,
  Params,
  PyTree,
  Rule,
  State,
  StepContext,
  Turn,
  join_devices,
)

AXES = ("data", "fsdp")  # over both of which batches are split
SMALL = 2**14  # elements: what has fewer is sooner kept everywhere than gathered
SMALL_TABLE = 2**26  # bytes: likewise, of data that stay on the devices


# --- where things lie ---------------------------------------------------------------------------


def make_mesh(batch_size: int, *, data: int = -1, fsdp: int = 1) -> Mesh:
  """Makes the mesh of all devices.

  Args:
    batch_size: of the global batch.
    data: devices along the axis that only batches are split over; -1 for all there are.
    fsdp: devices along the axis that the state is split over as well, or -1.

  Returns:
    The mesh, in which each process has consecutive rows of a batch.

  Raises:
    ValueError: if the sizes do not fit the devices, or the devices cannot share the batch evenly.
  """
  devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
  check_mesh(data, fsdp)
  known = max(data, 1) * max(fsdp, 1)
  sizes = [len(devices) // known if size == -1 else size for size in (data, fsdp)]
  if sizes[0] * sizes[1] != len(devices):
    raise ValueError(
      f"config.mesh is data = {data} by fsdp = {fsdp}, and there are {len(devices)} devices: "
      "expected sizes whose product that is, of which one may be -1"
    )
  if batch_size % len(devices):
    raise ValueError(
      f"config.batch_size = {batch_size} cannot be split over {len(devices)} devices; "
      f"use a multiple of {len(devices)}"
    )
  return Mesh(np.array(devices).reshape(sizes), AXES)


def check_mesh(data: int, fsdp: int) -> None:
  """Refuses sizes of a mesh that fit no number of devices."""
  if min(data, fsdp) < -1 or 0 in (data, fsdp) or data == fsdp == -1:
    raise ValueError(
      f"config.mesh is data = {data} by fsdp = {fsdp}: expected numbers of devices, of which one "
      "may be -1, all that are left"
    )


def everywhere(mesh: Mesh) -> NamedSharding:
  """Names the place of what every device has a copy of."""
  return NamedSharding(mesh, PartitionSpec())


def rows(mesh: Mesh, axis: int = 0) -> NamedSharding:
  """Names the place of arrays whose `axis` is that of the examples."""
  return NamedSharding(mesh, PartitionSpec(*[None] * axis, mesh.axis_names))


def specs(tree: PyTree) -> PyTree:
  """Says over which axes of their mesh arrays are split."""
  return jax.tree.map(lambda x: x.sharding.spec, tree)


def places(state: State, mesh: Mesh) -> State:
  """Says where each array of a state lies.

  Args:
    state: a state, or its shapes.
    mesh: of `make_mesh`.

  Returns:
    Shardings in the shape of the state. Parameters, averages and what optimizers keep are split
    over `fsdp` if they are large; all else, as batch statistics, is everywhere.
  """
  shared = jax.tree.map(lambda _: everywhere(mesh), state)
  split = lambda tree: jax.tree.map(lambda leaf: _place(leaf, mesh), tree)
  return shared.replace(params=split(state.params), opt=split(state.opt), ema=split(state.ema))


def placed(make: Callable[[], State], mesh: Mesh) -> State:
  """Describes a state that is yet to be made or restored: shapes, and where they lie."""
  like = jax.eval_shape(make)
  put = lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place)
  return jax.tree.map(put, like, places(like, mesh))


def _place(leaf: Any, mesh: Mesh) -> NamedSharding:
  """Splits an array along its longest axis that `fsdp` divides, if it is large."""
  parts = mesh.shape.get("fsdp", 1)
  axes = [axis for axis, size in enumerate(leaf.shape) if size % parts == 0]
  if parts == 1 or leaf.size < SMALL or not axes:
    return everywhere(mesh)
  longest = max(axes, key=lambda axis: leaf.shape[axis])
  return NamedSharding(mesh, PartitionSpec(*[None] * longest, "fsdp"))


def spread(game: Game, mesh: Mesh) -> Game:
  """Makes the same game, whose moves share their work out over the devices of a mesh.

  What is to be sent is written down (by `shard_map`) and not left to the compiler, which would
  split also what is small and needed whole, such as the monitors' comparisons.

  Args:
    game: the game.
    mesh: of `make_mesh`.

  Returns:
    The game: in each move every device gathers the parameters, takes gradients by the turn's rule
    on its rows of the batch, averages them with the others, and keeps its part.
  """
  turns = tuple(turn._replace(rule=_spread_rule(turn, mesh)) for turn in game.turns)
  return game if mesh.size == 1 else game._replace(turns=turns)


def _spread_rule(turn: Turn, mesh: Mesh) -> Rule:
  def rule(game: Game, _: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    parts = jax.tree.map(lambda leaf: _place(leaf, mesh).spec, state.params)
    owned = {name: {net: parts[net] for net in game.players[name].owns} for name in turn.players}
    whole = PartitionSpec()

    def mine(params: Params, rest: State, batch: Batch, key: jax.Array) -> Gradients:
      params = jax.tree.map(_gather_part, params, parts)
      found, (new_carried, metrics) = turn.rule(
        game, turn, rest.replace(params=params), batch, StepContext(key, context.round, AXES)
      )
      new_carried = join_devices(game, new_carried, AXES)
      return _average(found, owned, mesh), (new_carried, jax.lax.pmean(metrics, AXES))

    return jax.shard_map(
      mine,
      mesh=mesh,
      in_specs=(parts, whole, PartitionSpec(AXES), whole),
      out_specs=(owned, whole),
      check_vma=False,
    )(state.params, state.replace(params={}), batch, context.key)

  return rule


def _gather_part(part: jax.Array, spec: PartitionSpec) -> jax.Array:
  """Makes an array whole on every device, under `shard_map`."""
  if "fsdp" not in spec:
    return part
  return jax.lax.all_gather(part, "fsdp", axis=spec.index("fsdp"), tiled=True)


def _average(found: PyTree, specs: PyTree, mesh: Mesh) -> PyTree:
  """Averages gradients over all devices, of which each keeps its part; under `shard_map`."""

  def keep_part(x: jax.Array, spec: PartitionSpec) -> jax.Array:
    if "fsdp" not in spec:
      return x
    part = jax.lax.psum_scatter(x, "fsdp", scatter_dimension=spec.index("fsdp"), tiled=True)
    return part / mesh.shape["fsdp"]

  leaves, tree = jax.tree.flatten(jax.tree.map(keep_part, found, specs))
  split = ["fsdp" in spec for spec in jax.tree.leaves(specs, is_leaf=_is_spec)]
  # What is left to be averaged over the same axes goes in one message.
  of = lambda kind: [x for x, is_split in zip(leaves, split, strict=True) if is_split == kind]
  whole, parts = jax.lax.pmean(of(False), AXES), of(True)
  parts = parts if mesh.shape["data"] == 1 else jax.lax.pmean(parts, "data")
  sources = {False: iter(whole), True: iter(parts)}
  return jax.tree.unflatten(tree, [next(sources[is_split]) for is_split in split])


def _is_spec(x: Any) -> bool:
  return isinstance(x, PartitionSpec)


# --- to the devices, and back -------------------------------------------------------------------


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
  """Puts a copy of every leaf on every device; each process gives the same."""
  return jax.tree.map(lambda x: _put(x, everywhere(mesh)), tree)


def split(tree: PyTree, mesh: Mesh, axis: int = 0) -> PyTree:
  """Splits an axis of every leaf over the devices, given this process's rows of it."""
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(rows(mesh, axis), np.asarray(x)), tree
  )


def put_table(table: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Puts a table of examples on the devices, one that is large in equal parts.

  A batch is a permutation's next places, from all over the table. Of a table that every device has,
  each takes its own rows and nothing is sent, so one that is small beside a device's memory is kept
  that way; of one in parts, rows travel (see `take_rows`).

  Args:
    table: arrays [N, ...]; each process has all of it.
    mesh: of `make_mesh`.

  Returns:
    The arrays on the devices; filled up to whole parts if they are in parts.
  """
  if sum(x.nbytes for x in table.values()) <= SMALL_TABLE or mesh.size == 1:
    return replicate(dict(table), mesh)
  fill = lambda x: np.concatenate([x, np.zeros_like(x[: -len(x) % mesh.size])])
  return {name: _put(fill(x), rows(mesh)) for name, x in table.items()}


def take_rows(part: jax.Array, index: jax.Array) -> jax.Array:
  """Takes rows of a table that is in parts; under `shard_map` over the mesh's axes.

  Every device hears which rows all want, and sends each those that it has: 4 bytes a row, and the
  rows of the batch once.

  Args:
    part: [N / devices, ...], this device's part.
    index: [n], the rows this device wants, of all the table.

  Returns:
    [n, ...].
  """
  wanted = jax.lax.all_gather(index, AXES, tiled=True).astype(jnp.uint32)
  first = jax.lax.axis_index(AXES).astype(jnp.uint32) * np.uint32(len(part))
  place = wanted - first  # of others' rows it wraps round, beyond the end
  found = jnp.take(part, place, axis=0, mode="fill", fill_value=0)
  return jax.lax.psum_scatter(found, AXES, tiled=True)


def copied(tree: PyTree) -> PyTree:
  """Copies arrays on their devices, when these come to it: what is copied may be donated next."""
  leaves, kind = jax.tree.flatten(tree)
  return jax.tree.unflatten(kind, _copier(tuple(leaf.sharding for leaf in leaves))(leaves))


@functools.cache
def _copier(places: tuple[jax.sharding.Sharding, ...]) -> Callable[[list[Any]], list[Any]]:
  return jax.jit(lambda leaves: [jnp.copy(leaf) for leaf in leaves], out_shardings=list(places))


def local(tree: PyTree, mesh: Mesh) -> PyTree:
  """Copies a tree whole to each device of this process; all processes call it together.

  Args:
    tree: arrays on the mesh, in parts or not.
    mesh: of `make_mesh`.

  Returns:
    The tree on `local_mesh(mesh)`, to work on without the other processes.
  """
  if jax.process_count() == 1:
    return _gather(mesh)(tree) if mesh.shape.get("fsdp", 1) > 1 else tree
  here = everywhere(local_mesh(mesh))

  def take(leaf: jax.Array) -> jax.Array:
    parts = [shard.data for shard in leaf.addressable_shards]
    return jax.make_array_from_single_device_arrays(leaf.shape, here, parts)

  return jax.tree.map(take, _gather(mesh)(tree))


def local_mesh(mesh: Mesh) -> Mesh:
  """Makes the mesh of this process's own devices."""
  mine = [device for device in mesh.devices.flat if device.process_index == jax.process_index()]
  return Mesh(np.array(mine).reshape(-1, 1), AXES)


def gathered(tree: PyTree) -> PyTree:
  """Gathers what is in parts on several processes, which call it together, on their devices.

  Args:
    tree: arrays on one mesh.

  Returns:
    The tree, of which this process has all.
  """
  has_all = lambda x: x.is_fully_addressable or x.is_fully_replicated
  apart = [x for x in jax.tree.leaves(tree) if not has_all(x)]
  return _gather(apart[0].sharding.mesh)(tree) if apart else tree


def to_host(leaf: jax.Array) -> np.ndarray:
  """Fetches an array of which this process has all; of keys their words."""
  if not leaf.is_fully_addressable:
    leaf = leaf.addressable_data(0)  # without a word to the other processes' devices
  if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    leaf = jax.random.key_data(leaf)
  return np.asarray(leaf)


@functools.cache
def _gather(mesh: Mesh) -> Callable[[PyTree], PyTree]:
  return jax.jit(lambda tree: tree, out_shardings=everywhere(mesh))


def _put(x: Any, place: NamedSharding) -> jax.Array:
  """Puts an array that every process has to its place."""
  if jax.process_count() == 1:
    return jax.device_put(x, place)
  x = np.asarray(x)
  return jax.make_array_from_callback(x.shape, place, lambda index: x[index])
