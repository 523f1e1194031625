"""Whether a run may go on: under the same config, on the same data, with the same switches."""

import contextlib
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from gan_jax.data import UINT8, fingerprint
from gan_jax.files import differences, read_json, write_json
from gan_jax.run.config.register import read_source
from gan_jax.run.config.roles import COURSE, EVALUATION, LAYOUT, PLACE, is_within
from gan_jax.run.config.sections.kinds.games import free_numbers
from gan_jax.run.config.stored import config_values, read_config, read_fields, read_run
from gan_jax.run.config.switches import made_with, remembered
from gan_jax.run.experiment import Experiment

# What was so of every run, before there were others.
_UNSAID = {"scale": UINT8, "input_channels": None}.items()


def write_config(experiment: Experiment, workdir: pathlib.Path) -> None:
  """Writes what `load` needs to know of a run, and what its numbers depend on beside."""
  text = {
    "config": config_values(experiment.config),
    "example": {f: v for f, v in experiment.example._asdict().items() if (f, v) not in _UNSAID},
    "data": data_of(experiment),
    "switches": remembered(),
    "made_with": made_with(),
  }
  if experiment.own_game:
    text["own_game"] = experiment.own_game
  if source := experiment.source or read_source(workdir):
    text["source"] = dict(source)
  if origin := _origin(workdir):
    text["origin"] = origin
  write_json(workdir / "config.json", text)


def _origin(workdir: pathlib.Path) -> Any:
  """Returns what a run's folder says of the files that it was made of, if it was."""
  with contextlib.suppress(OSError, ValueError):
    return read_fields(workdir).get("origin")
  return None


def data_of(experiment: Experiment) -> dict[str, Any]:
  """Computes what tells the data of an experiment from others, by split."""
  test = experiment.held_out
  return {
    "train": fingerprint(experiment.batches.source),
    "test": None if test is None else fingerprint(test),
  }


def check_same_run(
  experiment: Experiment, workdir: str | pathlib.Path, *, allow: bool = False
) -> None:
  """Refuses to go on with a run under another config or on other data, unless told to.

  Keys of `EVALUATION`, `LAYOUT` and `COURSE` may change, and those of `PLACE` if the data are the
  same. A run without a checkpoint may change at will.

  Args:
    experiment: experiment to go on with.
    workdir: folder of the run; nothing is checked if it has no checkpoint.
    allow: whether any difference is meant.

  Raises:
    ValueError: naming every key, and all of the data, that differs.
  """
  workdir = pathlib.Path(workdir)
  if allow or not has_checkpoint(workdir):
    return
  if not (workdir / "config.json").is_file():
    raise ValueError(
      f"{workdir} has checkpoints and no config.json, so that nobody knows what they are of; "
      "restore it, use another --workdir, or --allow_config_change to go on all the same"
    )
  if read_fields(workdir).get("own_game") != experiment.own_game:
    raise ValueError(
      f"the run in {workdir} was started with another game, one of which was given to fit in the"
      " place of its config's: give it the same, another --workdir, or --allow_config_change"
    )
  changed = _changed(read_config(workdir), experiment.config)
  moved = {key: line for key, line in changed.items() if is_within(key, PLACE)}
  lines = [line for key, line in changed.items() if key not in moved]
  if lines:
    raise ValueError(
      f"the run in {workdir} was started with another config:\n"
      + "\n".join([*lines, *moved.values()])
      + "\nuse another --workdir, or --allow_config_change to go on with this one"
    )
  check_same_data(experiment, workdir, list(moved.values()))


def check_same_data(
  experiment: Experiment, workdir: str | pathlib.Path, moved: Sequence[str] = ()
) -> None:
  """Refuses other data than a run was trained on, wherever they lie.

  Args:
    experiment: experiment with the data.
    workdir: folder of the run.
    moved: lines of the places that have changed; without any the run may not know its data.

  Raises:
    ValueError: saying what differs, or that the run does not know its data.
  """
  old, new = read_fields(workdir).get("data"), data_of(experiment)
  what = "use those it was trained on, another --workdir, or train with --allow_config_change"
  if old == {}:  # of a run that was made of files, which do not say their data
    _check_like(experiment, workdir)
    return
  if old is None:
    if moved:
      raise ValueError(
        "\n".join([f"the data of the run in {workdir} are elsewhere by this config:", *moved])
        + "\nand it was trained before runs kept a checksum of their data, so that nobody can tell"
        f" whether these are the same; {what} if they are"
      )
    return
  if lines := differences({"data": old}, {"data": new}).values():
    raise ValueError(
      "\n".join([f"the run in {workdir} was trained on other data:", *lines, *moved, what])
    )


