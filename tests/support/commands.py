"""Runs commands of gan_jax in processes that need not import all that commands import.

They are copies of one that has done so once, as that takes longer than what most commands do.
"""

import atexit
import multiprocessing
import os
import pathlib
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

COMMANDS = "gan_jax.run.cli.app"
PRELOAD = [
  "gan_jax.run.training.train",
  "gan_jax.run.training.saving.orbax_manager",
  "gan_jax.run.evaluation.scoring",
  "scipy.linalg",
  "scipy.special",
  "tensorboardX",
  "PIL.Image",
  "matplotlib.pyplot",
]


def run(
  arguments: Sequence[str],
  environment: Mapping[str, str],
  cwd: str | pathlib.Path,
  module: str = COMMANDS,
) -> tuple[int, str]:
  """Runs `gan_jax ARGUMENTS` and waits for its end.

  Args:
    arguments: of the command line.
    environment: what is added to that of this process.
    cwd: the folder to run it in.
    module: of the command; by default that of `gan_jax`.

  Returns:
    (exit code, what it wrote to stdout and stderr).
  """
  with tempfile.NamedTemporaryFile() as told:
    process = start(arguments, environment, cwd, told.name, module)
    process.join()
    assert process.exitcode is not None
    return process.exitcode, pathlib.Path(told.name).read_text()


def start(
  arguments: Sequence[str],
  environment: Mapping[str, str],
  cwd: str | pathlib.Path,
  told: str | pathlib.Path,
  module: str = COMMANDS,
) -> BaseProcess:
  """Starts `gan_jax ARGUMENTS`.

  Args:
    arguments: of the command line.
    environment: what is added to that of this process.
    cwd: the folder to run it in.
    told: the file, which is there, that it writes stdout and stderr to.
    module: of the command; by default that of `gan_jax`.

  Returns:
    The process.
  """
  given = (list(arguments), {**os.environ, **environment}, str(cwd), str(told), module)
  process = _context().Process(target=_play, args=given)
  process.start()
  return process


def pool() -> ProcessPoolExecutor:
  """Builds a pool of one such process, for functions of a test module."""
  return ProcessPoolExecutor(1, mp_context=_context())


def _context() -> ForkServerContext:
  context = multiprocessing.get_context("forkserver")
  context.set_forkserver_preload(PRELOAD)
  return context


def _play(
  arguments: list[str], environment: dict[str, str], cwd: str, told: str, module: str
) -> None:
  """Does what `python -m MODULE` does."""
  for number in (1, 2):
    os.dup2(os.open(told, os.O_WRONLY | os.O_APPEND), number)
  os.environ.clear()
  os.environ.update(environment)
  os.chdir(cwd)
  import contexts
  import jax

  from gan_jax import plots

  # Read from the environment where JAX is imported, which it has been.
  jax.config.update("jax_platforms", environment["JAX_PLATFORMS"])
  quick = environment.get("JAX_DISABLE_MOST_OPTIMIZATIONS") == "1"
  jax.config.update("jax_disable_most_optimizations", quick)
  if quick:
    contexts.keep()
  if quick and "CURVES" not in environment:
    plots.history = lambda *_: None  # curves take longer to draw than a short run to play
  jax.config.update("jax_num_cpu_devices", int(environment.get("JAX_NUM_CPU_DEVICES", "1")))
  sys.argv = [module, *arguments]
  sys.path.insert(0, cwd)
  try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
  finally:
    atexit._run_exitfuncs()  # without it JAX would not take leave of other processes
