"""The config and the examples of a run that exists; as a config file, --config=stored.py:RUN."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.data.pixels import UINT8, Scale
from gan_jax.files import flat, plain, read_json
from gan_jax.run.config.config import canonical, complete, from_values
from gan_jax.run.config.roles import COURSE, EVALUATION, LATER, LAYOUT, PLACE, is_within
from gan_jax.run.config.sections.evaluation import KEYS
from gan_jax.run.config.sections.key import WrongTypeError

SEED = "seed"  # the key of a config in which runs of one method differ
# The default before there was "auto", which chooses the same where these can be had.
_FORMER_EVALUATION = {"features": "classifier", "metrics": ("frechet", "classes"), "real": "test"}
MOST_CLASSES = 1 << 20  # of a plausible config.json


def config_values(config: ConfigDict) -> dict[str, Any]:
  """Returns a config's values as JSON has them, with our names for aliases."""
  return json.loads(canonical(config).to_json())


def without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a flat config without the key in which runs of one method differ."""
  return {key: value for key, value in config.items() if key != SEED}


def deciding(config: ConfigDict) -> dict[str, Any]:
  """Lists what numbers of rounds depend on, but for where the data lie, by dotted key."""
  free = EVALUATION + LAYOUT + COURSE + PLACE
  values = {k: v for k, v in flat(config_values(config)).items() if not is_within(k, free)}
  later = lambda key: key if key in LATER else key.rpartition(".")[2]
  return {k: v for k, v in values.items() if later(k) not in LATER or LATER[later(k)] != plain(v)}


def read_config(workdir: str | pathlib.Path) -> ConfigDict:
  """Loads the config that a run was started with: complete, if it can be built here."""
  return read_run(workdir)[0]


get_config = read_config  # by which this file is a config file itself


def read_fields(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Loads the fields of a run's config.json.

  Raises:
    FileNotFoundError: there is none.
    ValueError: it is damaged.
  """
  path = pathlib.Path(workdir) / "config.json"
  if not path.is_file():
    raise FileNotFoundError(f"no run in {workdir}: expected {path}, which training writes")
  return read_json(path)


def read_run(workdir: str | pathlib.Path) -> tuple[ConfigDict, Example]:
  """Loads the config of a run and its examples; arguments and errors as of `read_fields`."""
  path, fields = pathlib.Path(workdir) / "config.json", read_fields(workdir)
  try:
    example = fields["example"]
    pixel_range = example["pixel_range"] and tuple(example["pixel_range"])
    config = from_values(fields["config"])
    if {key: config.evaluation.get(key) for key in _FORMER_EVALUATION} == _FORMER_EVALUATION:
      config.evaluation.update({name: key.default for name, key in KEYS["evaluation"].items()})
    try:
      config = complete(config)
    except WrongTypeError:
      raise
    except ValueError:  # it cannot be built here, as where a name is not registered; but be listed
      pass
    shape, channels = tuple(example["shape"]), example.get("input_channels")
    if not all(type(n) is int and n > 0 for n in (*shape, 1 if channels is None else channels)):
      raise ValueError(f"examples of the shape {shape}, of {channels} channels")
    count, names = example["num_classes"], example.get("class_names")
    if count is not None and not (type(count) is int and 0 < count <= MOST_CLASSES):
      raise ValueError(f"{count!r} classes")
    if names is not None and len(names) != count:
      raise ValueError(f"{len(names)} names of {count} classes")
    names = None if names is None else tuple(map(str, names))
    domains = tuple(map(str, example.get("domains", ())))
    scale = Scale(*example.get("scale", UINT8))
    dim = example.get("condition_dim")
    labelled = tuple(map(str, example.get("labelled", ())))
    of_domains = domains, scale, dim, labelled, channels
    return config, Example(shape, count, pixel_range, names, *of_domains)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f"{path} is damaged ({error}); restore it from a copy") from error
