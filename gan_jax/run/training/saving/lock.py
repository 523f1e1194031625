"""One run, one folder: the process that trains in it holds a lock on the file `lock`.

The lock is the kernel's (`flock`), so that it is gone with the process that held it, however that
ended: no lock is stale. The name of the holder in the file is for messages only. Not covered:
network file systems on which a lock is seen on its own host alone.

The package `filelock` empties the file when it only asks, so that the holder's name would be lost,
makes one where there is none, and has no shared lock to ask with on a folder that is read only.
"""

import contextlib
import errno
import json
import logging
import os
import pathlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import IO

FILE = "lock"
_TRIES, _PAUSE = 5, 0.1  # a process that asks `is_live` holds the lock for a moment
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_LOG = logging.getLogger(__name__)


class BusyError(ValueError):
  """A live run uses the folder."""


@contextlib.contextmanager
def hold(workdir: str | pathlib.Path) -> Iterator[None]:
  """Holds the lock on a folder.

  What fails before it has made anything there leaves no lock, and no folder, that was not there.

  Args:
    workdir: folder of the run; created if need be.

  Raises:
    BusyError: if another live run holds it.
    OSError: if nothing can be written there.
  """
  path = pathlib.Path(workdir) / FILE
  missing = [place for place in (path, *path.parents) if not place.exists()]
  before = _names(path.parent)
  for _ in range(_TRIES):
    if file := _open_locked(path):
      break
    time.sleep(_PAUSE)
  else:
    raise BusyError(
      f"{workdir} is in use by a live run ({_holder(path)}); wait for it, stop it, or use another"
      " --workdir"
    )
  with file:
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
    file.flush()
    try:
      yield
    except BaseException:
      if missing and _names(path.parent) == before | {FILE}:
        _remove(missing)
      raise


def _names(folder: pathlib.Path) -> set[str]:
  return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _remove(places: Sequence[pathlib.Path]) -> None:
  """Removes a file and the folders around it, up to one that another process uses meanwhile."""
  file, *folders = places
  with contextlib.suppress(OSError):
    file.unlink()
    for folder in folders:
      folder.rmdir()


def _open_locked(path: pathlib.Path) -> IO[str] | None:
  """Opens a file and locks it; returns None if another process has it, or has just removed it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    file = stack.enter_context(path.open("a+"))
    # A lock on a file without a name keeps nobody out.
    if _locked(file, shared=False) and os.fstat(file.fileno()).st_nlink:
      stack.pop_all()
      return file
  return None


def is_live(workdir: str | pathlib.Path) -> bool:
  """Returns whether some process, this one included, holds the lock on a folder.

  Args:
    workdir: folder of the run.
  """
  try:
    with (pathlib.Path(workdir) / FILE).open() as file:
      return not _locked(file, shared=True)
  except FileNotFoundError:
    return False


def _locked(file: IO[str], shared: bool) -> bool:
  """Locks a file and returns whether that succeeded; closing the file unlocks it."""
  import fcntl  # Windows has none, where results can be read all the same

  try:
    fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError as error:
    if error.errno not in _NO_LOCKS:
      raise
    _LOG.warning("%s is on a file system without locks: let one run use it at a time", file.name)
  return True


def _holder(path: pathlib.Path) -> str:
  """Formats the holder of a lock."""
  try:
    holder = json.loads(path.read_text())
    return f"process {holder['pid']} on {holder['host']}"
  except (OSError, ValueError, KeyError, TypeError):
    return "of which nothing is known yet"
