"""Checkpoints: all of `State`, saved by Orbax while training goes on, restored bit for bit.

Training is held up for a copy of the state on its devices. One thread fetches the copy, looks at
it, sums it up and writes it, save after save; what goes wrong there is raised by what is called
next. Of several processes each has such a thread, and writes what it alone has; nothing is computed
together there, which must have one order on all, and only the loop has one.

Orbax restores flipped bits without a word and casts other dtypes silently, so each checkpoint holds
the shape, dtype and checksum of every leaf; one that does not match is named and passed over.

A checkpoint comes to be in a folder `N.orbax-checkpoint-tmp`, which takes the name `N` when all of
it is on disk: what is killed while it saves leaves nothing that looks like a checkpoint.
"""

import contextlib
import json
import logging
import math
import os
import pathlib
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from gan_jax.game.core import State
from gan_jax.game.random import as_key
from gan_jax.parallel.mesh import all_gather, copy, to_host
from gan_jax.parallel.processes import any_process, is_first
from gan_jax.run.training.saving.tensorstore_leak import without_leak

BEST = "best"  # folder of a run that keeps the checkpoint with the best scores
UNFINISHED = ".orbax-checkpoint-tmp"  # what a checkpoint is called until all of it is written

Leaves = Mapping[str, np.ndarray]  # of a state, whole, on the host
Look = Callable[[Leaves], Mapping[str, Any]]

_LOG = logging.getLogger(__name__)


class DamagedError(ValueError):
  """No checkpoint of a run can be read."""


class OtherGameError(ValueError):
  """A checkpoint holds a state of other arrays than those that were asked for."""


class SaveError(OSError):
  """A checkpoint could not be written; those before it are as they were."""


