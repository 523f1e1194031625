"""What a config holds: every key there is, sections for what a config names, and their checks.

A config file defines `get_config()`, which starts from `default_config()` and changes what it is
about. Everything can be overridden on the command line: `--config.loss=hinge --config.k=5`. It is
numbers, flags and names; `gan_jax.run.experiment` makes objects of them.
"""

import functools
import inspect
import math
import pathlib
import re
import runpy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
import optax

from gan_jax.checks import SCHEDULE, is_number
from gan_jax.losses import regularizers
from gan_jax.nets import NETWORKS
from gan_jax.parallel.mesh import check_mesh
from gan_jax.run.config import aliases

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
OPTIMIZER_MEANINGS = {
  "learning_rate": "step size; a number or a schedule",
  "b1": "decay of the average of gradients",
  "b2": "decay of the average of squared gradients",
  "eps": "added to the root that gradients are divided by",
  "eps_root": "added under that root; 1e-8 where something differentiates through updates",
  "nesterov": "whether momentum looks ahead (NAdam)",
  "clip_norm": "global norm that gradients are clipped to before the update; 0 for none",
  "clip_weights": "bound on every parameter right after the update (WGAN); 0 for none",
  "lookahead": "rounds after which it goes back part of the way; 0 for never",
  "lookahead_share": "part of the way that it keeps then",
}
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


class Key(NamedTuple):
  """A key of the config.

  Attributes:
    default: its value, or a section that a function makes.
    meaning: one line; of a section {key: line}.
  """

  default: Any
  meaning: str | Mapping[str, str]


