"""What a config holds: every key there is, sections for what a config names, and their checks.

A config file defines `get_config()`, which starts from `default_config()` and changes what it is
about. Everything can be overridden on the command line: `--config.loss=hinge --config.k=5`. It is
numbers, flags and names; `gan_jax.experiment` makes objects of them.
"""

import inspect
import pathlib
import runpy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax

from gan_jax import regularizers
from gan_jax.nets import NETWORKS
from gan_jax.parallel import check_mesh

OPTIMIZERS = {
  name: getattr(optax, name)
  for name in (
    "adabelief",
    "adam",
    "adamw",
    "amsgrad",
    "lion",
    "nadam",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "rmsprop",
    "sgd",
    "yogi",
  )
}
SCHEDULES = {
  name: getattr(optax, name)
  for name in (
    "cosine_decay_schedule",
    "exponential_decay",
    "linear_schedule",
    "polynomial_schedule",
    "warmup_cosine_decay_schedule",
  )
}
# Options that each of them has here.
OUR_OPTIONS = {"clip_norm": 0.0, "clip_weights": 0.0, "lookahead": 0, "lookahead_share": 0.5}
LEAST = {
  "rounds": 1,
  "batch_size": 1,
  "rounds_per_call": 1,
  "microbatches": 1,
  "k": 1,
  "packing": 1,
  "num_samples": 1,
  "num_fake": 2,
  "keep_checkpoints": 1,
  "max_rollbacks": 1,
}
GIVEN = {"shape", "num_classes", "axis_name", "parent"}  # of a network: known from data and layout


def default_config() -> ml_collections.ConfigDict:
  """Makes a config with every key there is, each at its default."""
  return ml_collections.ConfigDict(
    {
      "seed": 0,
      "rounds": 1000,
      "batch_size": 64,
      "rounds_per_call": 10,  # rounds in one dispatch; the numbers do not depend on it
      # Devices along each axis, -1 for all that are left; the numbers do not depend on it either.
      # Batches are split over both, large arrays of the state over `fsdp`.
      "mesh": {"data": -1, "fsdp": 1},
      "microbatches": 1,  # parts in which a batch is seen, one after the other, for less memory
      "remat": False,  # run networks again for their gradients: less memory, more time
      "data": "mnist10k",  # see `gan_jax.data.load`
      "data_options": {
        "image_size": 0,  # to resize and crop to; 0 keeps the images' own
        "channels": 0,  # 1 for gray, 3 for colour; 0 keeps the images' own
        "examples": 0,  # to train on, the first so many; 0 for all
        "hold_out": 0.0,  # share of them that is the test split, of data that have none
        "data_dir": "",  # of tfds:, and where relative paths of other data start
        "manual_dir": "",  # of tfds:, files fetched by hand
        "flip": False,
        "pixel_range": (-1.0, 1.0),
        "placement": "auto",  # "device" keeps all of it there, "stream" reads it as it goes
      },
      "conditional": False,
      "generator": network("mlp_generator"),
      "discriminator": network("mlp_discriminator"),
      "latent": {"name": "normal", "dim": 64, "scale": 1.0, "bound": 2.0},
      "loss": "non_saturating",
      "real_target": 1.0,  # below 1: one-sided label smoothing
      # Weights, each a number or a `schedule`; 0 is off.
      "regularizers": _numbers(dict.fromkeys(regularizers.REGULARIZERS, 0.0)),
      "regularizer_options": {
        name: {"every": 1, **defaults(factory)}
        for name, factory in regularizers.REGULARIZERS.items()
      },
      "jitter": 0.05,  # how far a consistency term moves points
      "generator_regularizers": _numbers({"orthogonal": 0.0}),
      "k": 1,
      "simultaneous": False,
      # What the optimizers are given: "gradient", or one of `gan_jax.rules`: "extragradient",
      # "consensus" (weight), both of simultaneous players; "unrolled" (steps).
      "rule": {"name": "gradient", "weight": 1.0, "steps": 5},
      "packing": 1,
      "joint": False,
      "instance_noise": _numbers({"std": 0.0}),  # on all that the discriminator sees
      "optimizers": {"discriminator": optimizer("adam"), "generator": optimizer("adam")},
      # Of the generator: "decay", "ramped_decay" (TensorFlow's), "half_life" or "none".
      "average": {"name": "decay", "decay": 0.999, "half_life": 0.0, "ramp_up": 0.0},
      "log_every": 100,
      "sample_every": 1000,
      "evaluate_every": 0,  # 0: only at the end
      "checkpoint_every": 1000,
      "keep_checkpoints": 3,  # the newest so many
      "keep_every": 0,  # and those of each so many rounds; 0: no others
      "on_nan": "stop",  # or "rollback": go back to the last checkpoint, and on with other noise
      "max_rollbacks": 3,
      "num_samples": 64,  # in a grid
      "num_fake": 2000,  # for a score
      # How images are scored: what looks at them, one of `gan_jax.features.FEATURES`, with the file
      # of its weights after a colon if need be; some of `gan_jax.metrics.suite.METRICS`, of which
      # the first chooses the best checkpoint; the split they are held against, "train" or "test".
      # "auto" is what suits the data, see `gan_jax.evaluate.suited`.
      "evaluation": {
        "features": "auto",
        "metrics": ("auto",),
        "real": "auto",
      },
    }
  ).lock()


