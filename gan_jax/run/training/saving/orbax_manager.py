"""Orbax's manager of checkpoints, as this project needs it, and what its errors come to."""

import os
import pathlib
import re
from typing import Any

import jax
import orbax.checkpoint as ocp


class _Manager(ocp.CheckpointManager):
  """Orbax's, which does not ask JAX whether to stop: `interruption` does, and counts how often."""

  def reached_preemption(self, step: int) -> bool:
    return False


def make_manager(folder: pathlib.Path, keep: int, every: int) -> ocp.CheckpointManager:
  """Builds the manager of a folder, which keeps so many checkpoints, and those of every so many."""
  count = jax.process_count()
  options = ocp.CheckpointManagerOptions(
    max_to_keep=keep,
    keep_period=every or None,
    create=False,
    enable_async_checkpointing=False,
    # By these, processes wait for each other without the loop's devices.
    multiprocessing_options=ocp.options.MultiprocessingOptions(
      active_processes=set(range(count)) if count > 1 else None
    ),
  )
  return _Manager(folder, options=options, item_names=("state", "leaves"))


def one_copy(leaf: jax.Array) -> jax.Array:
  """Returns one device's copy of a leaf that all devices of one process have.

  Orbax would have each device write a part, and compile a program for each that cuts it out.
  """
  alone = jax.process_count() == 1
  return leaf.addressable_data(0) if alone and leaf.is_fully_replicated else leaf


def with_sharding(leaf: Any) -> Any:
  """Puts a leaf that has no sharding on the first device; Orbax would want the saved one."""
  if getattr(leaf, "sharding", None) is not None:
    return leaf
  first = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=first)


def reason(error: Exception) -> str:
  """Shortens an error of Orbax or TensorStore, which may have pages, to its cause."""
  if match := re.search(r"os_error_code='(\d+)'", str(error)):
    return os.strerror(int(match[1]))
  text = (str(error).splitlines() or [type(error).__name__])[0].split(" [tensorstore_spec")[0]
  return text if len(text) < 300 else text[:300] + " ..."
