"""Checkpoints: all of `State`, saved by Orbax while training goes on, restored bit for bit.

Orbax restores flipped bits without a word and casts other dtypes silently, so each checkpoint holds
the shape, dtype and checksum of every leaf; one that does not match is named and passed over.
"""

import logging
import pathlib
import shutil
import zlib
from types import TracebackType
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from gan_jax.game import State

BEST = "best"  # folder of a run that keeps the checkpoint with the best scores

_LOG = logging.getLogger(__name__)


class DamagedError(ValueError):
  """No checkpoint of a run can be read."""


class Checkpoints:
  """The checkpoints of one run, by round."""

  def __init__(self, folder: str | pathlib.Path, keep: int = 3):
    """Opens the folder.

    Args:
      folder: where they are; made when first saved to.
      keep: how many to keep, the newest.
    """
    self.folder = pathlib.Path(folder).resolve()
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=False)
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax tells every step of a save
    self._make = lambda: ocp.CheckpointManager(
      self.folder, options=options, item_names=("state", "leaves")
    )
    self._manager: Any = self._make() if self.folder.is_dir() else None

  def rounds(self) -> list[int]:
    """Lists the rounds that are saved, oldest first."""
    return sorted(self._manager.all_steps()) if self._manager else []

  def save(self, state: State) -> None:
    """Starts saving; returns as soon as the state may be changed. A round is saved once.

    Args:
      state: what to save.
    """
    step = int(state.round)
    if self._manager is None:
      self.folder.mkdir(parents=True, exist_ok=True)
      self._manager = self._make()
    if step in self.rounds():
      return
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(state), leaves=ocp.args.JsonSave(_describe(state))
    )
    self._manager.save(step, args=args, force=True)

  def forget(self, after: int) -> None:
    """Deletes what was saved after a round, which a run that goes on from there plays again."""
    late = [step for step in self.rounds() if step > after]
    for step in late:
      shutil.rmtree(self._path(step))
    if late:
      self._manager.reload()

  def restore(self, like: State, at: int | None = None, *, repair: bool = False) -> State | None:
    """Restores a state.

    Args:
      like: a state, or its shapes, with shardings to restore onto several devices; without, it is
        restored onto one, wherever it was saved.
      at: the round; by default the newest whose checkpoint is undamaged.
      repair: whether to delete the damaged ones, so that their rounds can be saved again. Nothing
        is deleted before an undamaged one has been read.

    Returns:
      The state, or None if nothing has been saved.

    Raises:
      ValueError: if there is no checkpoint of round `at`, or the checkpoint is of another game.
      DamagedError: if the checkpoint of round `at` is damaged, or all are.
      OSError, MemoryError: if reading fails for a reason that is not the checkpoint's.
    """
    rounds = self.rounds()
    if at is not None and at not in rounds:
      raise ValueError(f"no checkpoint of round {at} in {self.folder}; there are: {rounds}")
    if not rounds:
      return None
    like = jax.tree.map(_somewhere, like)
    damaged: list[int] = []
    for step in [at] if at is not None else rounds[::-1]:
      state, problem = self._read(step, like)
      if state is not None:
        if repair and damaged:
          for bad in damaged:
            shutil.rmtree(self._path(bad))
          self._manager.reload()
        return state
      damaged.append(step)
      if at is not None:
        others = [r for r in rounds if r != at]
        raise DamagedError(
          f"checkpoint {self._path(at)} is damaged ({problem}); other rounds: {others}"
        )
      _LOG.warning("checkpoint %s is damaged (%s)", self._path(step), problem)
    raise DamagedError(
      f"every checkpoint in {self.folder} is damaged, rounds {rounds}; restore it from a copy, or "
      "move the folder away to start over"
    )

  def wait(self) -> None:
    """Waits until everything is on disk."""
    if self._manager:
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits until everything is on disk and lets go of the folder."""
    if self._manager:
      self._manager.close()
      self._manager = None

  def __enter__(self) -> Self:
    return self

  def __exit__(
    self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
  ) -> None:
    self.close()

  def _path(self, step: int) -> pathlib.Path:
    return self.folder / str(step)

  def _read(self, step: int, like: State) -> tuple[State | None, str]:
    """Reads one checkpoint; gives None and what is wrong with it if it is damaged."""
    try:
      leaves = self._manager.restore(step, args=ocp.args.Composite(leaves=ocp.args.JsonRestore()))
      _same_game(leaves["leaves"], _describe(like, checksums=False), self._path(step))
      args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
      state = self._manager.restore(step, args=args)["state"]
    except (_OtherGameError, MemoryError, jax.errors.JaxRuntimeError):
      raise
    except Exception as error:  # Orbax raises bare Exceptions for files that are cut short
      if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        raise  # too many open files, no permission, a disk that is away: not the checkpoint's fault
      return None, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    found = _describe(state)
    wrong = [name for name, leaf in leaves["leaves"].items() if found[name] != leaf]
    return (state, "") if not wrong else (None, f"checksum of {wrong[0]} does not match")


class _OtherGameError(ValueError):
  pass


def _somewhere(leaf: Any) -> Any:
  """Puts a leaf that has no sharding on the first device; Orbax would want where it was saved."""
  if getattr(leaf, "sharding", None) is not None:
    return leaf
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here)


def _same_game(saved: dict[str, Any], wanted: dict[str, Any], path: pathlib.Path) -> None:
  for name in sorted(saved.keys() | wanted.keys()):
    a, b = saved.get(name), wanted.get(name)
    if a is None or b is None or a["shape"] != b["shape"] or a["dtype"] != b["dtype"]:
      show = lambda leaf: f"{leaf['dtype']}{leaf['shape']}" if leaf else "nothing"
      raise _OtherGameError(
        f"checkpoint {path} is of another game: {name} is {show(a)} there, {show(b)} here; "
        "use the config the run was started with, or another workdir"
      )


def _describe(state: State, checksums: bool = True) -> dict[str, Any]:
  """Describes every leaf by its shape and dtype, and its bytes by a checksum."""
  leaves = jax.tree_util.tree_leaves_with_path(state)
  return {jax.tree_util.keystr(path): _describe_leaf(leaf, checksums) for path, leaf in leaves}


def _describe_leaf(leaf: Any, checksums: bool) -> dict[str, Any]:
  found: dict[str, Any] = {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}
  if checksums:
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    values = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
    found["crc32"] = zlib.crc32(np.ascontiguousarray(values).tobytes())
  return found
