"""Optimizers, schedules and moving averages by name, and the options that each of them has here."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from gan_jax.checks import is_number
from gan_jax.game.core import Clock, Decay
from gan_jax.game.optimizers import clip_weights, freeze, lookahead
from gan_jax.game.schedules import (
  Schedule,
  by_images,
  by_rounds,
  cosine_schedule,
  decay,
  half_life,
  inverse_square_root,
  power_function,
  ramped_decay,
)
from gan_jax.run.config.aliases import SCHEDULE
from gan_jax.run.config.sections.key import (
  Section,
  check_known,
  check_number,
  check_type,
  defaults,
  is_schedule,
  leaves,
  lookup,
  named,
  naming,
  numbers,
  reached,
)

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
  "cosine_schedule": cosine_schedule,
  "inverse_square_root": inverse_square_root,
  **{
    name: getattr(optax, name)
    for name in (
      "cosine_decay_schedule",
      "exponential_decay",
      "linear_schedule",
      "polynomial_schedule",
      "warmup_cosine_decay_schedule",
    )
  },
}
UNITS = {"rounds": by_rounds, "images": by_images}  # that a schedule counts
EXTRA_OPTIONS: dict[str, Any] = {
  "clip_norm": 0.0,
  "clip_weights": 0.0,
  "lookahead": 0,
  "lookahead_share": 0.5,
  "freeze": "",
}
MEANINGS = {
  "learning_rate": "step size; a number or a schedule",
  "b1": "decay of the average of gradients",
  "b2": "decay of the average of squared gradients",
  "eps": "added to the root that gradients are divided by",
  "eps_root": "added under that root; 1e-8 where something differentiates through updates",
  "weight_decay": "share of parameters, times the step size, that each step takes off (AdamW)",
  "nesterov": "whether momentum looks ahead (NAdam)",
  "clip_norm": "global norm that gradients are clipped to before the update; 0 for none",
  "clip_weights": "bound on every parameter right after the update (WGAN); 0 for none",
  "lookahead": "rounds after which it goes back part of the way; 0 for never",
  "lookahead_share": "part of the way that it keeps then",
  "freeze": "layers that do not move, such as b32,b16.conv0 (FreezeD); '' for none",
}


AVERAGE = {
  "name": "decay",
  "decay": 0.999,
  "start": 0,
  "half_life": 0.0,
  "ramp_up": 0.0,
  "std": 0.05,
}
MEANINGS_OF_AVERAGE = {
  "name": "moving average of the generator: decay, ramped_decay, half_life, power_function, none",
  "decay": "share that is kept at each move; of ramped_decay, what it rises to",
  "start": "of decay: round, from 1, before which the average is a copy",
  "half_life": "of half_life: images after which a contribution has halved; may be a schedule",
  "ramp_up": "of half_life: at most this share of the images seen; 0 is off",
  "std": "of power_function (EDM2): width relative to the time so far, below 0.288",
}


def average(name: str = "decay") -> Section:
  """Builds the section of a moving average that is this one by default."""
  usual = AVERAGE | {"name": name}

  def complete(path: str, values: Mapping[str, Any]) -> ConfigDict:
    check_known(values, usual, f"keys of {path}")
    for key, value in values.items():
      if key != "half_life" or not is_schedule(value):
        check_type(f"{path}.{key}", value, usual[key])
    return numbers({**usual, **values})

  return Section(numbers(usual), MEANINGS_OF_AVERAGE, complete)


def section(name: str) -> Section:
  """Builds the section of a player whose optimizer is this one by default."""
  meanings = {"name": ", ".join(OPTIMIZERS), **MEANINGS}
  return named(optimizer, "optimizer", name, meanings, check)


def check(options: Mapping[str, Any]) -> None:
  """Refuses what is no number, and numbers out of range."""
  name = options["name"]
  usual = {"learning_rate": 0.0, **EXTRA_OPTIONS, **defaults(OPTIMIZERS[name])}
  if not isinstance(layers := options.get("freeze", ""), str):
    raise ValueError(f"freeze is {layers!r}: expected names of layers, such as 'b32,b16.conv0'")
  for key, value in options.items():
    if type(usual.get(key)) in (int, float) or isinstance(value, float):
      positive = key in ("learning_rate", *EXTRA_OPTIONS)  # momentum may be below 0
      least = 0.0 if positive else -math.inf
      check_number(f"{key} of the optimizer {name!r}", value, key in EXTRA_OPTIONS, least)
  for key in ("b1", "b2"):  # an average that keeps all of itself takes in no gradient
    for value in reached(options.get(key, 0.0)):
      if not is_number(value, lambda x: x < 1):
        raise ValueError(f"{key} of the optimizer {name!r} is {value}: expected a number below 1")
  if name == "adabelief" and options.get("b1") == 0:
    # The average is then the gradient: steps are some 3e6 times as long as those of Adam.
    raise ValueError(
      "b1 of the optimizer 'adabelief' is 0, and it divides by how far gradients are from their "
      "average: expected b1 above 0, such as 0.5, or the optimizer 'adam'"
    )


def optimizer(name: str, learning_rate: float = 2e-4, **options: Any) -> ConfigDict:
  """Builds the config of an optimizer.

  Args:
    name: one of `OPTIMIZERS`.
    learning_rate: a number, or a `schedule`.
    **options: optax's own, each a number or a `schedule`, and
      `clip_norm`: global norm that gradients are clipped to before the update, 0 for none;
      `clip_weights`: bound on every parameter right after the update, 0 for none;
      `lookahead`: rounds after which it goes back part of the way, 0 for never;
      `lookahead_share`: the part of the way that it keeps;
      `freeze`: names of layers that do not move, with commas between, "" for none.

  Raises:
    ValueError: for an unknown name or option.
  """
  factory = lookup(OPTIMIZERS, name, "optimizer")
  extra = {"learning_rate": learning_rate, **EXTRA_OPTIONS}
  check_known(options, {*inspect.signature(factory).parameters, *extra}, f"options of {name!r}")
  return numbers({"name": name, **defaults(factory), **extra, **options})


def schedule(name: str, **options: Any) -> ConfigDict:
  """Builds the config of a number that changes: one of `SCHEDULES`, optax's options, and `unit`."""
  lookup(SCHEDULES, name, "schedule")
  return ConfigDict({"schedule": name, **options})


