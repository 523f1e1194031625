"""Folders of `launch/sweep`: each holds a list of training commands, and stands for their runs."""

import json
import pathlib
import shlex
from collections.abc import Iterable, Sequence

from gan_jax.files import flat
from gan_jax.run.config.stored import config_values, read_config, without_seed
from gan_jax.run.results.listing import RUN, summarise_run

JOBS = "jobs.txt"


def is_sweep(folder: str | pathlib.Path) -> bool:
  """Returns whether a folder holds the list of a sweep."""
  return (pathlib.Path(folder) / JOBS).is_file()


def jobs(folder: str | pathlib.Path) -> list[pathlib.Path]:
  """Returns the folders of a sweep's runs, whether they have begun or not.

  Each is searched in the folder of the sweep first, which may have been moved since.

  Raises:
    ValueError: a line is no training command.
  """
  folder = pathlib.Path(folder)
  paths = []
  for line in (folder / JOBS).read_text(encoding="utf-8").splitlines():
    words = shlex.split(line, comments=True)
    workdirs = [word.partition("=")[2] for word in words if word.startswith("--workdir=")]
    if words and not (workdirs and workdirs[-1]):
      raise ValueError(
        f"{folder / JOBS}: expected train ... --workdir=DIR in each line, not {line}"
      )
    if words:
      path = pathlib.Path(workdirs[-1])
      paths.append(folder / path.name if (folder / path.name).is_dir() else path)
  return paths


def expanded(folders: Iterable[str | pathlib.Path]) -> tuple[list[pathlib.Path], list[str]]:
  """Replaces sweeps by their runs.

  Args:
    folders: folders of runs, ablations and sweeps.

  Returns:
    Folders of runs and ablations; a line for each sweep on its jobs that have not begun.
  """
  paths: list[pathlib.Path] = []
  notes = []
  for folder in map(pathlib.Path, folders):
    if not is_sweep(folder):
      paths.append(folder)
      continue
    planned = jobs(folder)
    begun = [path for path in planned if (path / RUN).is_file()]
    if not begun:
      raise FileNotFoundError(f"no run of {folder} has begun: launch/sweep start {folder}")
    if missing := [path.name for path in planned if path not in begun]:
      notes.append(f"{folder}: {len(missing)} jobs have not begun: {', '.join(missing)}")
    paths += begun
  return paths, notes


def methods(arguments: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
  """Returns the runs of each method that a command line names.

  Args:
    arguments: each a run or a card, several of one method with commas between, or a sweep, whose
      runs are one method where their configs differ in the seed alone.

  Returns:
    {name: paths}, named by the first path; a line for each run of a sweep that is left out.

  Raises:
    FileNotFoundError: no run of a sweep is done.
  """
  named: dict[str, list[str]] = {}
  notes: list[str] = []
  for argument in arguments:
    groups = [argument.split(",")]
    if is_sweep(argument):
      groups, omitted = _groups(argument)
      notes += omitted
    for group in groups:
      name = group[0]
      while name in named:
        name += " again"
      named[name] = group
  return named, notes


def _groups(folder: str) -> tuple[list[list[str]], list[str]]:
  """Groups the runs of a sweep that are done by their configs without the seed."""
  groups: dict[str, list[str]] = {}
  notes = []
  for path in jobs(folder):
    state = summarise_run(path).state if (path / RUN).is_file() else "waiting"
    if state != "done":
      notes.append(f"{path} is left out, as it is {state}")
      continue
    key = json.dumps(without_seed(flat(config_values(read_config(path)))), sort_keys=True)
    groups.setdefault(key, []).append(str(path))
  if not groups:
    raise FileNotFoundError(f"no run of {folder} is done: launch/sweep table {folder} says why")
  return list(groups.values()), notes
