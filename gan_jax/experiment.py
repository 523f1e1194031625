"""From a config to an experiment: here names become objects, and nowhere else."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
import optax

from gan_jax import aliases, data, games, losses, regularizers, rules
from gan_jax.config import (
  OPTIMIZERS,
  OUR_OPTIONS,
  SCHEDULES,
  canonical,
  check,
  check_number,
  defaults,
  filled,
  is_schedule,
  known,
  lookup,
  network,
  optimizer,
  replaced,
  section,
)
from gan_jax.evaluate import (
  Asked,
  Evaluator,
  evaluator_for,
  extractor_for,
  unscored,
)
from gan_jax.features import FEATURES
from gan_jax.game import Game, Turn
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.metrics.suite import METRICS
from gan_jax.nets import NETWORKS
from gan_jax.objectives import TermLike, Weight, every
from gan_jax.sampling import Example

LATENTS = {"normal": games.normal, "uniform": games.uniform, "truncated": games.truncated}
DTYPES = {name: jnp.dtype(name) for name in ("float32", "bfloat16", "float16")}
PLACEMENTS = {"auto": None, "device": True, "stream": False}


class Experiment(NamedTuple):
  """All that a run needs.

  Attributes:
    config: what it was built from.
    game: the game.
    batches: the training data.
    evaluator: makes the evaluator; may train a classifier, so it is called when first needed.
    unscored: why the evaluator has no scores to give; None if it has.
    extractor: makes what looks at images for it; may train a classifier as well.
    example: shape and number of classes of the data, and how its values are scaled.
    held_out: examples of the same kind that are not trained on; None if there are none.
  """

  config: ml_collections.ConfigDict
  game: Game
  batches: data.Batches
  evaluator: Callable[[], Evaluator]
  unscored: str | None
  extractor: Callable[[], Extractor]
  example: Example
  held_out: data.Source | None = None


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
  config = canonical(config)
  check(config)
  options = section(config, "data_options")
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
  asked = _asked(config)
  batches = data.Batches(
    data.first(source, options["examples"]) if options["examples"] else source,
    config.batch_size,
    config.seed,
    flip=options["flip"],
    pixel_range=tuple(options["pixel_range"]),
    resident=lookup(PLACEMENTS, options["placement"], "placement"),
    labels=config.conditional,
  )
  return Experiment(
    config=config,
    game=build_game(config, example),
    batches=batches,
    evaluator=lambda: evaluator_for(
      source,
      test,
      num_fake=config.num_fake,
      asked=asked,
      learned=batches.source if options["examples"] else None,
      seed=config.seed,
    ),
    unscored=unscored(source, test, asked),
    extractor=lambda: extractor_for(source, test, asked),
    example=example,
    held_out=test,
  )


def build_game(
  config: ml_collections.ConfigDict, example: Example, numbers: Mapping[str, Any] | None = None
) -> Game:
  """Builds the game alone, which needs no data.

  Args:
    config: as for `build`.
    example: what the game has to know of its data.
    numbers: {dotted key: traced scalar} in the place of some of `config.free_numbers`; nobody can
      check what they are, so a game with each as a number comes first.

  Returns:
    The game.

  Raises:
    ValueError: for an unknown name or a value out of range.
  """
  config = canonical(config)
  check(config)
  config = replaced(config, numbers or {})
  if config.conditional and example.num_classes is None:
    raise ValueError(
      f"config.conditional is set, but {config.data!r} has no labels; "
      "use data with labels or --config.conditional=False"
    )
  _check_output(config.generator, example)
  with _naming("config.loss"):
    loss = lookup(losses.LOSSES, config.loss, "loss")
  if config.real_target != 1.0:
    with _naming("config.real_target"):
      loss = losses.smooth(loss, config.real_target)
  optimizers = {}
  for player, moves in (("discriminator", config.k), ("generator", 1)):
    with _naming(f"config.optimizers.{player}"):
      optimizers[player] = _optimizer(config.optimizers[player], moves)
  with _naming("config.generator"):
    generator = _network(config.generator, example.num_classes, shape=example.shape)
  with _naming("config.discriminator"):
    discriminator = _network(config.discriminator, example.num_classes)
  return games.two_player(
    generator,
    discriminator,
    loss=loss,
    regularizers=_regularizers(config, "regularizers", example),
    generator_regularizers=_regularizers(config, "generator_regularizers", example),
    optimizers=optimizers,
    latent=_latent(section(config, "latent")),
    turns=_turns(config),
    averages=_averages(section(config, "average")),
    conditional=config.conditional,
    packing=config.packing,
    joint=config.joint,
    instance_noise=_noise(section(config, "instance_noise")["std"]),
    remat=config.remat,
  )


# --- what a config names ------------------------------------------------------------------------


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
  """Names the part of the config in errors of what is made of it."""
  try:
    yield
  except ValueError as error:
    raise ValueError(f"{key}: {error}") from error


def _network(options: Mapping[str, Any], num_classes: int | None, **given: Any) -> Any:
  options = filled(network, options, "network")
  name = options.pop("name")
  if "dtype" in options:
    options["dtype"] = lookup(DTYPES, options["dtype"], "dtype")
  return NETWORKS[name](num_classes=num_classes, **given, **options)


def _check_output(generator: Mapping[str, Any], example: Example) -> None:
  """Refuses a generator whose pixels cannot be those of the data."""
  options = filled(network, generator, "network")
  makes = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}.get(options.get("output", ""))
  if example.pixel_range and makes and makes != tuple(map(float, example.pixel_range)):
    raise ValueError(
      f"the generator's output {options['output']!r} makes pixels in {makes}, and "
      f"config.data_options.pixel_range scales the data's to {example.pixel_range}; set one to "
      "fit the other, or config.generator.output='linear'"
    )


def _optimizer(options: Mapping[str, Any], moves: int) -> optax.GradientTransformation:
  """Makes an optimizer whose schedules count rounds, of which each has so many of its moves."""
  options = filled(optimizer, options, "optimizer")
  name = options.pop("name")
  factory = OPTIMIZERS[name]
  numbers = {"learning_rate": 0.0, **OUR_OPTIONS, **defaults(factory)}
  for key, value in options.items():
    if type(numbers.get(key)) in (int, float):
      check_number(f"{key} of the optimizer {name!r}", value, fixed=key in OUR_OPTIONS)
  ours = {key: options.pop(key) for key in OUR_OPTIONS}
  fixed = {key: value for key, value in options.items() if not is_schedule(value)}
  moving = {
    key: _every(moves, _weight(value)) for key, value in options.items() if is_schedule(value)
  }
  if moving:
    factory = optax.inject_hyperparams(factory, static_args=tuple(fixed))
  steps = [factory(**fixed, **moving)]
  if ours["clip_norm"]:
    steps.insert(0, optax.clip_by_global_norm(ours["clip_norm"]))
  if ours["clip_weights"]:
    steps.append(games.clip_weights(ours["clip_weights"]))
  chain = optax.chain(*steps)
  if not ours["lookahead"]:
    return chain
  return rules.lookahead(chain, every=moves * ours["lookahead"], share=ours["lookahead_share"])


def _turns(config: ml_collections.ConfigDict) -> tuple[Turn, ...]:
  """Makes the order of turns, and the rule by which players move in them."""
  turns = games.simultaneous() if config.simultaneous else games.alternating(config.k)
  options = section(config, "rule")
  kinds = {
    "gradient": lambda: turns,
    "extragradient": lambda: rules.extragradient(turns),
    "consensus": lambda: rules.consensus(turns, weight=options["weight"]),
    "unrolled": lambda: rules.unrolled(turns, steps=options["steps"]),
  }
  if options["name"] == "unrolled" and config.optimizers.discriminator.get("eps_root") == 0:
    raise ValueError(
      "config.rule.name='unrolled' differentiates through the discriminator's updates, and the "
      f"square root of {config.optimizers.discriminator.name} has no slope at 0; set "
      "config.optimizers.discriminator.eps_root=1e-8, or another optimizer"
    )
  with _naming("config.rule"):
    turns = lookup(kinds, options["name"], "rule")()
  return rules.microbatches(turns, config.microbatches)


def _asked(config: ml_collections.ConfigDict) -> Asked:
  """Reads how images are to be scored."""
  options = section(config, "evaluation")
  asked = images_asked(options["features"], options["metrics"], options["real"])
  for name, metric in asked.metrics.items():
    if "labels" in metric.needs and not config.conditional:
      raise ValueError(
        f"metric {name!r} needs fakes whose classes were asked for: set config.conditional, or"
        " leave it out of config.evaluation.metrics"
      )
  first, metric = next(iter(asked.metrics.items()))
  if "none" in metric.better.values():
    raise ValueError(
      f"config.evaluation.metrics begins with {first!r}, of which neither more nor less is"
      " better: put one first that can choose the best checkpoint"
    )
  return asked


def images_asked(features: str, metrics: Sequence[str], real: str) -> Asked:
  """Finds what is to look at images, and to score them.

  Args:
    features: a name, and after a colon the file of its weights if need be.
    metrics: names.
    real: the split that fakes are held against, "train" or "test".

  Returns:
    The objects.

  Raises:
    ValueError: for a name that there is not.
  """
  name, _, weights = features.partition(":")
  found = lookup(FEATURES, name, "evaluation.features")
  if weights and not found.reads_file:
    raise ValueError(
      f"config.evaluation.features {name!r} are read from no file, and {weights!r} is"
    )
  metrics = aliases.canonical("evaluation.metrics", metrics)
  if not metrics or len(set(metrics)) < len(metrics):
    raise ValueError(f"config.evaluation.metrics is {metrics}: expected one or more, each once")
  if real not in ("train", "test"):
    raise ValueError(f"config.evaluation.real is {real!r}: expected 'train' or 'test'")
  scored = {metric: lookup(METRICS, metric, "metric") for metric in metrics}
  return Asked(found, scored, real, weights or None)


def _noise(std: Any) -> Weight:
  check_number("config.instance_noise.std", std)
  if isinstance(std, int | float) and std < 0:
    raise ValueError(f"config.instance_noise.std is {std}: expected a standard deviation >= 0")
  return _weight(std)


def _every(moves: int, schedule: Callable[[Any], Any]) -> Callable[[Any], Any]:
  return lambda count: schedule(count // moves)


def _regularizers(
  config: ml_collections.ConfigDict, kind: str, example: Example
) -> dict[str, tuple[Weight, TermLike]]:
  """Makes the terms whose weight is not zero."""
  terms: dict[str, tuple[Weight, TermLike]] = {}
  every_options = section(config, "regularizer_options")
  for name, weight in section(config, kind).items():
    check_number(f"config.{kind}.{name}", weight)
    if isinstance(weight, int | float) and not weight:
      continue
    factory = regularizers.REGULARIZERS[name]
    options = {"every": 1, **defaults(factory)}
    known(every_options[name], options, f"keys of config.regularizer_options.{name}")
    options |= every_options[name]
    lazy = options.pop("every")
    if len(example.shape) == 1 and "transform" in inspect.signature(factory).parameters:
      # Points cannot be flipped and shifted.
      options["transform"] = regularizers.jitter(scale=config.jitter)
    with _naming(f"config.regularizer_options.{name}"):
      term = factory(**options)
    terms[name] = (_weight(weight), term if lazy == 1 else every(lazy, term))
  return terms


def _weight(value: Any) -> Any:
  if not is_schedule(value):
    return value
  options = dict(value)
  return _call(SCHEDULES, options.pop("schedule"), "schedule", options)


def _call(table: Mapping[str, Any], name: str, kind: str, options: Mapping[str, Any]) -> Any:
  factory = lookup(table, name, kind)
  known(options, inspect.signature(factory).parameters, f"options of {kind} {name!r}")
  try:
    return factory(**options)
  except TypeError as error:  # an option that has no default was left out
    raise ValueError(f"{kind} {name!r}: {error}") from error


def _latent(options: dict[str, Any]) -> games.Latent:
  with _naming("config.latent"):
    factory = lookup(LATENTS, options["name"], "latent")
    takes = inspect.signature(factory).parameters
    return factory(**{key: value for key, value in options.items() if key in takes})


def _averages(options: dict[str, Any]) -> dict[str, Any]:
  kinds = {
    "none": dict,
    "decay": lambda: {"generator": games.decay(options["decay"])},
    "half_life": lambda: {"generator": games.half_life(options["half_life"], options["ramp_up"])},
  }
  with _naming("config.average"):
    return lookup(kinds, options["name"], "average")()