def build_optimizer(options: Mapping[str, Any], moves: int) -> optax.GradientTransformation:
  """Builds an optimizer whose schedules count rounds or images, and not its own moves.

  Its state is the same whether a number is fixed or scheduled, so that a run may go on with the
  other: schedules are functions of the clock that `game.update` tells it, and remember nothing.

  Args:
    options: the complete section.
    moves: number of the player's moves in a round.

  Raises:
    ValueError: for a schedule that is not whole.
  """
  options = dict(options)
  name = options.pop("name")
  factory = OPTIMIZERS[name]
  extra = {key: options.pop(key) for key in EXTRA_OPTIONS}
  fixed = {key: value for key, value in options.items() if not is_schedule(value)}
  moving = {key: number(value) for key, value in options.items() if is_schedule(value)}
  steps = [_scheduled(factory, fixed, moving) if moving else factory(**fixed)]
  if extra["clip_norm"]:
    steps.insert(0, optax.clip_by_global_norm(extra["clip_norm"]))
  if extra["clip_weights"]:
    steps.append(clip_weights(extra["clip_weights"]))
  built = optax.chain(*steps)
  if extra["lookahead"]:
    built = lookahead(built, every=moves * extra["lookahead"], share=extra["lookahead_share"])
    built = _bounded(built, extra["clip_weights"]) if extra["clip_weights"] else built
  layers = [name.strip() for name in extra["freeze"].split(",") if name.strip()]
  return freeze(built, layers) if layers else built


