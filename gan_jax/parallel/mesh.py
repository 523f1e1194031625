"""Meshes: how arrays lie on the devices, of one process or of several.

All devices form a mesh of two axes. Batches are split over both; `fsdp` splits the large arrays of
the state as well (ZeRO, Rajbhandari et al. 2020, arXiv:1910.02054). What is computed does not
depend on the mesh.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

PyTree = Any
AXES = ("data", "fsdp")  # over both of which batches are split
SMALL_TABLE = 2**26  # bytes: a smaller table of data is kept whole on every device


def make_mesh(batch_size: int, *, data: int = -1, fsdp: int = 1) -> Mesh:
  """Builds the mesh of all devices.

  Args:
    batch_size: size of the global batch.
    data: devices along the axis that only batches are split over; -1 for all there are.
    fsdp: devices along the axis that the state is split over as well; -1 likewise.

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
  """Checks that the sizes of a mesh fit some number of devices."""
  if min(data, fsdp) < -1 or 0 in (data, fsdp) or data == fsdp == -1:
    raise ValueError(
      f"config.mesh is data = {data} by fsdp = {fsdp}: expected numbers of devices, of which one "
      "may be -1, all that are left"
    )


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of arrays of which every device has a copy."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, axis: int = 0) -> NamedSharding:
  """Returns the sharding of arrays [..., B, ...], with the examples along `axis`."""
  return NamedSharding(mesh, PartitionSpec(*[None] * axis, mesh.axis_names))


def partition_specs(tree: PyTree) -> PyTree:
  """Returns the partition spec of every array."""
  return jax.tree.map(lambda x: x.sharding.spec, tree)


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
  """Copies every leaf to every device; all processes pass the same leaves."""
  return jax.tree.map(lambda x: _put(x, replicated(mesh)), tree)


def split(tree: PyTree, mesh: Mesh, axis: int = 0) -> PyTree:
  """Splits an axis of every leaf over the devices; each process passes its own rows."""
  put = functools.partial(jax.make_array_from_process_local_data, batch_sharding(mesh, axis))
  return jax.tree.map(lambda x: put(np.asarray(x)), tree)


def put_table(table: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Copies a table of examples to the devices, a large one in equal shards.

  The rows of a batch come from all over the table. From a copy of it each device takes its own rows
  and nothing is sent, so a small table is copied; from a sharded table, rows travel (`take_rows`).

  Args:
    table: arrays [N, ...], the same on each process.
    mesh: mesh of `make_mesh`.

  Returns:
    The arrays on the devices; if sharded, padded with zeros to a multiple of the devices.
  """
  if sum(x.nbytes for x in table.values()) <= SMALL_TABLE or mesh.size == 1:
    return replicate(dict(table), mesh)
  pad = lambda x: np.concatenate([x, np.zeros_like(x[: -len(x) % mesh.size])])
  return {name: _put(pad(x), batch_sharding(mesh)) for name, x in table.items()}


def take_rows(shard: jax.Array, index: jax.Array) -> jax.Array:
  """Gathers rows of a sharded table; under `shard_map` over the mesh's axes.

  Devices exchange the indices of all, 4 bytes a row, then send each row of the batch once.

  Args:
    shard: [N / devices, ...], this device's shard of the table.
    index: [n], indices into the whole table of the rows for this device.

  Returns:
    [n, ...].
  """
  indices = jax.lax.all_gather(index, AXES, tiled=True).astype(jnp.uint32)
  first = jax.lax.axis_index(AXES).astype(jnp.uint32) * np.uint32(len(shard))
  local_index = indices - first  # for rows of other shards it wraps round, beyond the end
  rows = jnp.take(shard, local_index, axis=0, mode="fill", fill_value=0)
  return jax.lax.psum_scatter(rows, AXES, tiled=True)  # each row is a sum with one term not 0


def copy(tree: PyTree) -> PyTree:
  """Copies arrays on their devices, in the order of dispatch: the originals may be donated next."""
  leaves, kind = jax.tree.flatten(tree)
  return jax.tree.unflatten(kind, _copier(tuple(leaf.sharding for leaf in leaves))(leaves))


@functools.cache
def _copier(shardings: tuple[jax.sharding.Sharding, ...]) -> Callable[[list[Any]], list[Any]]:
  return jax.jit(lambda leaves: [jnp.copy(leaf) for leaf in leaves], out_shardings=list(shardings))


def local(tree: PyTree, mesh: Mesh) -> PyTree:
  """Gathers a tree to each device of this process; all processes call it together.

  Args:
    tree: arrays on the mesh, sharded or not.
    mesh: mesh of `make_mesh`.

  Returns:
    The tree on `local_mesh(mesh)`, to work on without the other processes.
  """
  if jax.process_count() == 1:
    return _gather(mesh)(tree) if mesh.shape.get("fsdp", 1) > 1 else tree
  sharding = replicated(local_mesh(mesh))

  def take(leaf: jax.Array) -> jax.Array:
    shards = [shard.data for shard in leaf.addressable_shards]
    return jax.make_array_from_single_device_arrays(leaf.shape, sharding, shards)

  return jax.tree.map(take, _gather(mesh)(tree))


def local_mesh(mesh: Mesh) -> Mesh:
  """Builds the mesh of this process's own devices."""
  devices = [device for device in mesh.devices.flat if device.process_index == jax.process_index()]
  return Mesh(np.array(devices).reshape(-1, 1), AXES)


def all_gather(tree: PyTree) -> PyTree:
  """Gathers arrays that are sharded over several processes, which call it together.

  Args:
    tree: arrays on one mesh.

  Returns:
    The tree, every array whole on the devices of this process.
  """
  is_local = lambda x: x.is_fully_addressable or x.is_fully_replicated
  sharded = [x for x in jax.tree.leaves(tree) if not is_local(x)]
  return _gather(sharded[0].sharding.mesh)(tree) if sharded else tree


def to_host(leaf: jax.Array) -> np.ndarray:
  """Fetches an array that this process holds whole; keys as their words, uint32."""
  if not leaf.is_fully_addressable:
    leaf = leaf.addressable_data(0)  # no collective: the other processes need not call it
  if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    leaf = jax.random.key_data(leaf)
  return np.asarray(leaf)


@functools.cache
def _gather(mesh: Mesh) -> Callable[[PyTree], PyTree]:
  return jax.jit(lambda tree: tree, out_shardings=replicated(mesh))


def _put(x: Any, sharding: NamedSharding) -> jax.Array:
  """Copies an array that every process holds to the devices."""
  if jax.process_count() == 1:
    return jax.device_put(x, sharding)
  x = np.asarray(x)
  return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])
