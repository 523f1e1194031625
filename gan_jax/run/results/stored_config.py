"""What a run's folder says of it beside its checkpoints and rows: config.json, read and compared.

It imports nothing that builds a game, so that runs can be listed and compared at once.
"""

import contextlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from gan_jax.files import read_json
from gan_jax.game.switches import made_with, remembered
from gan_jax.run.config.config import canonical, complete, from_values
from gan_jax.run.config.sections.evaluation import KEYS
from gan_jax.run.config.sections.key import WrongTypeError
from gan_jax.run.evaluation.cards import flat
from gan_jax.run.evaluation.sampling import Example

# Keys of the config, and sections of it, that may change when a run goes on: no number of a round
# depends on them. All others need --allow_config_change.
EVALUATION = ("evaluation", "num_fake")  # how it is scored: scores say so
LAYOUT = ("mesh", "microbatches", "remat", "rounds_per_call", "data_options.placement")  # computed
COURSE = (  # how far it goes, what is told and kept on the way, and what is done after a NaN
  "rounds",
  "log_every",
  "sample_every",
  "evaluate_every",
  "checkpoint_every",
  "keep_checkpoints",
  "keep_every",
  "num_samples",
  "on_nan",
  "max_rollbacks",
)
# Where the data lie, if they are the same, which is looked at.
PLACE = ("data", "data_options.data_dir", "data_options.manual_dir")
# The default before there was "auto", which chooses the same where these can be had.
_FORMER_EVALUATION = {"features": "classifier", "metrics": ("frechet", "classes"), "real": "test"}
MOST_CLASSES = 1 << 20  # of a config.json that one can believe


def read_config(workdir: str | pathlib.Path) -> ConfigDict:
  """Reads the config that a run was started with: complete, if it is one that can be built here."""
  return read(pathlib.Path(workdir))[0]


def read_example(workdir: str | pathlib.Path) -> Example:
  """Reads what a run knew of its data when it was started."""
  return read(pathlib.Path(workdir))[1]


def read_json_of(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads config.json; its absence is told as that of a run."""
  path = workdir / "config.json"
  if not path.is_file():
    raise FileNotFoundError(f"no run in {workdir}: expected {path}, which training writes")
  return read_json(path)


def read(workdir: pathlib.Path) -> tuple[ConfigDict, Example]:
  """Reads what a run was started with, and what it knew of its data."""
  path, found = workdir / "config.json", read_json_of(workdir)
  try:
    example = found["example"]
    pixel_range = example["pixel_range"] and tuple(example["pixel_range"])
    config = from_values(found["config"])
    if config.evaluation.to_dict() == _FORMER_EVALUATION:
      config.evaluation.update({name: key.default for name, key in KEYS["evaluation"].items()})
    try:
      config = complete(config)
    except WrongTypeError:
      raise
    except (
      ValueError
    ):  # such as a name that is not registered here: a run can be listed all the same
      pass
    shape = tuple(example["shape"])
    if not all(type(n) is int and n > 0 for n in shape):
      raise ValueError(f"examples of the shape {shape}")
    count, names = example["num_classes"], example.get("class_names")
    if count is not None and not (type(count) is int and 0 < count <= MOST_CLASSES):
      raise ValueError(f"{count!r} classes")
    if names is not None and len(names) != count:
      raise ValueError(f"{len(names)} names of {count} classes")
    names = None if names is None else tuple(map(str, names))
    return config, Example(shape, count, pixel_range, names)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f"{path} is damaged ({error}); restore it from a copy") from error


def config_values(config: ConfigDict) -> dict[str, Any]:
  """Lists a config's values as JSON knows them, with our names for short ones."""
  return json.loads(canonical(config).to_json())


def deciding(config: ConfigDict) -> dict[str, Any]:
  """Lists what numbers of rounds depend on, but for where the data lie, by dotted key."""
  free = EVALUATION + LAYOUT + COURSE + PLACE
  return {k: v for k, v in flat(config_values(config)).items() if not is_within(k, free)}


def is_place(key: str) -> bool:
  """Tells whether a dotted key of the config says where the data lie."""
  return is_within(key, PLACE)


def is_of_scores(key: str) -> bool:
  """Tells whether a dotted key of the config says how a run is scored."""
  return is_within(key, EVALUATION)


def is_within(key: str, sections: Sequence[str]) -> bool:
  """Checks whether a dotted key is one of these keys, or within one of these sections."""
  return any(key == name or key.startswith(f"{name}.") for name in sections)


def differences(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
  """Lists the dotted keys of which values differ, each with a line that says how."""
  a, b = flat(old), flat(new)
  return {
    key: f"  {key}: {a.get(key, 'not set')} there, {b.get(key, 'not set')} here"
    for key in sorted(a.keys() | b.keys())
    if a.get(key) != b.get(key)
  }


def other_switches(workdir: str | pathlib.Path, key: str = "switches") -> str:
  """Lists JAX's switches under which a run was started and that differ here, a line each.

  Args:
    workdir: of the run, if there is one.
    key: "switches", or "made_with" for what bits depend on and rounded numbers do not.

  Returns:
    The lines; none of what the run does not remember.
  """
  here, then = {"switches": remembered(), "made_with": made_with()}[key], {}
  # No run, or a damaged file, is told where it is read for its config.
  with contextlib.suppress(OSError, LookupError, TypeError, ValueError):
    then = dict(read_json(pathlib.Path(workdir) / "config.json")[key])
  return "\n".join(
    f"  {name}: {then[name]} there, {value} here"
    for name, value in here.items()
    if name in then and then[name] != value
  )


def has_checkpoint(workdir: pathlib.Path) -> bool:
  """Tells whether there is anything to go on from."""
  return any(path.name.isdecimal() for path in (workdir / "checkpoints").glob("*"))