def _check_like(experiment: Experiment, workdir: str | pathlib.Path) -> None:
  """Refuses data whose examples are not as the networks of a run have them."""
  given, known = experiment.example, read_run(workdir)[1]
  if (given.shape, given.condition_size) != (known.shape, known.condition_size):
    show = lambda example: f"{list(example.shape)} of {example.condition_size or 'no'} classes"
    raise ValueError(
      f"the networks of the run in {workdir} are of examples {show(known)}, and"
      f" {experiment.config.data} has {show(given)}: name other data, --config.data=..."
    )


def _changed(old: ConfigDict, new: ConfigDict) -> dict[str, str]:
  """Lists the keys that differ and may not change freely: {key: line with both values}."""
  lines = differences(config_values(old), config_values(new))
  return {
    key: line.replace(key, f"--config.{key}", 1)
    for key, line in lines.items()
    if not is_within(key, EVALUATION + LAYOUT + COURSE)
  }


def other_arrays(workdir: pathlib.Path, config: ConfigDict) -> str:
  """Lists keys in which a run's config differs from another and on which its arrays may depend.

  Args:
    workdir: folder of the run.
    config: the other config.

  Returns:
    A line of each.
  """
  with contextlib.suppress(OSError, ValueError):  # then nobody knows
    old = read_config(workdir)
    free = [*free_numbers(old), *free_numbers(config), "seed", *PLACE]
    lines = {key: line for key, line in _changed(old, config).items() if not is_within(key, free)}
    return "\n".join(lines.values())
  return ""


def start_over(experiment: Experiment, workdir: pathlib.Path) -> None:
  """Deletes files and rows of a start under another config that has saved no checkpoint."""
  if has_checkpoint(workdir) or not (workdir / "config.json").is_file():
    return
  with contextlib.suppress(ValueError):  # a damaged one is as good as another
    if not _changed(read_config(workdir), experiment.config):
      return
  files = [workdir / name for name in ("rollbacks.json", "summary.json", "curves.png")]
  for path in [*files, *(workdir / "samples").glob("*.png")]:
    path.unlink(missing_ok=True)


def check_same_switches(workdir: str | pathlib.Path, *, allow: bool = False) -> None:
  """Refuses to go on with a run under other switches of JAX, unless told to.

  Args:
    workdir: folder of the run; nothing is checked if it has no checkpoint.
    allow: whether any difference is meant.

  Raises:
    ValueError: naming every switch that differs.
  """
  if not allow and has_checkpoint(pathlib.Path(workdir)) and (other := other_switches(workdir)):
    raise ValueError(
      f"the run in {workdir} was started under other switches of JAX, and its numbers depend on "
      f"them:\n{other}\nset them as they were, use another --workdir, or --allow_config_change to "
      "go on under these"
    )


def other_switches(workdir: str | pathlib.Path, key: str = "switches") -> str:
  """Lists JAX's switches under which a run was started and that differ here, a line each.

  Args:
    workdir: folder of the run, if there is one.
    key: "switches", or "made_with" for versions and devices, which change no more than rounding.

  Returns:
    The lines; none of a switch that the run does not remember.
  """
  current, then = {"switches": remembered(), "made_with": made_with()}[key], {}
  # No run, or a damaged file, is reported where its config is read.
  with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
    then = dict(read_json(pathlib.Path(workdir) / "config.json")[key])
  return "\n".join(
    f"  {name}: {then[name]} there, {value} here"
    for name, value in current.items()
    if name in then and then[name] != value
  )


def has_checkpoint(workdir: pathlib.Path) -> bool:
  """Checks whether a run has a checkpoint to go on from."""
  return any(path.name.isdecimal() for path in (workdir / "checkpoints").glob("*"))
