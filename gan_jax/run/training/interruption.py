"""Signals: a run that is asked to stop does so in time, where its state can be saved."""

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
from jax.experimental import multihost_utils

from gan_jax.parallel.processes import is_collective

AGAIN = 75  # exit code: start the same command again, and it goes on (EX_TEMPFAIL of sysexits.h)
GRACE = 25.0  # seconds; Kubernetes, SLURM and preemptible machines kill after 30
NUMBERS = (signal.SIGINT, signal.SIGTERM)
# Keys of JAX's coordination service: a process was asked to stop; the first one ends, with a code.
PREEMPTION_KEY, EXIT_KEY = "RECEIVED_PREEMPTION_NOTICE", "gan_jax/gone"
PROPAGATION_SECONDS = 2.0  # until all know of a key: JAX and each process poll once a second
WORKER = "interruptible"  # name of a thread

T = TypeVar("T")


class Interrupted(KeyboardInterrupt):
  """A run was asked to stop."""


class Interruption:
  """Requests to stop, by SIGINT, SIGTERM or a notice of preemption.

  Between a dispatch and its result the state is nowhere, and could not be saved: a signal raises
  nothing there, and the loop polls for it. A second one does raise.
  """

  def __init__(self) -> None:
    self._signaled = self._raises = False
    self._polls = 0
    self.requested = threading.Event()  # this or another process was asked to stop

  def __call__(self) -> bool:
    """Returns whether to stop now, the same for all of several processes at the same call."""
    self._polls += 1  # they agree on a number that is still ahead of them all, and not on a round
    return self._signaled or (
      _several() and multihost_utils.reached_preemption_sync_point(self._polls)
    )

  @contextlib.contextmanager
  def immediately(self) -> Iterator[None]:
    """Returns a context in which signals raise Interrupted: for work that can be done again."""
    self._raises = not _several()
    try:
      if self._signaled and self._raises:
        raise Interrupted("stopped")
      yield
    finally:
      self._raises = False

  def note(self, number: int, frame: Any) -> None:
    """Handles a signal; that of several processes is in the hands of the watchdog, and of JAX."""
    if _several():
      return
    if self._signaled:
      raise Interrupted("stopped at once, as asked twice; what was not saved is lost")
    self._signaled = True
    if self._raises:
      raise Interrupted("stopped")


@contextlib.contextmanager
def interruption(grace_seconds: float = GRACE) -> Iterator[Interruption]:
  """Handles SIGINT and SIGTERM while a run is played.

  Args:
    grace_seconds: seconds from the first signal, to whichever process, to the end of all processes,
      without having saved if need be. Of several, up to four seconds of it pass until all know of
      it and can leave in turn.

  Yields:
    The requests to stop.

  Raises:
    Interrupted: where several processes were to stop, and another has left before they could.
  """
  requests = Interruption()
  if threading.current_thread() is not threading.main_thread():  # others get no signals
    yield requests
    return
  handled = NUMBERS[:1] if _several() else NUMBERS  # JAX handles SIGTERM for several processes
  before = {number: signal.signal(number, requests.note) for number in handled}
  try:
    with _watchdog(grace_seconds, requests.requested):
      yield requests
  except jax.errors.JaxRuntimeError as error:
    if requests.requested.is_set() and _several():
      raise Interrupted("left with another process, which was not done in time") from error
    raise
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def interruptible(work: Callable[[], T]) -> T:
  """Calls a function in another thread, so that a signal here can raise before it returns.

  Handlers run between two instructions of Python, and a compilation is one; waiting for a thread is
  not. The thread goes on when this is left by an error, and ends with the process.

  Args:
    work: function of no arguments.

  Returns:
    Its result.
  """
  done: Future[T] = Future()

  def do() -> None:
    try:
      done.set_result(work())
    except BaseException as error:
      done.set_exception(error)

  threading.Thread(target=do, name=WORKER, daemon=True).start()
  return done.result()


def is_busy() -> bool:
  """Returns whether a thread of `interruptible` that was left goes on."""
  return any(thread.name == WORKER for thread in threading.enumerate())


def _several() -> bool:
  """Returns whether JAX makes several processes stop together."""
  return jax.distributed.is_initialized()


def _coordination() -> tuple[Any, int]:
  """Returns the client of JAX's coordination service, and this process's number.

  JAX has no public name for it. The client is None of one process, and where JAX has moved it: then
  processes end as after a crash of the first, with JAX's own message and exit code.
  """
  try:
    from jax._src.distributed import global_state

    return global_state.client, global_state.process_id
  except (ImportError, AttributeError):
    return None, jax.process_index()


def broadcast_exit(code: int) -> None:
  """Broadcasts that the first process ends, without which JAX ends the others as after a crash.

  Args:
    code: exit code of all.
  """
  client, process = _coordination()
  if client is not None and process == 0:
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # no other process is left
      client.key_value_set(EXIT_KEY, str(code), allow_overwrite=True)
      time.sleep(PROPAGATION_SECONDS)


@contextlib.contextmanager
def exit_on_local_failure() -> Iterator[None]:
  """Exits at once where this process alone has failed: JAX would wait for the others to end.

  They fail in the next collective operation, and exit likewise.
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


def _value(key: str) -> str:
  """Returns the value of a key of the coordination service; "" without one."""
  client, _ = _coordination()
  try:
    return client.key_value_try_get(key) if client is not None else ""
  except jax.errors.JaxRuntimeError:  # there is no such key; or no service, which JAX finds too
    return ""


@contextlib.contextmanager
def _watchdog(grace_seconds: float, requested: threading.Event) -> Iterator[None]:
  """Ends the process when the time after a signal is over.

  Python's own handlers run between two instructions of Python, and a compilation or a write to a
  disk that hangs is one: a thread watches the pipe to which the interpreter writes signals at once.
  """
  read, write = os.pipe()
  os.set_blocking(write, False)
  before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  thread = threading.Thread(target=_watch, args=(read, grace_seconds, requested), daemon=True)
  thread.start()
  try:
    yield
  finally:
    signal.set_wakeup_fd(before)
    os.close(write)
    thread.join()
    os.close(read)


def _watch(read: int, grace_seconds: float, requested: threading.Event) -> None:
  """Waits for a signal, then for the end of the run, which closes the other end of the pipe."""
  if not _wait(read):
    return
  requested.set()
  seconds = grace_seconds
  if _several():  # the first process exits last, as JAX ends the others with it
    seconds -= PROPAGATION_SECONDS * (1 if _coordination()[1] == 0 else 2)
  signaled, end = b"?", time.monotonic() + seconds
  while signaled and (seconds := end - time.monotonic()) > 0:
    if select.select([read], [], [], seconds)[0]:
      signaled = os.read(read, 1)
  if signaled:
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
      if _value(PREEMPTION_KEY):
        return True
      if (code := _value(EXIT_KEY)) and _coordination()[1] != 0:
        print("gan_jax: another process has ended; it says why", file=sys.stderr, flush=True)
        os._exit(int(code))
    elif not (signaled := os.read(read, 1)):
      return False
    elif _several() and signaled[0] == signal.SIGINT:
      os.kill(os.getpid(), signal.SIGTERM)  # which JAX passes on to all
    elif signaled[0] in NUMBERS and not _several():
      return True
