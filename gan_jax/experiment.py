"""From a config to an experiment: here names become objects, and nowhere else.

A config file defines `get_config()`, which starts from `default_config()` and changes what it is
about. Everything can be overridden on the command line: `--config.loss=hinge --config.k=5`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
import optax

from gan_jax import data, games, losses, regularizers
from gan_jax.evaluate import Evaluator, evaluator_for, unscored
from gan_jax.game import Game
from gan_jax.nets import NETWORKS
from gan_jax.objectives import TermLike, Weight, every
from gan_jax.sampling import Example

LATENTS = {"normal": games.normal, "uniform": games.uniform, "truncated": games.truncated}
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
LEAST = {
  "rounds": 1,
  "batch_size": 1,
  "rounds_per_call": 1,
  "k": 1,
  "packing": 1,
  "num_samples": 1,
  "num_fake": 2,
  "keep_checkpoints": 1,
}
DTYPES = {name: jnp.dtype(name) for name in ("float32", "bfloat16", "float16")}
PLACEMENTS = {"auto": None, "device": True, "stream": False}
GIVEN = {"shape", "num_classes", "axis_name", "parent"}  # of a network: known from data and layout


class Experiment(NamedTuple):
  """All that a run needs.

  Attributes:
    config: what it was built from.
    game: the game.
    batches: the training data.
    evaluator: makes the evaluator; may train a classifier, so it is called when first needed.
    unscored: why the evaluator has no scores to give; None if it has.
    example: shape and number of classes of the data, and how its values are scaled.
  """

  config: ml_collections.ConfigDict
  game: Game
  batches: data.Batches
  evaluator: Callable[[], Evaluator]
  unscored: str | None
  example: Example


# --- configs ------------------------------------------------------------------------------------


def default_config() -> ml_collections.ConfigDict:
  """Makes a config with every key there is, each at its default."""
  return ml_collections.ConfigDict(
    {
      "seed": 0,
      "rounds": 1000,
      "batch_size": 64,
      "rounds_per_call": 10,  # rounds in one dispatch; the numbers do not depend on it
      "data": "mnist10k",  # see `gan_jax.data.load`
      "data_options": {
        "image_size": 0,  # of folder:, 0 keeps the images' own
        "channels": 0,  # of folder:, 0 keeps the images' own
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
        name: {"every": 1, **_defaults(factory)}
        for name, factory in regularizers.REGULARIZERS.items()
      },
      "jitter": 0.05,  # how far a consistency term moves points
      "generator_regularizers": _numbers({"orthogonal": 0.0}),
      "k": 1,
      "simultaneous": False,
      "packing": 1,
      "joint": False,
      "optimizers": {"discriminator": optimizer("adam"), "generator": optimizer("adam")},
      "average": {"name": "decay", "decay": 0.999, "half_life": 0.0, "ramp_up": 0.0},
      "log_every": 100,
      "sample_every": 1000,
      "evaluate_every": 0,  # 0: only at the end
      "checkpoint_every": 1000,
      "keep_checkpoints": 3,
      "num_samples": 64,  # in a grid
      "num_fake": 2000,  # for a score
    }
  ).lock()


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
  _known(options, fields, f"options of network {name!r}")
  return ml_collections.ConfigDict({"name": name, **fields, **options})


def optimizer(name: str, learning_rate: float = 2e-4, **options: Any) -> ml_collections.ConfigDict:
  """Makes the config of an optimizer.

  Args:
    name: one of `OPTIMIZERS`.
    learning_rate: a number, or a `schedule`.
    **options: optax's own, each a number or a `schedule`, and
      `clip_norm`: global norm that gradients are clipped to before the update, 0 for none;
      `clip_weights`: bound on every parameter right after the update, 0 for none.

  Returns:
    The config.

  Raises:
    ValueError: for an unknown name or option.
  """
  factory = _lookup(OPTIMIZERS, name, "optimizer")
  ours = {"learning_rate": learning_rate, "clip_norm": 0.0, "clip_weights": 0.0}
  _known(options, {*inspect.signature(factory).parameters, *ours}, f"options of {name!r}")
  return _numbers({"name": name, **_defaults(factory), **ours, **options})


def schedule(name: str, **options: Any) -> ml_collections.ConfigDict:
  """Makes the config of a number that changes over rounds: one of `SCHEDULES`, optax's options."""
  _lookup(SCHEDULES, name, "schedule")
  return ml_collections.ConfigDict({"schedule": name, **options})


def _numbers(values: Mapping[str, Any]) -> ml_collections.ConfigDict:
  """Makes a section in which a schedule may take the place of a number, and the other way round."""
  return ml_collections.ConfigDict(values, type_safe=False)


# --- building -----------------------------------------------------------------------------------


