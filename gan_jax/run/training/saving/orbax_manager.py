"""Orbax's manager of checkpoints, as this project needs it.

Orbax takes half a second to import: who has no checkpoint yet does without this module.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp

from gan_jax.game.core import State
from gan_jax.run.training.saving.tensorstore_leak import without_leak


class Manager(ocp.CheckpointManager):
  """The checkpoints of a folder: a state, and a JSON of what is said about it.

  Orbax asks JAX whether to stop; this one does not: `interruption` does, and counts how often.
  """

  def __init__(self, folder: pathlib.Path, keep: int, every: int):
    """Opens a folder, which keeps so many checkpoints, and those of every so many rounds."""
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
    super().__init__(folder, options=options, item_names=("state", "leaves"))

  def reached_preemption(self, step: int) -> bool:
    return False

  def write(self, round: int, state: State, about: Mapping[str, Any]) -> None:
    """Writes a state, and what is said about it."""
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(jax.tree.map(_one_copy, state)), leaves=ocp.args.JsonSave(about)
    )
    with without_leak():
      self.save(round, args=args, force=True)

  def read(self, round: int, like: State) -> State:
    """Loads a state onto the devices of another, or of its shapes."""
    args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
    return self.restore(round, args=args)["state"]

  def read_about(self, round: int) -> dict[str, Any]:
    """Loads what is said about a state."""
    return self.restore(round, args=ocp.args.Composite(leaves=ocp.args.JsonRestore()))["leaves"]


def _one_copy(leaf: jax.Array) -> jax.Array:
  """Returns one device's copy of a leaf that all devices of one process have.

  Orbax would have each device write a part, and compile a program for each that cuts it out.
  """
  alone = jax.process_count() == 1
  return leaf.addressable_data(0) if alone and leaf.is_fully_replicated else leaf
