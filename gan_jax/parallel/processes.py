"""Several processes that play one game: start them, agree, and fail together.

Each has its own devices, data and files; what they do together, all must do in the same order. So
what one of them alone learns, that it was interrupted or has failed, it says to the others first.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


class OtherProcessError(RuntimeError):
  """Another process has failed, and said why."""


def start(
  coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
  """Joins the processes of one run; does nothing if there is but this one. Before any computation.

  What is not given is read from GAN_JAX_COORDINATOR, GAN_JAX_NUM_PROCESSES and GAN_JAX_PROCESS_ID,
  the last one also from JOB_COMPLETION_INDEX, which Kubernetes gives the pods of an indexed job.
  Without any, JAX finds the others on a TPU VM and in a step of SLURM that has several tasks.

  Args:
    coordinator: host:port of process 0.
    num_processes: how many there are.
    process_id: which is this, from 0.

  Raises:
    ValueError: if only a part of this is known, or it is out of range.
  """
  given = processes(coordinator, num_processes, process_id)
  if given is None and not _found_by_jax():
    return
  if given is None:
    jax.distributed.initialize()
  elif given[1] > 1:
    jax.distributed.initialize(*given)


def processes(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> tuple[str, int, int] | None:
  """Finds out which process of how many this is, as `start` does; None if nobody says."""
  read = lambda name: os.environ.get(f"GAN_JAX_{name}") or None
  index = read("PROCESS_ID") or os.environ.get("JOB_COMPLETION_INDEX")
  address = coordinator or read("COORDINATOR")
  count = num_processes if num_processes is not None else _whole(read("NUM_PROCESSES"))
  if address is None and count in (None, 1):
    return None
  number = process_id if process_id is not None else _whole(index)
  if address is None or ":" not in address or count is None or number is None:
    raise ValueError(
      f"coordinator = {address}, num_processes = {count}, process_id = {number}: of several "
      "processes expected all three, such as --coordinator=10.0.0.1:8476 --num_processes=2 "
      "--process_id=0, as flags or as GAN_JAX_COORDINATOR and so on"
    )
  if not 0 <= number < count:
    raise ValueError(f"process_id = {number}: expected 0 to {count - 1}, one less than there are")
  return address, count, number


def _whole(text: str | None) -> int | None:
  try:
    return None if text is None else int(text)
  except ValueError:
    raise ValueError(f"{text!r}, of the environment: expected a number of processes") from None


def _found_by_jax() -> bool:
  """Tells whether there may be several processes of which JAX itself knows."""
  tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")  # set within srun only
  on_tpu_vm = os.environ.get("TPU_ML_PLATFORM") == "JAX"  # set by JAX where it sees TPUs
  return (tasks.isdecimal() and int(tasks) > 1) or on_tpu_vm


def is_first() -> bool:
  """Tells whether this is the process that writes and talks."""
  return jax.process_index() == 0


def any_process(flag: bool) -> bool:
  """Tells whether it is true on any process; all call it together."""
  if jax.process_count() == 1:
    return flag
  return bool(np.any(multihost_utils.process_allgather(np.array([flag]))))


def together(work: Callable[[], Any]) -> Any:
  """Does what may fail on one process, and fails on all if it does; all call it together.

  Otherwise those that go on would wait for the one that has failed.

  Args:
    work: what to do.

  Returns:
    What it returns.

  Raises:
    OtherProcessError: if it has failed on another process.
  """
  if jax.process_count() == 1:
    return work()
  result, error = None, None
  try:
    result = work()
  except BaseException as raised:
    error = raised
  failed = any_process(error is not None)
  if error is not None:
    raise agreed(error)
  if failed:
    raise agreed(OtherProcessError("another process has failed; it says why"))
  return result


def agreed(error: BaseException) -> BaseException:
  """Marks an error that is raised on all processes at the same place."""
  error.__dict__["agreed"] = True
  return error


def is_common(error: BaseException) -> bool:
  """Tells whether all processes have failed together, and can still do things together."""
  return jax.process_count() == 1 or "agreed" in error.__dict__