def build(config: ml_collections.ConfigDict) -> Experiment:
  """Builds an experiment.

  Args:
    config: from `default_config()` and changes to it.

  Returns:
    The experiment.

  Raises:
    ValueError: for an unknown name, a value out of range, or data that do not fit.
    FileNotFoundError: for data that are not there.
  """
  _check(config)
  options = _section(config, "data_options")
  where: dict[str, Any] = {
    key: options[key] or None for key in ("image_size", "channels", "data_dir", "manual_dir")
  }
  source = data.load(config.data, "train", **where)
  try:
    test = data.load(config.data, "test", **where)
  except data.NoSplitError:
    test = None
  example = Example(
    tuple(source.shape),
    source.num_classes if config.conditional else None,
    tuple(options["pixel_range"]) if len(source.shape) == 3 else None,
  )
  batches = data.Batches(
    source,
    config.batch_size,
    config.seed,
    flip=options["flip"],
    pixel_range=tuple(options["pixel_range"]),
    resident=_lookup(PLACEMENTS, options["placement"], "placement"),
    labels=config.conditional,
  )
  return Experiment(
    config=config,
    game=build_game(config, example),
    batches=batches,
    evaluator=lambda: evaluator_for(source, test, num_fake=config.num_fake, seed=config.seed),
    unscored=unscored(source, test),
    example=example,
  )


def build_game(config: ml_collections.ConfigDict, example: Example) -> Game:
  """Builds the game alone, which needs no data.

  Args:
    config: as for `build`.
    example: what the game has to know of its data.

  Returns:
    The game.

  Raises:
    ValueError: for an unknown name or a value out of range.
  """
  _check(config)
  if config.conditional and example.num_classes is None:
    raise ValueError(
      f"config.conditional is set, but {config.data!r} has no labels; "
      "use data with labels or --config.conditional=False"
    )
  loss = _lookup(losses.LOSSES, config.loss, "loss")
  if config.real_target != 1.0:
    loss = losses.smooth(loss, config.real_target)
  k = {"discriminator": config.k, "generator": 1}
  return games.two_player(
    _network(config.generator, example.num_classes, shape=example.shape),
    _network(config.discriminator, example.num_classes),
    loss=loss,
    regularizers=_regularizers(config, "regularizers", example),
    generator_regularizers=_regularizers(config, "generator_regularizers", example),
    optimizers={name: _optimizer(config.optimizers[name], k[name]) for name in k},
    latent=_latent(_section(config, "latent")),
    turns=games.simultaneous() if config.simultaneous else games.alternating(config.k),
    averages=_averages(_section(config, "average")),
    conditional=config.conditional,
    packing=config.packing,
    joint=config.joint,
  )


# --- helpers ------------------------------------------------------------------------------------


def _check(config: ml_collections.ConfigDict) -> None:
  """Refuses values that have no meaning, before anything expensive starts."""
  _known(config, default_config(), "config keys")
  for key, least in LEAST.items():
    if config[key] < least:
      raise ValueError(f"config.{key} = {config[key]}: expected at least {least}")
  for key in ("log_every", "sample_every", "evaluate_every", "checkpoint_every"):
    if config[key] < 0:
      raise ValueError(f"config.{key} = {config[key]}: expected a number of rounds, or 0 for never")
  if config.simultaneous and config.k != 1:
    raise ValueError(
      f"config.simultaneous and config.k = {config.k} contradict each other: "
      "in a simultaneous turn both players move once; set one of them"
    )
  if config.batch_size % config.packing:
    raise ValueError(
      f"config.packing = {config.packing} does not divide config.batch_size = {config.batch_size}"
    )
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


def _network(options: Mapping[str, Any], num_classes: int | None, **given: Any) -> Any:
  options = _filled(network, options, "network")
  name = options.pop("name")
  if "dtype" in options:
    options["dtype"] = _lookup(DTYPES, options["dtype"], "dtype")
  return NETWORKS[name](num_classes=num_classes, **given, **options)


def _network_options(name: str) -> dict[str, Any]:
  """Lists what a config may set of a network, with its defaults."""
  module = _lookup(NETWORKS, name, "network")
  fields = {
    key: parameter.default
    for key, parameter in inspect.signature(module).parameters.items()
    if key not in GIVEN | {"name"}
  }
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"]).name
  return fields


