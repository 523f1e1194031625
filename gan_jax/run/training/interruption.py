"""Signals: a run that is asked to stop does so where its state can be saved, and in time."""

import contextlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import jax
from jax._src import distributed  # its client, which is public nowhere
from jax.experimental import multihost_utils

from gan_jax.parallel.processes import is_collective

AGAIN = 75  # exit code: start the same command again, and it goes on (EX_TEMPFAIL of sysexits.h)
GRACE = 25.0  # seconds; Kubernetes, SLURM and preemptible machines kill after 30
NUMBERS = (signal.SIGINT, signal.SIGTERM)
NOTICE = "RECEIVED_PREEMPTION_NOTICE"  # where JAX tells all processes that one was asked to stop
EXIT_KEY = "gan_jax/gone"  # where the first process, when it ends, broadcasts its exit code
BESIDE = "beside"  # name of the thread of `interruptible`
PROPAGATION = 2.0  # seconds until all have read it: JAX and each process look once a second


T = TypeVar("T")


class Interrupted(KeyboardInterrupt):
  """A run was asked to stop."""


class Interruption:
  """What came of SIGINT, SIGTERM and notices of preemption.

  Between a dispatch and its result the state is nowhere, and could not be saved: so a signal raises
  nothing there, and is asked for. A second one does raise.
  """

  def __init__(self) -> None:
    self._came = self._at_once = False
    self._asked = 0
    self.heard = threading.Event()  # that this or another process was asked to stop

  def __call__(self) -> bool:
    """Tells whether to stop now; of several processes all are told so at the same call."""
    self._asked += 1  # they agree on a number that is still ahead of them all, and not on a round
    return self._came or (_several() and multihost_utils.reached_preemption_sync_point(self._asked))

  @contextlib.contextmanager
  def at_once(self) -> Iterator[None]:
    """Lets signals raise Interrupted, where the state is at hand and work can be done again."""
    self._at_once = not _several()
    try:
      if self._came and self._at_once:
        raise Interrupted("stopped")
      yield
    finally:
      self._at_once = False

  def note(self, number: int, frame: Any) -> None:
    """Handles a signal; that of several processes is in the hands of the watchdog, and of JAX."""
    if _several():
      return
    if self._came:
      raise Interrupted("stopped at once, as asked twice; what was not saved is lost")
    if self._at_once:
      self._came = True
      raise Interrupted("stopped")
    self._came = True


@contextlib.contextmanager
def interruption(grace_seconds: float = GRACE) -> Iterator[Interruption]:
  """Takes SIGINT and SIGTERM while a run is played.

  Args:
    grace_seconds: time from the first signal to the end of the process, whatever it is busy with:
      without having saved, if need be; and of all processes, whichever of them it came to. Of
      several, up to four seconds of it go by until all have heard of it and can leave in turn.

  Yields:
    What tells whether one came.

  Raises:
    Interrupted: where several processes were to stop, and another has left before they could.
  """
  found = Interruption()
  if threading.current_thread() is not threading.main_thread():  # others get no signals
    yield found
    return
  mine = NUMBERS[:1] if _several() else NUMBERS  # JAX handles SIGTERM for several processes
  before = {number: signal.signal(number, found.note) for number in mine}
  try:
    with _watchdog(grace_seconds, found.heard):
      yield found
  except jax.errors.JaxRuntimeError as error:
    if found.heard.is_set() and _several():
      raise Interrupted("left with another process, which was not done in time") from error
    raise
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def interruptible(work: Callable[[], T]) -> T:
  """Does work in another thread, so that what a signal raises here need not wait for its end.

  A compilation is one instruction of Python, between two of which handlers run; what waits for a
  thread is none. The thread goes on when this is left by an error, and ends with the process.

  Args:
    work: what to do.

  Returns:
    What it returns.
  """
  done: Future[T] = Future()

  def do() -> None:
    try:
      done.set_result(work())
    except BaseException as error:
      done.set_exception(error)

  threading.Thread(target=do, name=BESIDE, daemon=True).start()
  return done.result()


