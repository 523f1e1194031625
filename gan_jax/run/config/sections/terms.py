"""Terms of a player's loss by name: their weights and options, and the objects that these make."""

import inspect
from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.schedules import Weight, is_off
from gan_jax.losses import consistency, regularizers
from gan_jax.losses.objectives import TermLike, every
from gan_jax.run.config.sections import optimizers
from gan_jax.run.config.sections.key import (
  Key,
  Keys,
  argument_docs,
  at_least,
  defaults,
  naming,
  weights,
)


def keys() -> Keys:
  """Lists the keys of regularizers; what a user has registered is among them."""
  names = regularizers.REGULARIZERS
  return {
    "regularizers": weights(
      dict.fromkeys(names, 0.0),
      {name: f"weight (0: off; a number or a schedule): {_first_sentence(name)}" for name in names},
    ),
    "regularizer_options": {name: options(factory) for name, factory in names.items()},
    "jitter": Key(0.05, "how far a consistency term moves points", at_least(0)),
  }


def build(config: ConfigDict, kind: str, example: Example) -> dict[str, tuple[Weight, TermLike]]:
  """Builds the terms of a section of weights whose weight is not zero.

  Args:
    config: complete config.
    kind: name of the section.
    example: shape of the data.

  Returns:
    {name: (weight, term)}.
  """
  terms: dict[str, tuple[Weight, TermLike]] = {}
  for name, weight in config[kind].items():
    if is_off(weight):
      continue
    factory = (regularizers.REGULARIZERS | regularizers.OF_GENERATORS)[name]
    given = dict(config.regularizer_options[name])
    lazy = given.pop("every")
    if example.kind != "images" and "transform" in inspect.signature(factory).parameters:
      # Only images are flipped and shifted.
      with naming("config.jitter"):
        given["transform"] = consistency.jitter(scale=config.jitter)
    with naming(f"config.regularizer_options.{name}"):
      term = factory(**given)
    with naming(f"config.{kind}.{name}"):
      terms[name] = (optimizers.number(weight), term if lazy == 1 else every(lazy, term))
  return terms


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the options of regularizers that no player has; see `games.idle`."""
  unread = {}
  kinds = [kind for kind in ("regularizers", "generator_regularizers") if kind in config]
  for name in config.get("regularizer_options", {}):
    given = {f"config.{kind}.{name}": config[kind][name] for kind in kinds if name in config[kind]}
    if all(map(is_off, given.values())):
      unread[f"regularizer_options.{name}"] = f"{' and '.join(given)} is 0"
  return unread


def options(factory: Any) -> dict[str, Key]:
  """Lists what may be set of a regularizer beside its weight."""
  about = argument_docs(factory.__doc__)
  lazy = "rounds between two applications (lazy), each with so many times the weight"
  own = {key: Key(value, about.get(key, "")) for key, value in defaults(factory).items()}
  return {"every": Key(1, lazy), **own}


def _first_sentence(regularizer: str) -> str:
  """Returns what the docstring of a regularizer begins with."""
  described = getattr(regularizers, regularizer, regularizers.REGULARIZERS[regularizer])
  line = (described.__doc__ or regularizer).strip().splitlines()[0]
  return line[0].lower() + line[1:].split(". ")[0].rstrip(".")
