"""Folders of `launch/sweep`: each has a list of training commands, and stands for their runs."""

import json
import pathlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gan_jax.run.evaluation.cards import flat
from gan_jax.run.results.listing import RUN, look
from gan_jax.run.results.stored_config import config_values, read_config

JOBS = "jobs.txt"
SEED = "seed"  # the key of a config in which runs of one method differ


def is_sweep(folder: str | pathlib.Path) -> bool:
  """Tells whether a folder has the list of a sweep."""
  return (pathlib.Path(folder) / JOBS).is_file()


def jobs(folder: str | pathlib.Path) -> list[pathlib.Path]:
  """Lists the folders of a sweep's runs, whether they have begun or not.

  A folder is looked for in that of the sweep first, which may have been moved since.

  Raises:
    ValueError: the list is none of training commands.
  """
  folder = pathlib.Path(folder)
  found = []
  for line in (folder / JOBS).read_text(encoding="utf-8").splitlines():
    words = shlex.split(line, comments=True)
    workdirs = [word.partition("=")[2] for word in words if word.startswith("--workdir=")]
    if words and not (workdirs and workdirs[-1]):
      raise ValueError(
        f"{folder / JOBS}: expected train ... --workdir=DIR in each line, not {line}"
      )
    if words:
      path = pathlib.Path(workdirs[-1])
      found.append(folder / path.name if (folder / path.name).is_dir() else path)
  return found


def expanded(folders: Iterable[str | pathlib.Path]) -> tuple[list[pathlib.Path], list[str]]:
  """Replaces sweeps by their runs.

  Args:
    folders: of runs, ablations and sweeps.

  Returns:
    Folders of runs and ablations; which jobs of sweeps have not begun, a line of each sweep.
  """
  paths: list[pathlib.Path] = []
  notes = []
  for folder in map(pathlib.Path, folders):
    if not is_sweep(folder):
      paths.append(folder)
      continue
    found = jobs(folder)
    begun = [path for path in found if (path / RUN).is_file()]
    if not begun:
      raise FileNotFoundError(f"no run of {folder} has begun: launch/sweep start {folder}")
    if missing := [path.name for path in found if path not in begun]:
      notes.append(f"{folder}: {len(missing)} jobs have not begun: {', '.join(missing)}")
    paths += begun
  return paths, notes


def methods(arguments: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
  """Lists the methods that a command line names, each by its runs.

  Args:
    arguments: of each a run or a card, several of one method with commas between, or a sweep, whose
      runs are one method where their configs differ in the seed alone.

  Returns:
    {name: paths}, named by the first path; which runs of sweeps are left out, a line of each.

  Raises:
    FileNotFoundError: no run of a sweep is done.
  """
  found: dict[str, list[str]] = {}
  notes: list[str] = []
  for argument in arguments:
    groups = [argument.split(",")]
    if is_sweep(argument):
      groups, left = _groups(argument)
      notes += left
    for group in groups:
      found[group[0] if group[0] not in found else f"{group[0]} again"] = group
  return found, notes


def _groups(folder: str) -> tuple[list[list[str]], list[str]]:
  """Groups the runs of a sweep that are done by their configs but for the seed."""
  groups: dict[str, list[str]] = {}
  notes = []
  for path in jobs(folder):
    state = look(path).state if (path / RUN).is_file() else "waiting"
    if state != "done":
      notes.append(f"{path} is left out, as it is {state}")
      continue
    key = json.dumps(without_seed(flat(config_values(read_config(path)))), sort_keys=True)
    groups.setdefault(key, []).append(str(path))
  if not groups:
    raise FileNotFoundError(f"no run of {folder} is done: launch/sweep table {folder} says why")
  return list(groups.values()), notes


def without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
  """Leaves out of a flat config what tells runs of one method apart."""
  return {key: value for key, value in config.items() if key != SEED}
