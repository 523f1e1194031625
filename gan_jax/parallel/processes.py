"""Several processes that play one game: start them, agree, and fail together.

Each has its own devices, data and files; collective operations must be called by all, in the same
order. So a process that alone learns of an interruption or a failure tells the others first.
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
  """Connects the processes of one run, before any computation; does nothing for a single one.

  What is not given is read from GAN_JAX_COORDINATOR, GAN_JAX_NUM_PROCESSES and GAN_JAX_PROCESS_ID,
  the last one also from JOB_COMPLETION_INDEX, which Kubernetes gives the pods of an indexed job.
  Without any, JAX finds the others on a TPU VM and in a step of SLURM that has several tasks.

  Args:
    coordinator: host:port of process 0.
    num_processes: number of processes.
    process_id: index of this process, from 0.

  Raises:
    ValueError: if only a part of this is known, or it is out of range.
  """
  given = processes(coordinator, num_processes, process_id)
  if given is None and _found_by_jax():
    jax.distributed.initialize()
  elif given is not None and given[1] > 1:
    jax.distributed.initialize(*given)


def processes(
  coordinator: str | None, num_processes: int | None, process_id: int | None
) -> tuple[str, int, int] | None:
  """Reads which process of how many this is, as `start` does; None if nothing says."""
  read = lambda name: os.environ.get(f"GAN_JAX_{name}") or None
  index = read("PROCESS_ID") or os.environ.get("JOB_COMPLETION_INDEX")
  address = coordinator or read("COORDINATOR")
  count = num_processes if num_processes is not None else _integer(read("NUM_PROCESSES"))
  if address is None and count in (None, 1):
    return None
  number = process_id if process_id is not None else _integer(index)
  if address is None or ":" not in address or count is None or number is None:
    raise ValueError(
      f"coordinator = {address}, num_processes = {count}, process_id = {number}: of several "
      "processes expected all three, such as --coordinator=10.0.0.1:8476 --num_processes=2 "
      "--process_id=0, as flags or as GAN_JAX_COORDINATOR and so on"
    )
  if not 0 <= number < count:
    raise ValueError(f"process_id = {number}: expected 0 to {count - 1}, one less than there are")
  return address, count, number


def _integer(text: str | None) -> int | None:
  try:
    return None if text is None else int(text)
  except ValueError:
    raise ValueError(f"{text!r}, of the environment: expected a number of processes") from None


def _found_by_jax() -> bool:
  """Checks whether there may be several processes that JAX itself can find."""
  tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")  # set within srun only
  on_tpu_vm = os.environ.get("TPU_ML_PLATFORM") == "JAX"  # set by JAX where it sees TPUs
  return (tasks.isdecimal() and int(tasks) > 1) or on_tpu_vm


def is_first() -> bool:
  """Checks whether this is the process that writes files and messages."""
  return jax.process_index() == 0


def any_process(flag: bool) -> bool:
  """Checks whether `flag` is true on any process; all processes call it together."""
  if jax.process_count() == 1:
    return flag
  return bool(np.any(multihost_utils.process_allgather(np.array([flag]))))


def run_on_all_or_fail(work: Callable[[], Any]) -> Any:
  """Runs work that may fail on one process, and fails on all if it does; all call it together.

  Otherwise the others would wait for the process that has failed.

  Args:
    work: function to run.

  Returns:
    The result of `work`.

  Raises:
    OtherProcessError: if `work` has failed on another process.
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
    raise mark_collective(error)
  if failed:
    raise mark_collective(OtherProcessError("another process has failed; it says why"))
  return result


def mark_collective(error: BaseException) -> BaseException:
  """Marks an error that is raised on all processes at the same place."""
  error.__dict__["collective"] = True
  return error


def is_collective(error: BaseException) -> bool:
  """Checks whether all processes raised this error, and can still call collectives."""
  return jax.process_count() == 1 or "collective" in error.__dict__