class Checkpoints:
  """The checkpoints of one run, by round."""

  def __init__(
    self,
    folder: str | pathlib.Path,
    keep: int = 3,
    every: int = 0,
    thread: Executor | None = None,
  ):
    """Opens the folder.

    Args:
      folder: where they are; made when first saved to.
      keep: how many to keep, the newest.
      every: those of each so many rounds are kept as well; 0 for none.
      thread: one that does one thing after the other, of other checkpoints as well, which are then
        on disk in the order in which they were saved; by default one of its own.
    """
    self.folder = pathlib.Path(folder).resolve()
    self._begin = (thread or ThreadPoolExecutor(max_workers=1)).submit
    self._looking: Future[_Looked] | None = None
    self._writing: Future[None] | None = None  # until it is known how it ended
    options = ocp.CheckpointManagerOptions(
      max_to_keep=keep,
      keep_period=every or None,
      create=False,
      enable_async_checkpointing=False,
      multiprocessing_options=_waiting_in_threads(),
    )
    for name in ("absl", "asyncio"):  # Orbax tells every step, and errors before it raises them
      logging.getLogger(name).setLevel(logging.CRITICAL)
    self._make = lambda: _Manager(self.folder, options=options, item_names=("state", "leaves"))
    self._manager: Any = self._make() if self.folder.is_dir() else None

  def rounds(self) -> list[int]:
    """Lists the rounds that are saved, oldest first."""
    return sorted(self._manager.all_steps()) if self._manager else []

  def save(self, state: State, look: Look = lambda leaves: {}) -> None:
    """Copies a state, which may be changed then, and saves the copy. A round is saved once.

    A save before it that is not done is waited for.

    Args:
      state: what to save.
      look: looks at the leaves, and returns values for JSON to keep beside them. What it raises is
        raised by `looked`, `wait`, `close` or the next save; nothing is written.

    Raises:
      SaveError: if this or the save before could not be written.
    """
    self.wait()
    kept = copy(state)
    self._looking = self._begin(_look_at, all_gather(kept), look)
    self._writing = self._begin(self._write, kept, self._looking)

  def _write(self, state: State, looking: "Future[_Looked]") -> None:
    """Writes a state that has been looked at."""
    looked = looking.result()
    with self._telling(), without_leak():
      if self._manager is None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._manager = self._make()
      self._tidy()
      if looked.round in self.rounds():
        return
      args = ocp.args.Composite(
        state=ocp.args.StandardSave(state),
        leaves=ocp.args.JsonSave({**looked.about, "crc32": _checksum(looked.about)}),
      )
      self._manager.save(looked.round, args=args, force=True)

  def notes(self, at: int) -> dict[str, Any]:
    """Reads the notes beside the checkpoint of a round that has been restored."""
    return self._about(at)["notes"]

  def forget(self, after: int) -> None:
    """Deletes what was saved after a round, which a run that goes on from there plays again."""
    self._tidy()
    late = [step for step in self.rounds() if step > after]
    if late:
      self._delete(late)

  def restore(self, like: State, at: int | None = None, *, repair: bool = False) -> State | None:
    """Restores a state.

    Args:
      like: a state, or its shapes, with shardings to restore onto several devices; without, it is
        restored onto one, wherever it was saved.
      at: the round; by default the newest whose checkpoint is undamaged.
      repair: whether to delete the damaged ones, so that their rounds can be saved again, and what
        killed saves have left. No damaged one is deleted before an undamaged one has been read.

    Returns:
      The state, or None if nothing has been saved.

    Raises:
      ValueError: if there is no checkpoint of round `at`.
      OtherGameError: if the checkpoint is of another game.
      DamagedError: if the checkpoint of round `at` is damaged, or all are.
      OSError, MemoryError: if reading fails for a reason that is not the checkpoint's.
    """
    if repair:
      self._tidy()
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
          self._delete(damaged)
        return state
      damaged.append(step)
      if at is not None:
        others = [r for r in rounds if r != at]
        raise DamagedError(
          f"checkpoint {self._path(at)} is damaged ({problem}); other rounds: {others}"
        )
      if self._path(step).is_dir():  # or training has deleted it meanwhile
        _LOG.warning("checkpoint %s is damaged (%s)", self._path(step), problem)
    raise DamagedError(
      f"every checkpoint in {self.folder} is damaged, rounds {rounds}; restore it from a copy, or "
      "move the folder away to start over"
    )

  def looked(self) -> None:
    """Waits until the state saved last has been looked at; raises what looking has raised."""
    if self._looking is not None and self._looking.exception():
      self.wait()

  def wait(self) -> None:
    """Waits until everything is on disk; raises SaveError if it cannot be."""
    if self._writing is not None:
      error = self._writing.exception()
      self._looking = self._writing = None
      if error is not None:
        raise error

  def check(self) -> None:
    """Raises SaveError if the last save could not be written; waits for nothing.

    What was found by looking is raised elsewhere, where several processes find it together.
    """
    writing = self._writing
    if writing and writing.done() and isinstance(writing.exception(), SaveError):
      self.wait()

  def close(self) -> None:
    """Waits until everything is on disk and lets go of the folder."""
    try:
      self.wait()
    finally:
      if self._manager:
        self._manager.close()
        self._manager = None

  def _tidy(self) -> None:
    """Deletes what saves have left that were killed or failed; only the run itself may."""
    for left in self.folder.glob(f"*{UNFINISHED}"):
      shutil.rmtree(left, ignore_errors=True)

  @contextlib.contextmanager
  def _telling(self) -> Iterator[None]:
    """Makes one plain error of whatever Orbax raises when it cannot write."""
    try:
      yield
    except Exception as error:
      rounds = self.rounds()
      newest = f"the newest checkpoint is of round {rounds[-1]}" if rounds else "there is none yet"
      raise SaveError(
        f"a checkpoint could not be written to {self.folder} ({_reason(error)}); {newest}"
      ) from error

  def __enter__(self) -> Self:
    return self

  def __exit__(
    self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
  ) -> None:
    self.close()

  def _delete(self, steps: Sequence[int]) -> None:
    """Deletes checkpoints; one process does, and the others wait for it."""
    for step in steps if is_first() else ():
      shutil.rmtree(self._path(step))
    any_process(False)
    self._manager.reload()

  def _path(self, step: int) -> pathlib.Path:
    return self.folder / str(step)

  def _read(self, step: int, like: State) -> tuple[State | None, str]:
    """Reads one checkpoint; gives None and what is wrong with it if it is damaged."""
    try:
      leaves = self._about(step)["leaves"]
      like = _with_key_of(leaves, like)
      _same_game(leaves, _shapes(like), self._path(step))
      args = ocp.args.Composite(state=ocp.args.StandardRestore(like))
      _check_sizes(self._path(step) / "state", like)
      state = self._manager.restore(step, args=args)["state"]
    except (OtherGameError, MemoryError, jax.errors.JaxRuntimeError):
      raise
    except Exception as error:  # Orbax raises bare Exceptions for files that are cut short
      if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        raise  # too many open files, no permission, a disk that is away: not the checkpoint's fault
      return None, f"{type(error).__name__}: {_reason(error)}"
    found = _describe(state, on_host(all_gather(state)))
    wrong = [name for name, leaf in leaves.items() if found[name] != leaf]
    if wrong:
      return None, f"checksum of {wrong[0]} does not match"
    if like.key.dtype != (key := as_key(state.key)).dtype:
      _LOG.warning("checkpoint %s has a key of another kind: rounds draw otherwise", step)
    return state.replace(key=key), ""

  def _about(self, step: int) -> dict[str, Any]:
    """Reads what a checkpoint says of its leaves, and its notes."""
    args = ocp.args.Composite(leaves=ocp.args.JsonRestore())
    found = self._manager.restore(step, args=args)["leaves"]
    if all(name.startswith(".") for name in found):  # as it was written before there were notes
      return {"leaves": found, "notes": {}}
    about = {key: found[key] for key in ("leaves", "notes")}
    if _checksum(about) != found["crc32"]:
      raise ValueError("checksum of what it says of itself does not match")
    return about