def keys() -> dict[str, Any]:
  """Lists every key there is: nested sections of `Key`, of which docs/config.md is made."""
  return {
    "seed": Key(0, "seed of networks, batches and noise"),
    "rounds": Key(1000, "rounds to train; in each all players have their turns once"),
    "batch_size": Key(64, "examples in a minibatch, over all devices"),
    "rounds_per_call": Key(10, "rounds in one dispatch; the numbers do not depend on it"),
    # The numbers do not depend on the mesh either.
    "mesh": {
      "data": Key(-1, "devices that batches are split over; -1 for all that are left"),
      "fsdp": Key(1, "devices that batches and large arrays of the state are split over"),
    },
    "microbatches": Key(1, "parts in which a batch is seen, one by one, for less memory"),
    "remat": Key(False, "run networks again for their gradients: less memory, more time"),
    "data": Key("mnist10k", "data set: mnist10k, folder:DIR, npz:FILE, idx:DIR, tfds:NAME, ring8"),
    "data_options": {
      "image_size": Key(0, "pixels of a side to resize and crop to; 0 keeps the images' own"),
      "channels": Key(0, "1 for gray, 3 for colour; 0 keeps the images' own"),
      "examples": Key(0, "examples to train on, the first so many; 0 for all"),
      "hold_out": Key(0.0, "share of the examples that is the test split, of data that have none"),
      "data_dir": Key("", "where tfds: keeps its data, and where relative paths of others start"),
      "manual_dir": Key("", "folder of official files that were fetched by hand, for tfds:"),
      "flip": Key(False, "whether every image is flipped left to right with probability 1/2"),
      "pixel_range": Key((-1.0, 1.0), "what 0 and 255 are scaled to; the generator's output fits"),
      "placement": Key("auto", "device keeps all data there, stream reads them as it goes, auto"),
    },
    "conditional": Key(False, "whether both networks are given the labels"),
    "generator": _networks("mlp_generator"),
    "discriminator": _networks("mlp_discriminator"),
    "latent": {
      "name": Key("normal", "distribution of z: normal, uniform or truncated"),
      "dim": Key(64, "dimensions of z"),
      "scale": Key(1.0, "standard deviation of normal z; bound of uniform z"),
      "bound": Key(2.0, "of truncated z: every entry is redrawn until within it"),
    },
    "loss": Key("non_saturating", "adversarial loss, such as hinge, wgan, lsgan, rpgan"),
    "real_target": Key(1.0, "target of real examples; below 1: one-sided label smoothing"),
    "regularizers": Key(
      _numbers(dict.fromkeys(regularizers.REGULARIZERS, 0.0)),
      {
        name: f"weight (0: off; a number or a schedule): {_first_sentence(name)}"
        for name in regularizers.REGULARIZERS
      },
    ),
    "regularizer_options": {
      name: {
        "every": Key(
          1, "rounds between two applications (lazy), each with so many times the weight"
        ),
        **{
          option: Key(value, argument_docs(factory.__doc__).get(option, ""))
          for option, value in defaults(factory).items()
        },
      }
      for name, factory in regularizers.REGULARIZERS.items()
    },
    "jitter": Key(0.05, "how far a consistency term moves points"),
    "generator_regularizers": Key(
      _numbers({"orthogonal": 0.0}), {"orthogonal": "weight of the same for the generator"}
    ),
    "k": Key(1, "moves of the discriminator in a round, each with a fresh minibatch"),
    "simultaneous": Key(False, "whether both players move at once, from one draw"),
    # What the optimizers are given; see `gan_jax.game.rules`.
    "rule": {
      "name": Key("gradient", "gradient; extragradient, consensus (simultaneous); unrolled"),
      "weight": Key(1.0, "of consensus: weight of the gradients' squared norm"),
      "steps": Key(5, "of unrolled: moves of the discriminator that the generator looks ahead"),
    },
    "packing": Key(1, "examples that the discriminator sees at once (PacGAN)"),
    "joint": Key(False, "whether real and fake go through the discriminator in one batch"),
    "instance_noise": Key(
      _numbers({"std": 0.0}), {"std": "standard deviation of noise on all the discriminator sees"}
    ),
    "optimizers": {"discriminator": _optimizers("adam"), "generator": _optimizers("adam")},
    "average": {
      "name": Key("decay", "moving average of the generator: decay, ramped_decay, half_life, none"),
      "decay": Key(0.999, "share that is kept at each move; of ramped_decay, what it rises to"),
      "half_life": Key(0.0, "of half_life: images after which a contribution has halved"),
      "ramp_up": Key(0.0, "of half_life: at most this share of the images seen; 0 is off"),
    },
    "log_every": Key(100, "rounds between two rows; 0 for never"),
    "sample_every": Key(1000, "rounds between two pictures; 0 for the end alone"),
    "evaluate_every": Key(0, "rounds between two evaluations; 0 for the end alone"),
    "checkpoint_every": Key(1000, "rounds between two checkpoints; 0 for the end alone"),
    "keep_checkpoints": Key(3, "newest checkpoints that are kept"),
    "keep_every": Key(0, "rounds whose checkpoints are kept for good; 0 for none"),
    "on_nan": Key("stop", "stop, or rollback to the last checkpoint and on with other noise"),
    "max_rollbacks": Key(3, "times it is gone back at most"),
    "num_samples": Key(64, "examples in a picture"),
    "num_fake": Key(2000, "examples that are made for a score"),
    "evaluation": {
      # "auto" is what suits the data, see `gan_jax.run.evaluation.evaluate.suited`.
      "features": Key("auto", "what looks at images: auto, classifier, inception:FILE, ..."),
      "metrics": Key(("auto",), "scores, such as fid, kid, prdc; the first picks best; or auto"),
      "real": Key("auto", "split that fakes are held against: test, train or auto"),
    },
  }


def default_config() -> ml_collections.ConfigDict:
  """Makes a config with every key there is, each at its default."""
  return ml_collections.ConfigDict(_defaults_of(keys())).lock()


def _defaults_of(section: Any) -> Any:
  if isinstance(section, dict):
    return {key: _defaults_of(value) for key, value in section.items()}
  return section.default


def _networks(name: str) -> Key:
  """Describes a section that names a network."""
  about = argument_docs(NETWORKS[name].__doc__)
  player = name.split("_")[-1]
  meaning = {"name": f"one of the networks below that end in _{player}"}
  return Key(network(name), meaning | {o: about.get(o, "") for o in _network_options(name)})


