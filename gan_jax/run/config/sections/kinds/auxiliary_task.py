"""Games whose discriminator has a task: every choice in them, by name."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from ml_collections import ConfigDict

from gan_jax import nets
from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.auxiliary_task import TASKS, Task, auxiliary_task, check_batch
from gan_jax.game.schedules import is_off
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import (
  Key,
  Keys,
  argument_docs,
  check_known,
  check_number,
  defaults,
  lookup,
  named,
  naming,
  numbers,
)
from gan_jax.run.config.sections.kinds import two_player

HEADS: dict[str, type[nn.Module]] = {
  "contra_gan": nets.EmbeddingHead,
  "reac_gan": nets.EmbeddingHead,
  "ss_gan": nets.RotationHead,
  "info_max_gan": nets.LocalGlobalHead,
}
WEIGHTS = ("discriminator_weight", "generator_weight")  # of a task, which may be schedules


def task(name: str, **options: Any) -> ConfigDict:
  """Builds the config of a task: its name, every option it takes, and `dim` of the head.

  Args:
    name: one of `TASKS`.
    **options: other values than the task's defaults.

  Raises:
    ValueError: for an unknown name or option.
  """
  usual = defaults(lookup(TASKS, name, "task")) | _head_fields(name)
  check_known(options, usual, f"options of task {name!r}")
  return numbers({"name": name, **usual, **options})


def keys() -> Keys:
  """Lists the keys of the game: those of two players, and the task."""
  shared = {key: value for key, value in two_player.keys().items() if key != "packing"}
  about = argument_docs(TASKS["reac_gan"].__doc__) | argument_docs(TASKS["info_max_gan"].__doc__)
  meanings = {"name": ", ".join(TASKS), **about, "dim": "entries of an embedding or projection"}
  return {
    **shared,
    "conditional": Key(True, "whether both networks are given the labels; as the task needs it"),
    "discriminator": networks.section("auxiliary_mlp_discriminator"),
    "task": named(task, "task", "reac_gan", meanings, _check_numbers),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  two_player.check_players(config)
  built, name = _build_task(config), config.task.name
  conditional = built.conditional
  with naming("config.batch_size"):
    check_batch(built, config.batch_size)
  if config.conditional != conditional:
    raise ValueError(
      f"config.conditional is {config.conditional}, and {name} is "
      f"{'of classes' if conditional else 'without labels'}: set config.conditional={conditional}"
    )
  if conditional and config.condition.name != "labels":
    raise ValueError(
      f"config.condition.name is {config.condition.name!r}, and {name} is of classes"
      ": leave it at 'labels'"
    )


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the options of a task that neither player has; see `games.Kind`."""
  if not all(is_off(config.task[weight]) for weight in WEIGHTS):
    return {}
  why = "config.task.discriminator_weight and generator_weight are 0"
  return {f"task.{key}": why for key in config.task if key not in ("name", *WEIGHTS)}


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.build_game`."""
  fields = {key: config.task[key] for key in _head_fields(config.task.name)}
  head = HEADS[config.task.name](**fields)
  loss = two_player.adversarial_loss(config)
  shared = two_player.arguments(loss, config, example, {"head": head})
  del shared["conditional"]
  return auxiliary_task(task=_build_task(config), **two_player.latents(config), **shared)


def _build_task(config: ConfigDict) -> Task:
  options = dict(config.task)
  factory = TASKS[options.pop("name")]
  takes = inspect.signature(factory).parameters
  with naming("config.task"):
    return factory(**{k: optimizers.number(v) for k, v in options.items() if k in takes})


def _check_numbers(section: Mapping[str, Any]) -> None:
  """Refuses what is no number, and weights below 0."""
  for key, value in section.items():
    if key in WEIGHTS:
      check_number(key, value, least=0.0)
    elif key != "name":
      check_number(key, value, fixed=True, least=1 if key == "dim" else -math.inf)


def _head_fields(name: str) -> dict[str, Any]:
  """Lists the fields of the head of a task, with their defaults."""
  fields = inspect.signature(HEADS[name]).parameters.items()
  return {key: field.default for key, field in fields if key not in ("parent", "name")}
