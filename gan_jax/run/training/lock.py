"""One run, one folder: whoever trains in it holds a lock on the file `lock`.

The lock is the kernel's (`flock`), so that it is gone with the process that held it, however that
ended: there are no stale locks to tell from live ones. What the file says of its holder is for
messages only. Not covered: network file systems on which a lock is seen on its own host alone.
"""

import contextlib
import errno
import json
import logging
import os
import pathlib
import socket
import time
from collections.abc import Iterator
from typing import IO

FILE = "lock"
_ASK, _PAUSE = 5, 0.1  # whoever asks `is_live` holds the lock for a moment
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_LOG = logging.getLogger(__name__)


class BusyError(ValueError):
  """A live run uses the folder."""


@contextlib.contextmanager
def hold(workdir: str | pathlib.Path) -> Iterator[None]:
  """Keeps a folder for this run.

  Args:
    workdir: of the run; made if need be.

  Raises:
    BusyError: if another live run holds it.
    OSError: if nothing can be written there.
  """
  path = pathlib.Path(workdir) / FILE
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open("a+") as file:
    for _ in range(_ASK):
      if _locked(file, shared=False):
        break
      time.sleep(_PAUSE)
    else:
      raise BusyError(
        f"{workdir} is in use by a live run ({_holder(path)}); wait for it, stop it, or use another"
        " --workdir"
      )
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
    file.flush()
    yield


def is_live(workdir: str | pathlib.Path) -> bool:
  """Tells whether some process, this one included, trains in a folder.

  Args:
    workdir: of the run.

  Returns:
    Whether its lock is held; False as well where there is none.
  """
  try:
    with (pathlib.Path(workdir) / FILE).open() as file:
      return not _locked(file, shared=True)
  except FileNotFoundError:
    return False


def _locked(file: IO[str], shared: bool) -> bool:
  """Takes a lock unless another has it; closing the file gives it back."""
  import fcntl  # there is none on Windows, where results can be read all the same

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
  """Says who holds a lock."""
  try:
    held = json.loads(path.read_text())
    return f"process {held['pid']} on {held['host']}"
  except (OSError, ValueError, KeyError, TypeError):
    return "of which nothing is known yet"
