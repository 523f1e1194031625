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
import logging
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Self

import jax

from gan_jax.game.core import State
from gan_jax.game.random import as_key
from gan_jax.parallel.mesh import all_gather, copy
from gan_jax.parallel.processes import any_process, is_first
from gan_jax.run.training.saving.leaves import (
  Leaves,
  OtherGameError,
  check_same_game,
  check_sizes,
  checksum,
  describe,
  on_host,
  reason,
  shapes,
  with_key_of,
  with_sharding,
)

BEST = "best"  # folder of a run that keeps the checkpoint with the best scores
UNFINISHED = ".orbax-checkpoint-tmp"  # what a checkpoint is called until all of it is written

Inspect = Callable[[Leaves], Mapping[str, Any]]
Inspected = tuple[int, dict[str, Any]]  # a round, and the JSON beside its leaves

_LOG = logging.getLogger(__name__)


class DamagedError(ValueError):
  """No checkpoint of a run can be read."""


class SaveError(OSError):
  """A checkpoint could not be written; those before it are as they were."""


class Checkpoints:
  """The checkpoints of one run, by round."""

  def __init__(
    self, folder: str | pathlib.Path, keep: int = 3, every: int = 0, thread: Executor | None = None
  ):
    """Opens the folder.

    Args:
      folder: folder of the checkpoints; created by the first save.
      keep: number of newest checkpoints that are kept.
      every: rounds between older checkpoints that are kept as well; 0 for none.
      thread: one that does one thing after the other, of other checkpoints as well, which are then
        on disk in the order in which they were saved; by default one of its own.
    """
    self.folder = pathlib.Path(folder).resolve()
    self._begin = (thread or ThreadPoolExecutor(max_workers=1)).submit
    self._inspecting: Future[Inspected] | None = None
    self._writing: Future[None] | None = None  # until it is known how it ended
    for name in ("absl", "asyncio"):  # Orbax tells every step, and errors before it raises them
      logging.getLogger(name).setLevel(logging.CRITICAL)
    self._keep = keep, every
    self._manager: Any = self._open() if self.folder.is_dir() else None

  def _open(self) -> Any:
    """Opens the folder by Orbax, which is imported when there is, or will be, a checkpoint."""
    from gan_jax.run.training.saving.orbax_manager import Manager

    return Manager(self.folder, *self._keep)

  def rounds(self) -> list[int]:
    """Lists the rounds that are saved, oldest first."""
    return sorted(self._manager.all_steps()) if self._manager else []

  def save(self, state: State, inspect: Inspect = lambda leaves: {}) -> None:
    """Copies a state, which may be changed then, and saves the copy. A round is saved once.

    A save before it that is not done is waited for.

    Args:
      state: state to save.
      inspect: function of the leaves that returns notes, values for JSON to keep beside them. Its
        errors are raised by `inspected`, `wait`, `close` or the next save; nothing is written.

    Raises:
      SaveError: if this or the save before could not be written.
    """
    self.wait()
    saved = copy(state)
    self._inspecting = self._begin(_inspect, all_gather(saved), inspect)
    self._writing = self._begin(self._write, saved, self._inspecting)

  def _write(self, state: State, inspecting: Future[Inspected]) -> None:
    """Writes a state that has passed its inspection."""
    round, about = inspecting.result()
    with self._one_error():
      if self._manager is None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._manager = self._open()
      self._tidy()
      if round in self.rounds():
        return
      self._manager.write(round, state, {**about, "crc32": checksum(about)})

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
    like = jax.tree.map(with_sharding, like)
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

  def inspected(self) -> None:
    """Waits until the state saved last has been inspected; raises the inspection's error."""
    if self._inspecting is not None and self._inspecting.exception():
      self.wait()

  def wait(self) -> None:
    """Waits until everything is on disk; raises SaveError if it cannot be."""
    if self._writing is not None:
      error = self._writing.exception()
      self._inspecting = self._writing = None
      if error is not None:
        raise error

  def check(self) -> None:
    """Raises SaveError if the last save could not be written; waits for nothing.

    An inspection's error is raised elsewhere, by several processes together.
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
    """Deletes folders of saves that were killed or failed; only the run itself may."""
    for unfinished in self.folder.glob(f"*{UNFINISHED}"):
      shutil.rmtree(unfinished, ignore_errors=True)

  @contextlib.contextmanager
  def _one_error(self) -> Iterator[None]:
    """Raises any error of Orbax while writing as a SaveError of one line."""
    try:
      yield
    except Exception as error:
      rounds = self.rounds()
      newest = f"the newest checkpoint is of round {rounds[-1]}" if rounds else "there is none yet"
      raise SaveError(
        f"a checkpoint could not be written to {self.folder} ({reason(error)}); {newest}"
      ) from error

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
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
    """Loads one checkpoint; returns None and the damage if it is damaged."""
    try:
      leaves = self._about(step)["leaves"]
      like = with_key_of(leaves, like)
      check_same_game(leaves, shapes(like), self._path(step))
      check_sizes(self._path(step) / "state", like)
      state = self._manager.read(step, like)
    except (OtherGameError, MemoryError, jax.errors.JaxRuntimeError):
      raise
    except Exception as error:  # Orbax raises bare Exceptions for files that are cut short
      if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        raise  # too many open files, no permission, a disk that is away: not the checkpoint's fault
      return None, f"{type(error).__name__}: {reason(error)}"
    restored = describe(state, on_host(all_gather(state)))
    wrong = [name for name, leaf in leaves.items() if restored[name] != leaf]
    if wrong:
      return None, f"checksum of {wrong[0]} does not match"
    if like.key.dtype != (key := as_key(state.key)).dtype:
      _LOG.warning("checkpoint %s has a key of another kind: rounds draw otherwise", step)
    return state.replace(key=key), ""

  def _about(self, step: int) -> dict[str, Any]:
    """Loads the descriptions of a checkpoint's leaves, and its notes."""
    values = self._manager.read_about(step)
    if all(name.startswith(".") for name in values):  # as it was written before there were notes
      return {"leaves": values, "notes": {}}
    about = {key: values[key] for key in ("leaves", "notes")}
    if checksum(about) != values["crc32"]:
      raise ValueError("checksum of what it says of itself does not match")
    return about


def _inspect(state: State, inspect: Inspect) -> Inspected:
  leaves = on_host(state)
  notes = inspect(leaves)
  return int(leaves[".round"]), {"leaves": describe(state, leaves), "notes": dict(notes)}