def _optimizers(name: str) -> Key:
  """Describes a section that names an optimizer."""
  return Key(optimizer(name), {"name": ", ".join(OPTIMIZERS), **OPTIMIZER_MEANINGS})


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
  if 0 < (examples := section(config, "data_options")["examples"]) < config.batch_size:
    raise ValueError(
      f"config.data_options.examples = {examples} are fewer than one batch of"
      f" config.batch_size = {config.batch_size}: train on more, or in smaller batches"
    )
  check_mesh(**section(config, "mesh"))
  _check_sections(config, "config", {})
  if config.average.name == "half_life" and not config.average.half_life:
    raise ValueError(
      "config.average.half_life is 0, which copies the generator: give the images after which a "
      "contribution has halved, config.average.half_life=10000, or config.average.name=none"
    )
  _check_tuples(config)


def _check_tuples(config: ml_collections.ConfigDict) -> None:
  """Refuses tuples whose entries are of another kind than those of the default."""
  usual = default_config().to_dict()
  for key in ("generator", "discriminator"):
    if config[key].get("name") in NETWORKS:
      usual[key] = network(config[key]["name"])
  known = dict(_values(usual, ""))
  for key, value in _values(config, ""):
    if not (isinstance(known.get(key), tuple) and known[key]):
      continue
    kinds = (int, float) if isinstance(known[key][0], float) else type(known[key][0])
    entries = value if isinstance(value, tuple | list) else [None]
    if not all(isinstance(x, kinds) and type(x) is not bool for x in entries):
      raise ValueError(f"config.{key} is {value!r}: expected entries such as those of {known[key]}")


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


def check_number(name: str, value: Any, fixed: bool = False, least: float = -math.inf) -> None:
  """Refuses what is neither a finite number nor, unless it must be fixed, a schedule."""
  if not (is_number(value, lambda x: x >= least) or (is_schedule(value) and not fixed)):
    expected = "a number" if least == -math.inf else f"a number >= {least:g}"
    expected += "" if fixed else f", or a schedule such as {SCHEDULE}"
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


def canonical(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Replaces short names by ours (see `aliases`), before a config is kept or compared."""
  changes = {
    key: name
    for key, value in _values(config, "")
    if (name := aliases.canonical(key, value)) != value
  }
  return replaced(config, changes) if changes else config


def _values(section: Mapping[str, Any], path: str) -> Iterable[tuple[str, Any]]:
  for key, value in section.items():
    if isinstance(value, Mapping | ml_collections.ConfigDict):
      yield from _values(value, f"{path}{key}.")
    else:
      yield f"{path}{key}", value


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
      f"{error}. To change to another {kind}, give its section as a whole, {{'name': "
      f"{options['name']!r}}}, or on the command line its .name={options['name']}"
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


@functools.cache
def argument_docs(docstring: str | None) -> dict[str, str]:
  """Reads what a docstring says of each argument or attribute: {name: text}."""
  found: dict[str, str] = {}
  names: list[str] = []
  for line in inspect.cleandoc(docstring or "").splitlines():
    if match := re.fullmatch(r"  ([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)", line):
      names = match[1].split(", ")
      found |= dict.fromkeys(names, match[2])
    elif line.startswith("    ") and names:
      found |= {name: f"{found[name]} {line.strip()}" for name in names}
    else:
      names = []
  return {name: text.rstrip(".") for name, text in found.items()}


def _first_sentence(regularizer: str) -> str:
  """Takes what the docstring of a regularizer begins with."""
  described = getattr(regularizers, regularizer, regularizers.REGULARIZERS[regularizer])
  line = (described.__doc__ or regularizer).strip().splitlines()[0]
  return line[0].lower() + line[1:].split(". ")[0].rstrip(".")


def lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
  """Looks a name up; an unknown one is refused with those there are."""
  if name not in table:
    raise ValueError(aliases.unknown(name, table, kind))
  return table[name]


def known(given: Iterable[str], valid: Iterable[str], what: str) -> None:
  """Refuses names that are not valid, with those that are."""
  unknown = sorted(set(given) - set(valid))
  if unknown:
    near = aliases.near(unknown[0], valid)
    told = f"unknown {what}: {', '.join(unknown)}; expected: {', '.join(sorted(valid))}"
    raise ValueError(f"{told}{near}")
