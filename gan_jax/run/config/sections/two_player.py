"""The game of a generator against a discriminator: every choice in it, by name."""

import inspect
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import losses
from gan_jax.data.example import Example
from gan_jax.game import rules
from gan_jax.game.core import Game, Turn
from gan_jax.game.latents import Latent, normal, truncate_normal, truncated, uniform
from gan_jax.game.schedules import decay, half_life, ramped_decay
from gan_jax.game.turns import alternating, simultaneous
from gan_jax.game.two_player import two_player
from gan_jax.losses import regularizers
from gan_jax.losses.objectives import TermLike, Weight, every
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import (
  Key,
  Keys,
  argument_docs,
  at_least,
  defaults,
  lookup,
  naming,
  weights,
)

LATENTS = {"normal": normal, "uniform": uniform, "truncated": truncated}


def keys() -> Keys:
  """Lists the keys of the game; what a user has registered is among them."""
  names = regularizers.REGULARIZERS
  return {
    "generator": networks.section("mlp_generator"),
    "discriminator": networks.section("mlp_discriminator"),
    "latent": {
      "name": Key("normal", "distribution of z: normal, uniform or truncated"),
      "dim": Key(64, "dimensions of z"),
      "scale": Key(1.0, "standard deviation of normal z; bound of uniform z"),
      "bound": Key(2.0, "of truncated z: every entry is redrawn until within it"),
    },
    "loss": Key("non_saturating", "adversarial loss, such as hinge, wgan, lsgan, rpgan"),
    "real_target": Key(1.0, "target of real examples; below 1: one-sided label smoothing"),
    "regularizers": weights(
      dict.fromkeys(names, 0.0),
      {name: f"weight (0: off; a number or a schedule): {_first_sentence(name)}" for name in names},
    ),
    "regularizer_options": {name: _options(factory) for name, factory in names.items()},
    "jitter": Key(0.05, "how far a consistency term moves points"),
    "generator_regularizers": weights(
      {"orthogonal": 0.0}, {"orthogonal": "weight of orthogonal on the generator"}
    ),
    "k": Key(1, "moves of the discriminator in a round, each with a fresh minibatch", at_least(1)),
    "simultaneous": Key(False, "whether both players move at once, from one draw"),
    # How the gradients that optimizers are given are computed; see `gan_jax.game.rules`.
    "rule": {
      "name": Key("gradient", "gradient; extragradient, consensus (simultaneous); unrolled"),
      "weight": Key(1.0, "of consensus: weight of the gradients' squared norm"),
      "steps": Key(5, "of unrolled: moves of the discriminator that the generator looks ahead"),
    },
    "packing": Key(1, "examples that the discriminator sees at once (PacGAN)", at_least(1)),
    "joint": Key(False, "whether real and fake go through the discriminator in one batch"),
    "instance_noise": weights(
      {"std": 0.0}, {"std": "standard deviation of noise on all the discriminator sees"}
    ),
    "optimizers": {
      "discriminator": optimizers.section("adam"),
      "generator": optimizers.section("adam"),
    },
    "average": {
      "name": Key("decay", "moving average of the generator: decay, ramped_decay, half_life, none"),
      "decay": Key(0.999, "share that is kept at each move; of ramped_decay, what it rises to"),
      "half_life": Key(0.0, "of half_life: images after which a contribution has halved"),
      "ramp_up": Key(0.0, "of half_life: at most this share of the images seen; 0 is off"),
    },
  }


def _options(factory: Any) -> dict[str, Key]:
  """Lists what may be set of a regularizer beside its weight."""
  about = argument_docs(factory.__doc__)
  lazy = "rounds between two applications (lazy), each with so many times the weight"
  options = {key: Key(value, about.get(key, "")) for key, value in defaults(factory).items()}
  return {"every": Key(1, lazy), **options}


