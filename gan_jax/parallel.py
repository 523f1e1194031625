"""Layouts: how state and batches lie on the devices.

The default is data parallelism under `jit`: batches are split over the mesh axis `data`, the state
is on every device, and the compiler inserts one all-reduce of gradients per move.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

PyTree = Any


def data_mesh(batch_size: int) -> Mesh:
  """Makes a mesh of all devices along one axis, `data`.

  Args:
    batch_size: of the global batch.

  Returns:
    The mesh.

  Raises:
    ValueError: if the devices cannot share the batch evenly.
  """
  devices = jax.devices()
  if batch_size % len(devices):
    raise ValueError(
      f"config.batch_size = {batch_size} cannot be split over {len(devices)} devices; "
      f"use a multiple of {len(devices)}"
    )
  return Mesh(np.array(devices), ("data",))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
  """Puts a copy of every leaf on every device."""
  return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split(tree: PyTree, mesh: Mesh, axis: int = 0) -> PyTree:
  """Splits an axis of every leaf over the devices; usable inside jit as well."""
  spec = NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))
  if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree)):
    return jax.lax.with_sharding_constraint(tree, spec)
  return jax.device_put(tree, spec)