def _optimizer(options: Mapping[str, Any], moves: int) -> optax.GradientTransformation:
  """Makes an optimizer whose schedules count rounds, of which each has so many of its moves."""
  options = _filled(optimizer, options, "optimizer")
  name = options.pop("name")
  factory = OPTIMIZERS[name]
  numbers = {"learning_rate": 0.0, "clip_norm": 0.0, "clip_weights": 0.0, **_defaults(factory)}
  for key, value in options.items():
    if type(numbers.get(key)) in (int, float):
      _check_number(f"{key} of the optimizer {name!r}", value, fixed=key.startswith("clip_"))
  clip_norm, clip_weights = options.pop("clip_norm"), options.pop("clip_weights")
  fixed = {key: value for key, value in options.items() if not _is_schedule(value)}
  moving = {
    key: _every(moves, _weight(value)) for key, value in options.items() if _is_schedule(value)
  }
  if moving:
    factory = optax.inject_hyperparams(factory, static_args=tuple(fixed))
  steps = [factory(**fixed, **moving)]
  if clip_norm:
    steps.insert(0, optax.clip_by_global_norm(clip_norm))
  if clip_weights:
    steps.append(games.clip_weights(clip_weights))
  return optax.chain(*steps)


def _every(moves: int, schedule: Callable[[Any], Any]) -> Callable[[Any], Any]:
  return lambda count: schedule(count // moves)


def _regularizers(
  config: ml_collections.ConfigDict, section: str, example: Example
) -> dict[str, tuple[Weight, TermLike]]:
  """Makes the terms whose weight is not zero."""
  terms: dict[str, tuple[Weight, TermLike]] = {}
  every_options = _section(config, "regularizer_options")
  for name, weight in _section(config, section).items():
    _check_number(f"config.{section}.{name}", weight)
    if not (_is_schedule(weight) or weight):
      continue
    factory = regularizers.REGULARIZERS[name]
    options = {"every": 1, **_defaults(factory)}
    _known(every_options[name], options, f"keys of config.regularizer_options.{name}")
    options |= every_options[name]
    lazy = options.pop("every")
    if len(example.shape) == 1 and "transform" in inspect.signature(factory).parameters:
      # Points cannot be flipped and shifted.
      options["transform"] = regularizers.jitter(scale=config.jitter)
    term = factory(**options)
    terms[name] = (_weight(weight), term if lazy == 1 else every(lazy, term))
  return terms


def _weight(value: Any) -> Any:
  if not _is_schedule(value):
    return value
  options = dict(value)
  return _call(SCHEDULES, options.pop("schedule"), "schedule", options)


def _check_number(name: str, value: Any, fixed: bool = False) -> None:
  is_number = isinstance(value, int | float) and not isinstance(value, bool)
  if not (is_number or (_is_schedule(value) and not fixed)):
    example = "{'schedule': 'cosine_decay_schedule', 'init_value': 1.0, 'decay_steps': 100}"
    expected = "a number" if fixed else f"a number, or a schedule such as {example}"
    shown = dict(value) if isinstance(value, ml_collections.ConfigDict) else value
    raise ValueError(f"{name} is {shown!r}: expected {expected}")


def _is_schedule(value: Any) -> bool:
  return isinstance(value, Mapping | ml_collections.ConfigDict) and "schedule" in value


def _latent(options: dict[str, Any]) -> games.Latent:
  factory = _lookup(LATENTS, options["name"], "latent")
  takes = inspect.signature(factory).parameters
  return factory(**{key: value for key, value in options.items() if key in takes})


def _averages(options: dict[str, Any]) -> dict[str, Any]:
  kinds = {
    "none": dict,
    "decay": lambda: {"generator": games.decay(options["decay"])},
    "half_life": lambda: {"generator": games.half_life(options["half_life"], options["ramp_up"])},
  }
  return _lookup(kinds, options["name"], "average")()


def _section(config: ml_collections.ConfigDict, name: str) -> dict[str, Any]:
  """Reads a section; what was left out where it was given as a whole has its default."""
  defaults = default_config()[name]
  _known(config[name], defaults, f"keys of config.{name}")
  return {**defaults, **config[name]}


def _filled(
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


def _defaults(factory: Callable[..., Any]) -> dict[str, Any]:
  """Lists a factory's options that have plain defaults."""
  plain = bool | int | float | str | tuple
  return {
    key: parameter.default
    for key, parameter in inspect.signature(factory).parameters.items()
    if isinstance(parameter.default, plain)
  }


def _lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
  if name not in table:
    raise ValueError(f"unknown {kind} {name!r}; expected one of: {', '.join(sorted(table))}")
  return table[name]


def _call(table: Mapping[str, Any], name: str, kind: str, options: Mapping[str, Any]) -> Any:
  factory = _lookup(table, name, kind)
  _known(options, inspect.signature(factory).parameters, f"options of {kind} {name!r}")
  try:
    return factory(**options)
  except TypeError as error:  # an option that has no default was left out
    raise ValueError(f"{kind} {name!r}: {error}") from error


def _known(given: Iterable[str], valid: Iterable[str], what: str) -> None:
  unknown = sorted(set(given) - set(valid))
  if unknown:
    raise ValueError(f"unknown {what}: {', '.join(unknown)}; expected: {', '.join(sorted(valid))}")