def is_busy() -> bool:
  """Tells whether work of `interruptible` that was left goes on."""
  return any(thread.name == BESIDE for thread in threading.enumerate())


def _several() -> bool:
  """Tells whether JAX makes several processes stop together."""
  return jax.distributed.is_initialized()


def broadcast_exit(code: int) -> None:
  """Broadcasts that this process exits, if it is the first, without which JAX ends the others.

  In what they wait for, they would hear of it as of a crash.

  Args:
    code: exit code of this process, and of the others.
  """
  client = distributed.global_state.client
  if client is not None and distributed.global_state.process_id == 0:
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # there is nobody left to be told
      client.key_value_set(EXIT_KEY, str(code), allow_overwrite=True)
      time.sleep(PROPAGATION)


@contextlib.contextmanager
def exit_on_local_failure() -> Iterator[None]:
  """Exits at once if this process alone has failed: JAX would wait for the others to end.

  They fail in the next thing that all do together, and end likewise.
  """
  try:
    yield
  except BaseException as error:
    cause = error.__context__ if isinstance(error, SystemExit) else error
    if cause is None or is_collective(cause):
      raise
    if isinstance(error, jax.errors.JaxRuntimeError):
      print(f"gan_jax: another process is gone, or out of reach: {error}", file=sys.stderr)
    elif cause is error:
      traceback.print_exception(error)
    sys.stderr.flush()
    code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
    broadcast_exit(code)
    os._exit(code)


def _read_key(what: str) -> str:
  """Reads a value that one of several processes has broadcast; empty if there is none."""
  client = distributed.global_state.client
  try:
    return client.key_value_try_get(what) if client is not None else ""
  except jax.errors.JaxRuntimeError:  # there is no such key; or nobody to ask, which JAX finds too
    return ""


@contextlib.contextmanager
def _watchdog(grace_seconds: float, heard: threading.Event) -> Iterator[None]:
  """Ends the process when the time after a signal is over.

  Python's own handlers run between two instructions of Python, and a compilation or a write to a
  disk that hangs is one: a thread of its own watches where the interpreter notes signals at once.
  """
  read, write = os.pipe()
  os.set_blocking(write, False)
  before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  thread = threading.Thread(target=_watch, args=(read, grace_seconds, heard), daemon=True)
  thread.start()
  try:
    yield
  finally:
    signal.set_wakeup_fd(before)
    os.close(write)
    thread.join()
    os.close(read)


def _watch(read: int, grace_seconds: float, heard: threading.Event) -> None:
  """Waits for a signal, then for the end of the run, which closes what it reads from."""
  if not _wait(read):
    return
  heard.set()
  came, end = b"?", time.monotonic() + _bound(grace_seconds)
  while came and (left := end - time.monotonic()) > 0:
    if select.select([read], [], [], left)[0]:
      came = os.read(read, 1)
  if came:
    print(
      f"gan_jax: not done {grace_seconds:g} s after being asked to stop: left without saving the"
      " rounds since the last checkpoint",
      file=sys.stderr,
      flush=True,
    )
    os._exit(AGAIN)


def _wait(read: int) -> bool:
  """Waits until this process, or another of several, is asked to stop; False if the run ends."""
  while True:
    if not select.select([read], [], [], 1.0 if _several() else None)[0]:
      if _read_key(NOTICE):
        return True
      if (code := _read_key(EXIT_KEY)) and distributed.global_state.process_id != 0:
        print("gan_jax: another process has ended; it says why", file=sys.stderr, flush=True)
        os._exit(int(code))
    elif not (came := os.read(read, 1)):
      return False
    elif _several() and came[0] == signal.SIGINT:
      os.kill(os.getpid(), signal.SIGTERM)  # which JAX tells to all
    elif came[0] in NUMBERS and not _several():
      return True


def _bound(grace_seconds: float) -> float:
  """Finds how long to wait from here; the first process, whose end JAX takes ill, leaves last."""
  if not _several():
    return grace_seconds
  first = distributed.global_state.process_id == 0
  return grace_seconds - (PROPAGATION if first else 2 * PROPAGATION)
