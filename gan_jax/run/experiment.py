"""From a config to an experiment: here names become objects, and nowhere else."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_collections
import optax

from gan_jax import data, losses
from gan_jax.checks import SCHEDULE, shown, takes
from gan_jax.data.example import Example
from gan_jax.game import rules
from gan_jax.game.core import Game, Turn
from gan_jax.game.latents import Latent, normal, truncated, uniform
from gan_jax.game.optimizers import clip_weights, lookahead
from gan_jax.game.schedules import decay, half_life, ramped_decay
from gan_jax.game.turns import alternating, simultaneous
from gan_jax.game.two_player import two_player
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import TermLike, Weight, every
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.nets import NETWORKS
from gan_jax.run.config import aliases
from gan_jax.run.config.config import (
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
from gan_jax.run.evaluation.evaluate import (
  EvaluationSpec,
  Evaluator,
  Suited,
  evaluator_for,
  extractor_for,
  suited,
)
from gan_jax.run.evaluation.features import FEATURES
from gan_jax.run.evaluation.suite import METRICS

LATENTS = {"normal": normal, "uniform": uniform, "truncated": truncated}
DTYPES = {name: jnp.dtype(name) for name in ("float32", "bfloat16", "float16")}
AUTO = "auto"  # in config.evaluation: what suits the data
PLACEMENTS = {"auto": None, "device": True, "stream": False}


class Experiment(NamedTuple):
  """All that a run needs.

  Attributes:
    config: what it was built from.
    game: the game.
    batches: the training data.
    evaluator: makes the evaluator; may train a classifier, so it is called when first needed.
    suited: (config) -> how scores are made of these data under a config, this one or another.
    extractor: makes what looks at images for it; may train a classifier as well.
    example: shape and number of classes of the data, and how its values are scaled.
    held_out: examples of the same kind that are not trained on; None if there are none.
    source: the file that the config is of, as `register.source_of` describes it, if it is known.
  """

  config: ml_collections.ConfigDict
  game: Game
  batches: data.Batches
  evaluator: Callable[[], Evaluator]
  suited: Callable[[ml_collections.ConfigDict], Suited]
  extractor: Callable[[], Extractor]
  example: Example
  held_out: data.Source | None = None
  source: Mapping[str, str] | None = None


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
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f"config is {shown(config)}: expected a config, such as config.default_config() or "
      "config.from_file('experiments/ring.py')"
    )
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
  if options["hold_out"]:
    source, test = _hold_out(source, test, options["hold_out"], config.batch_size)
  if config.conditional:
    data.warn_unseen(source)
  example = Example(
    tuple(source.shape),
    source.num_classes if config.conditional else None,
    tuple(options["pixel_range"]) if len(source.shape) == 3 else None,
    source.class_names if config.conditional else None,
  )
  spec = _evaluation_spec(config)
  suited(source, test, spec)  # before anything is trained, it is refused if it cannot be had
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
      spec=spec,
      learned=batches.source if options["examples"] else None,
      seed=config.seed,
    ),
    suited=lambda config: suited(source, test, _evaluation_spec(config)),
    extractor=lambda: extractor_for(source, test, spec),
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
  return two_player(
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


def _hold_out(
  source: data.Source, test: data.Source | None, share: float, batch_size: int
) -> tuple[data.Source, data.Source]:
  """Makes the test split that data lack of a share of the training split."""
  check_number("config.data_options.hold_out", share, fixed=True)
  if test is not None:
    has = "is endless" if test.size is None else f"has a test split of {test.size} examples"
    raise ValueError(
      f"{source.name} {has}, and --config.data_options.hold_out={share} is for data without one:"
      " leave it out"
    )
  left, held_out = data.hold_out(source, share)
  if left.size is not None and left.size < batch_size:
    raise ValueError(
      f"--config.data_options.hold_out={share} leaves {left.size} of the {source.size} examples of"
      f" {source.name} to train on, fewer than one batch of {batch_size}: hold fewer out, or choose"
      f" --config.batch_size={left.size} or less"
    )
  return left, held_out


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
  if not takes(NETWORKS[name], num_classes=num_classes, **given, **options):
    raise ValueError(
      f"the network {name!r} cannot be made with {', '.join(['num_classes', *given, *options])}, "
      "which a config gives it: a generator has a field shape, and both have num_classes"
    )
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
  """Makes an optimizer whose schedules count rounds, of which each has so many of its moves.

  Its state is the same whether a number is fixed or scheduled, so that a run may go on with the
  other: schedules are functions of the round that `game.update` tells it, and remember nothing.
  """
  options = filled(optimizer, options, "optimizer")
  name = options.pop("name")
  factory = OPTIMIZERS[name]
  numbers = {"learning_rate": 0.0, **OUR_OPTIONS, **defaults(factory)}
  for key, value in options.items():
    if type(numbers.get(key)) in (int, float) or isinstance(value, float):
      least = 0.0 if key in ("learning_rate", *OUR_OPTIONS) else -math.inf  # momentum may be below
      check_number(f"{key} of the optimizer {name!r}", value, key in OUR_OPTIONS, least)
  ours = {key: options.pop(key) for key in OUR_OPTIONS}
  fixed = {key: value for key, value in options.items() if not is_schedule(value)}
  moving = {key: _weight(value) for key, value in options.items() if is_schedule(value)}
  steps = [_scheduled(factory, fixed, moving) if moving else factory(**fixed)]
  if ours["clip_norm"]:
    steps.insert(0, optax.clip_by_global_norm(ours["clip_norm"]))
  if ours["clip_weights"]:
    steps.append(clip_weights(ours["clip_weights"]))
  chain = optax.chain(*steps)
  if not ours["lookahead"]:
    return chain
  ahead = lookahead(chain, every=moves * ours["lookahead"], share=ours["lookahead_share"])
  return _bounded(ahead, ours["clip_weights"]) if ours["clip_weights"] else ahead


def _bounded(optimizer: optax.GradientTransformation, bound: float) -> optax.GradientTransformation:
  """Holds what lookahead makes of bounded parameters within the bound, which rounding may pass."""
  clip, inner = clip_weights(bound), optax.with_extra_args_support(optimizer)

  def update(updates: Any, state: Any, params: Any = None, **more: Any) -> tuple[Any, Any]:
    updates, state = inner.update(updates, state, params, **more)
    return clip.update(updates, optax.EmptyState(), params)[0], state

  return optax.GradientTransformationExtraArgs(optimizer.init, update)


def _turns(config: ml_collections.ConfigDict) -> tuple[Turn, ...]:
  """Makes the order of turns, and the rule by which players move in them."""
  turns = simultaneous() if config.simultaneous else alternating(config.k)
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


def _evaluation_spec(config: ml_collections.ConfigDict) -> EvaluationSpec:
  """Reads how images are to be scored."""
  options = section(config, "evaluation")
  spec = evaluation_spec(options["features"], options["metrics"], options["real"])
  if spec.metrics is None:
    return spec
  for name, metric in spec.metrics.items():
    if "labels" in metric.needs and not config.conditional:
      raise ValueError(
        f"metric {name!r} needs fakes whose classes were asked for, and this run is unconditional:"
        " leave it out of config.evaluation.metrics, or train a run with --config.conditional=True"
      )
  first, metric = next(iter(spec.metrics.items()))
  if config.evaluate_every and "none" in metric.better.values():
    raise ValueError(
      f"config.evaluation.metrics begins with {first!r}, of which neither more nor less is"
      " better: put one first that can choose the best checkpoint, or choose none with"
      " config.evaluate_every=0"
    )
  return spec


def evaluation_spec(features: str, metrics: Sequence[str], real: str) -> EvaluationSpec:
  """Finds what is to look at images, and to score them.

  Args:
    features: a name, and after a colon the file of its weights if need be; or "auto".
    metrics: names; or "auto" alone.
    real: the split that fakes are held against, "train" or "test"; or "auto".

  Returns:
    The objects; None for what is "auto".

  Raises:
    ValueError: for a name that there is not.
  """
  name, _, weights = features.partition(":")
  found = lookup({AUTO: None, **FEATURES}, name, "evaluation.features")
  if weights and (found is None or not found.reads_file):
    raise ValueError(
      f"config.evaluation.features {name!r} are read from no file, and {weights!r} is"
    )
  metrics = aliases.canonical("evaluation.metrics", metrics)
  if not metrics or len(set(metrics)) < len(metrics):
    raise ValueError(f"config.evaluation.metrics is {metrics}: expected one or more, each once")
  if real not in ("train", "test", AUTO):
    raise ValueError(f"config.evaluation.real is {real!r}: expected 'train', 'test' or 'auto'")
  scored = None
  if tuple(metrics) != (AUTO,):
    scored = {metric: lookup(METRICS, metric, "metric") for metric in metrics}
  return EvaluationSpec(found, scored, None if real == AUTO else real, weights or None)


def _noise(std: Any) -> Weight:
  check_number("config.instance_noise.std", std, least=0.0)
  with _naming("config.instance_noise.std"):
    return _weight(std)


def _scheduled(
  factory: Callable[..., optax.GradientTransformation],
  fixed: Mapping[str, Any],
  moving: Mapping[str, Callable[[Any], Any]],
) -> optax.GradientTransformationExtraArgs:
  """Makes an optimizer anew in each update, with the numbers of its round."""

  def at(round: Any) -> optax.GradientTransformation:
    numbers = {key: jnp.asarray(value(round), jnp.float32) for key, value in moving.items()}
    return factory(**fixed, **numbers)

  def update(updates: Any, state: Any, params: Any = None, *, round: Any, **more: Any) -> Any:
    del more
    return at(round).update(updates, state, params)

  return optax.GradientTransformationExtraArgs(lambda params: at(0).init(params), update)


def _regularizers(
  config: ml_collections.ConfigDict, kind: str, example: Example
) -> dict[str, tuple[Weight, TermLike]]:
  """Makes the terms whose weight is not zero."""
  terms: dict[str, tuple[Weight, TermLike]] = {}
  every_options = section(config, "regularizer_options")
  for name, weight in section(config, kind).items():
    check_number(f"config.{kind}.{name}", weight, least=0.0)
    if isinstance(weight, int | float) and not weight:
      continue
    factory = regularizers.REGULARIZERS[name]
    options = {"every": 1, **defaults(factory)}
    known(every_options[name], options, f"keys of config.regularizer_options.{name}")
    options |= every_options[name]
    lazy = options.pop("every")
    if len(example.shape) == 1 and "transform" in inspect.signature(factory).parameters:
      # Points cannot be flipped and shifted.
      with _naming("config.jitter"):
        options["transform"] = regularizers.jitter(scale=config.jitter)
    with _naming(f"config.regularizer_options.{name}"):
      term = factory(**options)
    with _naming(f"config.{kind}.{name}"):
      terms[name] = (_weight(weight), term if lazy == 1 else every(lazy, term))
  return terms


def _weight(value: Any) -> Any:
  if not is_schedule(value):
    return value
  options = dict(value)
  name = options.pop("schedule")
  try:
    factory = lookup(SCHEDULES, name, "schedule")
    known(options, inspect.signature(factory).parameters, f"options of schedule {name!r}")
    return factory(**options)
  except (TypeError, ValueError) as error:  # such as an option without a default, left out
    raise ValueError(f"{error}; a whole schedule is {SCHEDULE}") from error


def _latent(options: dict[str, Any]) -> Latent:
  with _naming("config.latent"):
    factory = lookup(LATENTS, options["name"], "latent")
    takes = inspect.signature(factory).parameters
    return factory(**{key: value for key, value in options.items() if key in takes})


def _averages(options: dict[str, Any]) -> dict[str, Any]:
  kinds = {
    "none": dict,
    "decay": lambda: {"generator": decay(options["decay"])},
    "ramped_decay": lambda: {"generator": ramped_decay(options["decay"])},
    "half_life": lambda: {"generator": half_life(options["half_life"], options["ramp_up"])},
  }
  with _naming("config.average"):
    return lookup(kinds, options["name"], "average")()