def from_file(path: str | pathlib.Path, beside: str = "") -> ml_collections.ConfigDict:
  """Reads the config of a file, to change it in another file.

  Args:
    path: of the file.
    beside: a file from whose folder a relative path starts: `__file__`.

  Returns:
    What its get_config() returns.
  """
  return runpy.run_path(str(pathlib.Path(beside).parent / path))["get_config"]()


def from_values(values: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Makes the config of values that JSON has kept.

  Args:
    values: of a config, by key; keys that there were not yet have their defaults, which change
      nothing.

  Returns:
    The config, whose keys can be overridden as those of the config file could.
  """
  return _like(values, default_config()).lock()


def _like(value: Any, default: Any) -> Any:
  """Gives a value the type that it has in the default config."""
  if isinstance(value, list):
    return tuple(_like(item, None) for item in value)
  if not isinstance(value, Mapping):
    return value
  known = default if isinstance(default, ml_collections.ConfigDict) else ml_collections.ConfigDict()
  options = {key: _like(item, known.get(key)) for key, item in value.items()}
  if value.get("name") == known.get("name"):  # options of another network are none of this one's
    options = {**known, **options}
  return ml_collections.ConfigDict(options, type_safe=known.is_type_safe)


def network(name: str, **options: Any) -> ml_collections.ConfigDict:
  """Makes the config of a network: its name, and every option it takes.

  Args:
    name: one of `gan_jax.nets.NETWORKS`.
    **options: other values than the network's defaults.

  Returns:
    The config.

  Raises:
    ValueError: for an unknown name or option.
  """
  fields = _network_options(name)
  known(options, fields, f"options of network {name!r}")
  return ml_collections.ConfigDict({"name": name, **fields, **options})


def optimizer(name: str, learning_rate: float = 2e-4, **options: Any) -> ml_collections.ConfigDict:
  """Makes the config of an optimizer.

  Args:
    name: one of `OPTIMIZERS`.
    learning_rate: a number, or a `schedule`.
    **options: optax's own, each a number or a `schedule`, and
      `clip_norm`: global norm that gradients are clipped to before the update, 0 for none;
      `clip_weights`: bound on every parameter right after the update, 0 for none;
      `lookahead`: rounds after which it goes back part of the way, 0 for never;
      `lookahead_share`: the part of the way that it keeps.

  Returns:
    The config.

  Raises:
    ValueError: for an unknown name or option.
  """
  factory = lookup(OPTIMIZERS, name, "optimizer")
  ours = {"learning_rate": learning_rate, **OUR_OPTIONS}
  known(options, {*inspect.signature(factory).parameters, *ours}, f"options of {name!r}")
  return _numbers({"name": name, **defaults(factory), **ours, **options})


def schedule(name: str, **options: Any) -> ml_collections.ConfigDict:
  """Makes the config of a number that changes over rounds: one of `SCHEDULES`, optax's options."""
  lookup(SCHEDULES, name, "schedule")
  return ml_collections.ConfigDict({"schedule": name, **options})


# --- checks, and reading -------------------------------------------------------------------------


def check(config: ml_collections.ConfigDict) -> None:
  """Refuses values that have no meaning, before anything expensive starts."""
  known(config, default_config(), "config keys")
  for key, least in LEAST.items():
    if config[key] < least:
      raise ValueError(f"config.{key} = {config[key]}: expected at least {least}")
  for key in ("log_every", "sample_every", "evaluate_every", "checkpoint_every", "keep_every"):
    if config[key] < 0:
      raise ValueError(f"config.{key} = {config[key]}: expected a number of rounds, or 0 for never")
  if config.on_nan not in ("stop", "rollback"):
    raise ValueError(f"config.on_nan is {config.on_nan!r}: expected 'stop' or 'rollback'")
  if config.simultaneous and config.k != 1:
    raise ValueError(
      f"config.simultaneous and config.k = {config.k} contradict each other: "
      "in a simultaneous turn both players move once; set one of them"
    )
  if config.batch_size % config.packing:
    raise ValueError(
      f"config.packing = {config.packing} does not divide config.batch_size = {config.batch_size}"
    )
  if config.batch_size % config.microbatches:
    raise ValueError(
      f"config.microbatches = {config.microbatches} does not divide config.batch_size = "
      f"{config.batch_size}"
    )
  if config.microbatches > 1 and config.packing > 1:
    raise ValueError(
      f"config.microbatches = {config.microbatches} and config.packing = {config.packing}: the "
      "discriminator sees consecutive examples packed, and microbatches take them apart; set one"
    )
  check_mesh(**section(config, "mesh"))
  _check_sections(config, "config", {})


def _check_sections(section: ml_collections.ConfigDict, path: str, seen: dict[int, str]) -> None:
  """Refuses one section in two places, where a flag for the one would change the other too."""
  if id(section) in seen:
    raise ValueError(
      f"{seen[id(section)]} and {path} are one object: overriding a key of one would change "
      "both; make each by its own call in the config file"
    )
  seen[id(section)] = path
  for key, value in section.items():
    if isinstance(value, ml_collections.ConfigDict):
      _check_sections(value, f"{path}.{key}", seen)


def check_number(name: str, value: Any, fixed: bool = False) -> None:
  """Refuses what is neither a number nor, unless it must be fixed, a schedule."""
  is_number = isinstance(value, int | float | jax.Array) and not isinstance(value, bool)
  if not (is_number or (is_schedule(value) and not fixed)):
    example = "{'schedule': 'cosine_decay_schedule', 'init_value': 1.0, 'decay_steps': 100}"
    expected = "a number" if fixed else f"a number, or a schedule such as {example}"
    shown = dict(value) if isinstance(value, ml_collections.ConfigDict) else value
    raise ValueError(f"{name} is {shown!r}: expected {expected}")


def section(config: ml_collections.ConfigDict, name: str) -> dict[str, Any]:
  """Reads a section; what was left out where it was given as a whole has its default."""
  defaults = default_config()[name]
  known(config[name], defaults, f"keys of config.{name}")
  return {**defaults, **config[name]}


def free_numbers(config: ml_collections.ConfigDict) -> dict[str, float]:
  """Lists the numbers that decide no more than how much: with others the program is the same.

  They are what a population can have several values of. A weight of 0 is none of them, as its term
  is left out.

  Args:
    config: a config.

  Returns:
    {dotted key: number}.
  """
  found: dict[str, float] = {}
  for name in ("regularizers", "generator_regularizers", "instance_noise"):
    found |= {k: v for k, v in _leaves(config[name], name) if v}
  for player, options in config.optimizers.items():
    ours = {f"optimizers.{player}.{key}" for key in OUR_OPTIONS}
    found |= {k: v for k, v in _leaves(options, f"optimizers.{player}") if k not in ours}
  found["average.decay"] = config.average.decay
  if config.rule.name == "consensus":
    found["rule.weight"] = config.rule.weight
  return found


def _leaves(section: Mapping[str, Any], path: str) -> Iterable[tuple[str, Any]]:
  """Lists numbers, and the first values of schedules, by dotted key."""
  for key, value in section.items():
    if isinstance(value, int | float) and not isinstance(value, bool):
      yield f"{path}.{key}", value
    elif is_schedule(value) and "init_value" in value:
      yield f"{path}.{key}.init_value", value["init_value"]


def replaced(
  config: ml_collections.ConfigDict, changes: Mapping[str, Any]
) -> ml_collections.ConfigDict:
  """Copies a config with other values at some of its keys, of whatever type.

  Args:
    config: a config; it stays as it is.
    changes: {dotted key: value}.

  Returns:
    The copy.

  Raises:
    ValueError: for a key that there is not.
  """
  copy = config.copy_and_resolve_references()
  for key, value in changes.items():
    *path, last = key.split(".")
    section = copy
    for name in path:
      section = section[name] if name in section else ml_collections.ConfigDict()
    if last not in section:
      raise ValueError(f"the config has no key {key!r}")
    with section.ignore_type():
      section[last] = value
  return copy


def filled(
  make: Callable[..., Mapping[str, Any]], options: Mapping[str, Any], kind: str
) -> dict[str, Any]:
  """Fills in what a section that names a network or an optimizer leaves out."""
  if "name" not in options:
    raise ValueError(f"a {kind} of the config has no name; it has: {', '.join(sorted(options))}")
  make(options["name"])  # an unknown name is told as such
  try:
    return dict(make(**options))
  except ValueError as error:
    raise ValueError(
      f"{error}. To change to another {kind}, give its section as a whole, such as "
      f"{{'name': {options['name']!r}}}"
    ) from error


def is_schedule(value: Any) -> bool:
  """Tells a `schedule` from a number."""
  return isinstance(value, Mapping | ml_collections.ConfigDict) and "schedule" in value


def _numbers(values: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Makes a section in which a schedule may take the place of a number, and the other way round."""
  return ml_collections.ConfigDict(values, type_safe=False)


def _network_options(name: str) -> dict[str, Any]:
  """Lists what a config may set of a network, with its defaults."""
  module = lookup(NETWORKS, name, "network")
  fields = {
    key: parameter.default
    for key, parameter in inspect.signature(module).parameters.items()
    if key not in GIVEN | {"name"}
  }
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"]).name
  return fields


def defaults(factory: Callable[..., Any]) -> dict[str, Any]:
  """Lists a factory's options that have plain defaults."""
  plain = bool | int | float | str | tuple
  return {
    key: parameter.default
    for key, parameter in inspect.signature(factory).parameters.items()
    if isinstance(parameter.default, plain)
  }


def lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
  """Looks a name up; an unknown one is refused with those there are."""
  if name not in table:
    raise ValueError(f"unknown {kind} {name!r}; expected one of: {', '.join(sorted(table))}")
  return table[name]


def known(given: Iterable[str], valid: Iterable[str], what: str) -> None:
  """Refuses names that are not valid, with those that are."""
  unknown = sorted(set(given) - set(valid))
  if unknown:
    raise ValueError(f"unknown {what}: {', '.join(unknown)}; expected: {', '.join(sorted(valid))}")