def build_optimizers(
  config: ConfigDict, moves: Mapping[str, int]
) -> dict[str, optax.GradientTransformation]:
  """Builds the optimizers of players; {player: its moves in a round}."""
  built = {}
  for player, count in moves.items():
    with naming(f"config.optimizers.{player}"):
      built[player] = build_optimizer(config.optimizers[player], count)
  return built


def build_weights(config: ConfigDict) -> dict[str, Any]:
  """Builds the weights of a config, numbers or schedules, by name."""
  with naming("config.weights"):
    return {name: number(value) for name, value in config.weights.items()}


def number(value: Any) -> Any:
  """Returns a number as it is, and the function of the clock that a schedule names.

  Raises:
    ValueError: for an unknown schedule, or one that lacks an option.
  """
  if not is_schedule(value):
    return value
  options = dict(value)
  name, unit = options.pop("schedule"), options.pop("unit", "rounds")
  try:
    factory = lookup(SCHEDULES, name, "schedule")
    known = ("unit", *inspect.signature(factory).parameters)
    check_known(options, known, f"options of schedule {name!r}")
    counted = lookup(UNITS, unit, "unit")
    return counted(factory(**options))
  except (TypeError, ValueError) as error:  # such as an option without a default, left out
    raise ValueError(f"{error}; a whole schedule is {SCHEDULE}") from error


def _bounded(optimizer: optax.GradientTransformation, bound: float) -> optax.GradientTransformation:
  """Holds what lookahead makes of bounded parameters within the bound, which rounding may pass."""
  clip, inner = clip_weights(bound), optax.with_extra_args_support(optimizer)

  def update(updates: Any, state: Any, params: Any = None, **more: Any) -> tuple[Any, Any]:
    updates, state = inner.update(updates, state, params, **more)
    return clip.update(updates, optax.EmptyState(), params)[0], state

  return optax.GradientTransformationExtraArgs(optimizer.init, update)


def _scheduled(
  factory: Callable[..., optax.GradientTransformation],
  fixed: Mapping[str, Any],
  moving: Mapping[str, Schedule],
) -> optax.GradientTransformationExtraArgs:
  """Builds an optimizer anew in each update, with the numbers of its round."""

  def at(clock: Clock) -> optax.GradientTransformation:
    values = {key: jnp.asarray(value(clock), jnp.float32) for key, value in moving.items()}
    return factory(**fixed, **values)

  def update(updates: Any, state: Any, params: Any = None, *, clock: Clock, **more: Any) -> Any:
    del more
    return at(clock).update(updates, state, params)

  return optax.GradientTransformationExtraArgs(lambda params: at(Clock()).init(params), update)


def free_numbers(section: Mapping[str, Any]) -> dict[str, float]:
  """Lists the numbers of all players' optimizers with which the program is the same."""
  return {
    key: value
    for player, options in section.items()
    for key, value in leaves(options, f"optimizers.{player}")
    if key.rpartition(".")[2] not in EXTRA_OPTIONS
  }


def check_average(options: Mapping[str, Any]) -> None:
  """Refuses an average that is none."""
  if options["name"] == "half_life" and not options["half_life"]:
    raise ValueError(
      "config.average.half_life is 0, which copies the generator: give the images after which a "
      "contribution has halved, config.average.half_life=10000, or config.average.name=none"
    )


def build_averages(options: Any, *nets: str) -> dict[str, Decay]:
  """Builds the decays of the moving averages of networks, one for all."""
  kinds: dict[str, Callable[[], Decay | None]] = {
    "none": lambda: None,
    "decay": lambda: decay(options.decay, options.start),
    "ramped_decay": lambda: ramped_decay(options.decay),
    "half_life": lambda: half_life(number(options.half_life), options.ramp_up),
    "power_function": lambda: power_function(options.std),
  }
  with naming("config.average"):
    of_all = lookup(kinds, options.name, "average")()
  return {} if of_all is None else dict.fromkeys(nets, of_all)