def _first_sentence(regularizer: str) -> str:
  """Returns what the docstring of a regularizer begins with."""
  described = getattr(regularizers, regularizer, regularizers.REGULARIZERS[regularizer])
  line = (described.__doc__ or regularizer).strip().splitlines()[0]
  return line[0].lower() + line[1:].split(". ")[0].rstrip(".")


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  if config.simultaneous and config.k != 1:
    raise ValueError(
      f"config.simultaneous and config.k = {config.k} contradict each other: "
      "in a simultaneous turn both players move once; set one of them"
    )
  if config.batch_size % config.packing:
    raise ValueError(
      f"config.packing = {config.packing} does not divide config.batch_size = {config.batch_size}"
    )
  if config.average.name == "half_life" and not config.average.half_life:
    raise ValueError(
      "config.average.half_life is 0, which copies the generator: give the images after which a "
      "contribution has halved, config.average.half_life=10000, or config.average.name=none"
    )
  discriminator = config.optimizers.discriminator
  if config.rule.name == "unrolled" and discriminator.get("eps_root") == 0:
    raise ValueError(
      "config.rule.name='unrolled' differentiates through the discriminator's updates, and the "
      f"square root of {discriminator.name} has no slope at 0; set "
      "config.optimizers.discriminator.eps_root=1e-8, or another optimizer"
    )


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game alone, which needs no data.

  Args:
    config: complete config; `replaced` may have put traced scalars in the place of some of its
      `free_numbers`. Nobody can check these, so a game with each as a number comes first.
    example: shape, classes and pixel range of the data.

  Returns:
    The game.

  Raises:
    ValueError: for an unknown name or a value out of range.
  """
  if config.conditional and example.num_classes is None:
    raise ValueError(
      f"config.conditional is set, but {config.data!r} has no labels; "
      "use data with labels or --config.conditional=False"
    )
  networks.check_output(config.generator, example.pixel_range)
  with naming("config.loss"):
    loss = lookup(losses.LOSSES, config.loss, "loss")
  if config.real_target != 1.0:
    with naming("config.real_target"):
      loss = losses.smooth(loss, config.real_target)
  built = {}
  for player, moves in (("discriminator", config.k), ("generator", 1)):
    with naming(f"config.optimizers.{player}"):
      built[player] = optimizers.build_optimizer(config.optimizers[player], moves)
  with naming("config.generator"):
    generator = networks.build_network(config.generator, example.num_classes, shape=example.shape)
  with naming("config.discriminator"):
    discriminator = networks.build_network(config.discriminator, example.num_classes)
  with naming("config.instance_noise.std"):
    noise = optimizers.number(config.instance_noise.std)
  return two_player(
    generator,
    discriminator,
    loss=loss,
    regularizers=_terms(config, "regularizers", example),
    generator_regularizers=_terms(config, "generator_regularizers", example),
    optimizers=built,
    latent=_latent(config.latent),
    truncate=truncate_normal if is_standard_normal(config) else None,
    turns=_turns(config),
    averages=_averages(config.average),
    conditional=config.conditional,
    packing=config.packing,
    joint=config.joint,
    instance_noise=noise,
    remat=config.remat,
  )


def _terms(config: ConfigDict, kind: str, example: Example) -> dict[str, tuple[Weight, TermLike]]:
  """Builds the terms whose weight is not zero."""
  terms: dict[str, tuple[Weight, TermLike]] = {}
  for name, weight in config[kind].items():
    if isinstance(weight, int | float) and not weight:
      continue
    factory = regularizers.REGULARIZERS[name]
    options = dict(config.regularizer_options[name])
    lazy = options.pop("every")
    if len(example.shape) == 1 and "transform" in inspect.signature(factory).parameters:
      # Points cannot be flipped and shifted.
      with naming("config.jitter"):
        options["transform"] = losses.jitter(scale=config.jitter)
    with naming(f"config.regularizer_options.{name}"):
      term = factory(**options)
    with naming(f"config.{kind}.{name}"):
      terms[name] = (optimizers.number(weight), term if lazy == 1 else every(lazy, term))
  return terms


def _turns(config: ConfigDict) -> tuple[Turn, ...]:
  """Builds the order of turns, and the rule by which players move in them."""
  turns = simultaneous() if config.simultaneous else alternating(config.k)
  rule = config.rule
  kinds = {
    "gradient": lambda: turns,
    "extragradient": lambda: rules.extragradient(turns),
    "consensus": lambda: rules.consensus(turns, weight=rule.weight),
    "unrolled": lambda: rules.unrolled(turns, steps=rule.steps),
  }
  with naming("config.rule"):
    turns = lookup(kinds, rule.name, "rule")()
  return rules.microbatches(turns, config.microbatches)


def is_standard_normal(config: ConfigDict) -> bool:
  """Checks whether latents are of N(0, I), which alone are truncated."""
  latent = config.get("latent", {})
  return latent.get("name") == "normal" and latent.get("scale") == 1


def _latent(options: Mapping[str, Any]) -> Latent:
  with naming("config.latent"):
    factory = lookup(LATENTS, options["name"], "latent")
    takes = inspect.signature(factory).parameters
    return factory(**{key: value for key, value in options.items() if key in takes})


def _averages(options: Any) -> dict[str, Any]:
  kinds = {
    "none": dict,
    "decay": lambda: {"generator": decay(options.decay)},
    "ramped_decay": lambda: {"generator": ramped_decay(options.decay)},
    "half_life": lambda: {"generator": half_life(options.half_life, options.ramp_up)},
  }
  with naming("config.average"):
    return lookup(kinds, options.name, "average")()