class _Manager(ocp.CheckpointManager):
  """Orbax's, which does not ask JAX whether to stop: `interruption` does, and counts how often."""

  def reached_preemption(self, step: int) -> bool:
    return False


def _waiting_in_threads() -> ocp.options.MultiprocessingOptions:
  """Lets several processes wait for each other without their devices, which are the loop's."""
  count = jax.process_count()
  return ocp.options.MultiprocessingOptions(
    active_processes=set(range(count)) if count > 1 else None
  )


def _check_sizes(folder: pathlib.Path, like: State) -> None:
  """Refuses arrays that would take more memory than the state: few bytes may announce many."""
  arrays = jax.tree.leaves(ocp.StandardCheckpointHandler().metadata(folder).tree)
  for array in arrays:
    part = array.storage.chunk_shape  # is unfolded whole, however little of it the array has
    if math.prod(part) > max(1, math.prod(array.shape)):
      raise ValueError(f"an array of the shape {array.shape} is stored in parts of {part}")
  stored = sum(math.prod(array.shape) * np.dtype(array.dtype).itemsize for array in arrays)
  wanted = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(like))
  if stored > wanted:
    raise ValueError(f"its arrays have {stored} bytes, and the state has {wanted}")


def _somewhere(leaf: Any) -> Any:
  """Puts a leaf that has no sharding on the first device; Orbax would want where it was saved."""
  if getattr(leaf, "sharding", None) is not None:
    return leaf
  here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here)


def _with_key_of(leaves: Mapping[str, Any], like: State) -> State:
  """Lets a key be of the kind it was saved as, of runs from when JAX's default was taken."""
  kinds = {"key<rbg>": "rbg", "key<urbg>": "unsafe_rbg"}
  saved = leaves.get(".key", {}).get("dtype")
  if saved not in kinds:
    return like
  key = jax.eval_shape(lambda: jax.random.key(0, impl=kinds[saved]))
  sharding = like.key.sharding
  return like.replace(key=jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=sharding))


def _same_game(saved: dict[str, Any], wanted: dict[str, Any], path: pathlib.Path) -> None:
  if ".images" not in saved:
    raise OtherGameError(
      f"checkpoint {path} is of an earlier version of gan_jax, which averaged parameters without "
      "bias correction and sampled them under other batch statistics; go on with it by that "
      "version (gan_jax 0.1), or train anew in another --workdir"
    )
  for name in sorted(saved.keys() | wanted.keys()):
    a, b = saved.get(name), wanted.get(name)
    if a is None or b is None or a["shape"] != b["shape"] or a["dtype"] != b["dtype"]:
      show = lambda leaf: f"{leaf['dtype']}{leaf['shape']}" if leaf else "nothing"
      raise OtherGameError(
        f"checkpoint {path} is of another game: {name} is {show(a)} there, {show(b)} here; "
        "use the config the run was started with, or another --workdir"
      )


class _Looked(NamedTuple):
  """What is known of a state that may be written: its round, and what lies beside it."""

  round: int
  about: dict[str, Any]


def _look_at(state: State, look: Look) -> _Looked:
  leaves = on_host(state)
  notes = look(leaves)
  about = {"leaves": _describe(state, leaves), "notes": dict(notes)}
  return _Looked(int(leaves[".round"]), about)


def on_host(state: State) -> dict[str, np.ndarray]:
  """Reads every leaf of a state by its name; keys as the numbers they are made of."""
  leaves = jax.tree_util.tree_leaves_with_path(state)
  return {jax.tree_util.keystr(path): to_host(leaf) for path, leaf in leaves}


def _shapes(state: State) -> dict[str, dict[str, Any]]:
  """Describes every leaf by its shape and dtype."""
  leaves = jax.tree_util.tree_leaves_with_path(state)
  return {
    jax.tree_util.keystr(path): {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}
    for path, leaf in leaves
  }


def _describe(state: State, leaves: Leaves) -> dict[str, dict[str, Any]]:
  """Describes every leaf by its shape and dtype, and its bytes by a checksum."""
  shapes = _shapes(state)
  return {name: {**shapes[name], "crc32": _crc32(x)} for name, x in leaves.items()}


def _crc32(values: np.ndarray) -> int:
  return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _checksum(values: Mapping[str, Any]) -> int:
  return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def _reason(error: Exception) -> str:
  """Cuts what Orbax and TensorStore say, which goes on for pages, to what went wrong."""
  if found := re.search(r"os_error_code='(\d+)'", str(error)):
    return os.strerror(int(found[1]))
  text = (str(error).splitlines() or [type(error).__name__])[0].split(" [tensorstore_spec")[0]
  return text if len(text) < 300 else text[:300] + " ..."
