"""The game of a generator against a discriminator: every choice in it, by name."""

import inspect
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import losses
from gan_jax.data.example import Example
from gan_jax.game import rules
from gan_jax.game.core import Game, Turn
from gan_jax.game.kinds import checks
from gan_jax.game.kinds.sides.turns import alternating, simultaneous
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.latents import Latent, categorical, normal, truncate_normal, truncated, uniform
from gan_jax.game.schedules import Weight, is_off
from gan_jax.game.views import Views, gaussian_noise, packing
from gan_jax.losses.generator_terms import NORMS, feature_matching
from gan_jax.losses.objectives import TermLike
from gan_jax.losses.regularizers import OF_GENERATORS
from gan_jax.run.config.sections import augmentation, networks, optimizers, terms
from gan_jax.run.config.sections.key import (
  Key,
  Keys,
  at_least,
  lookup,
  naming,
  reached,
  weights,
)

LATENTS = {"normal": normal, "uniform": uniform, "truncated": truncated}


def keys() -> Keys:
  """Lists the keys of the game; what a user has registered is among them."""
  shared_terms = terms.keys()
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
    **shared_terms,
    "regularizer_options": {
      **shared_terms["regularizer_options"],
      **{name: terms.options(factory) for name, factory in OF_GENERATORS.items()},
    },
    "generator_regularizers": weights(
      dict.fromkeys(("orthogonal", *OF_GENERATORS), 0.0),
      {
        "orthogonal": "weight of orthogonal on the generator",
        "path_length": "weight of path_length on a generator in stages, such as StyleGAN2's",
      },
    ),
    "feature_matching": weights(
      dict.fromkeys(NORMS, 0.0),
      {
        "l2": "weight of the squared norm of the difference of mean features, for G; 0: off",
        "l1": "weight of its mean absolute value",
      },
    ),
    "top_k": weights(
      {"share": 1.0},
      {"share": "share of fakes, those with the largest logits, that G learns from"},
    ),
    "k": Key(1, "moves of the discriminator in a round, each with a fresh minibatch", at_least(1)),
    "simultaneous": Key(False, "whether both players move at once, from one draw"),
    # How the gradients that optimizers are given are computed; see `gan_jax.game.rules`.
    "rule": {
      "name": Key("gradient", "gradient; extragradient, consensus (simultaneous); unrolled"),
      "weight": Key(1.0, "of consensus: weight of the gradients' squared norm"),
      "steps": Key(5, "of unrolled: moves of the discriminator that the generator looks ahead"),
    },
    "augmentation": augmentation.section(),
    "packing": Key(1, "examples that the discriminator sees at once (PacGAN)", at_least(1)),
    "joint": Key(False, "whether real and fake go through the discriminator in one batch"),
    "instance_noise": weights(
      {"std": 0.0}, {"std": "standard deviation of noise on all the discriminator sees"}
    ),
    "optimizers": {
      "discriminator": optimizers.section("adam"),
      "generator": optimizers.section("adam"),
    },
    "average": optimizers.average(),
  }


def keys_of_players() -> Keys:
  """Lists the keys of every game of a discriminator and a generator."""
  shared = ("k", "simultaneous", "rule", "optimizers", "average")
  return {**{name: key for name, key in keys().items() if name in shared}, **terms.keys()}


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  check_players(config)
  check_sees_labels(config)
  if config.batch_size % config.packing:
    raise ValueError(
      f"config.packing = {config.packing} does not divide config.batch_size = {config.batch_size}"
    )


def check_players(config: ConfigDict) -> None:
  """Refuses turns, averages and rules that contradict each other."""
  if config.simultaneous and config.k != 1:
    raise ValueError(
      f"config.simultaneous and config.k = {config.k} contradict each other: "
      "in a simultaneous turn both players move once; set one of them"
    )
  optimizers.check_average(config.average)
  _check_mixing(config)
  discriminator = config.optimizers.discriminator
  if config.rule.name == "unrolled" and discriminator.get("eps_root") == 0:
    raise ValueError(
      "config.rule.name='unrolled' differentiates through the discriminator's updates, and the "
      f"square root of {discriminator.name} has no slope at 0; set "
      "config.optimizers.discriminator.eps_root=1e-8, or another optimizer"
    )


def check_sees_labels(config: ConfigDict) -> None:
  """Refuses labels that the generator alone is given, and would learn to leave alone."""
  name = config.discriminator.name
  if config.conditional and name.startswith("auxiliary_"):
    raise ValueError(
      f"config.conditional is set, and the logits of config.discriminator.name = {name!r} are not "
      "given labels: choose another, such as mlp_discriminator or dcgan_discriminator, "
      "config.conditional=False, or the game 'ac_gan', where it tells classes"
    )


def _check_mixing(config: ConfigDict) -> None:
  """Refuses styles of other latents where these are of another law, or are read in examples."""
  name = config.get("latent", {}).get("name", "normal")
  others = "are read by config.encoder" if "encoder" in config else f"are {name}"
  if config.get("generator", {}).get("mixing") and others != "are normal":
    raise ValueError(
      "config.generator.mixing gives layers the styles of other latents, drawn from N(0, I), and "
      f"those of this game {others}: set config.generator.mixing=0"
    )


def check_unconditional(config: ConfigDict, who: str = "this game takes") -> None:
  """Refuses what `check_players` does, and labels of a game without."""
  check_players(config)
  if config.conditional:
    raise ValueError(f"config.conditional is set, and {who} no labels: leave it out")


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.build_game`."""
  return build_with(adversarial_loss(config), config, example)


def build_with(
  loss: losses.AdversarialLoss,
  config: ConfigDict,
  example: Example,
  generator_terms: Mapping[str, tuple[Weight, TermLike]] | None = None,
) -> Game:
  """Builds the game of a loss and a complete config; see `games.build_game`.

  Args:
    loss: adversarial loss of both players.
    config: complete config with all `keys` but those of the loss.
    example: shape, classes and pixel range of the data.
    generator_terms: terms of the generator's loss beside those of the config.
  """
  given = arguments(loss, config, example)
  given["generator_regularizers"] |= generator_terms or {}
  return two_player(**latents(config), **given)


def latents(config: ConfigDict) -> dict[str, Any]:
  """Builds the arguments of `two_player` that are of its latents."""
  truncate = truncate_normal if is_standard_normal(config) else None
  return {"latent": _latent(config.latent), "truncate": truncate}


def adversarial_loss(config: ConfigDict) -> losses.AdversarialLoss:
  """Builds the adversarial loss of a complete config."""
  with naming("config.loss"):
    loss = lookup(losses.LOSSES, config.loss, "loss")
  target = config.get("real_target", 1.0)  # of some kinds of game there is none
  if target != 1.0:
    with naming("config.real_target"):
      loss = losses.smooth(loss, target)
  return loss


def arguments(
  loss: losses.AdversarialLoss,
  config: ConfigDict,
  example: Example,
  discriminator: Mapping[str, Any] = {},
) -> dict[str, Any]:
  """Builds the arguments of `two_player` that all games of two players have in common.

  Args:
    loss: adversarial loss of both players.
    config: complete config.
    example: shape, classes and pixel range of the data.
    discriminator: further fields of the discriminator, which the kind of game decides.

  Returns:
    The arguments by name: all but the latents.

  Raises:
    ValueError: for an unknown name or a value out of range.
  """
  networks.check_output(config.generator, example.pixel_range)
  networks.check_extractor(config.discriminator, example.pixel_range)
  labels: dict[str, Any] = {"num_classes": example.condition_size}
  views = _views(config)
  with naming("config.augmentation"):
    checks.check_signs(views, loss)
  nets = {
    "generator": {**labels, "shape": example.shape},
    "discriminator": {**labels, **discriminator},
  }
  return {
    **networks.build_networks(config, nets),
    "loss": loss,
    "generator_regularizers": {
      **terms.build(config, "generator_regularizers", example),
      **_feature_matching(config),
    },
    "averages": optimizers.build_averages(config.average, "generator"),
    **conditions(config, example),
    "joint": config.joint,
    "top_k": _top_k(config),
    "views": views,
    **players(config, example),
  }


def players(config: ConfigDict, example: Example) -> dict[str, Any]:
  """Builds the arguments of every game of a discriminator and a generator, by name."""
  return {
    "optimizers": optimizers.build_optimizers(config, {"discriminator": config.k, "generator": 1}),
    "regularizers": terms.build(config, "regularizers", example),
    "turns": turns(config),
    "remat": config.remat,
  }


def conditions(config: ConfigDict, example: Example) -> dict[str, Any]:
  """Builds the arguments of a game that are of labels, by name."""
  if config.conditional and example.condition_size is None:
    raise ValueError(
      f"config.conditional is set, but {config.data!r} has no labels; "
      "use data with labels or --config.conditional=False"
    )
  return {"conditional": config.conditional, "fake_labels": _fake_labels(config, example)}


def _fake_labels(config: ConfigDict, example: Example) -> Latent | None:
  """Builds the prior of the labels of fakes; None for those of real examples."""
  if config.condition.fakes == "batch":
    return None
  shares = config.condition.shares or (1.0,) * (example.num_classes or 0)
  with naming("config.condition.shares"):
    if len(shares) != example.num_classes:
      raise ValueError(f"there are {len(shares)} shares for {example.num_classes} classes")
    return categorical(shares)


def _views(config: ConfigDict) -> Views:
  """Builds what the discriminator sees of examples: augmented, with noise, and packed."""
  with naming("config.instance_noise.std"):
    std = optimizers.number(config.instance_noise.std)
    noise = () if is_off(std) else (gaussian_noise(std),)
  m = config.get("packing", 1)  # of some kinds of game there is none
  # Noise after augmentation, which would blur it; both before packing, as they are of an example.
  return (*augmentation.build(config), *noise, *(() if m == 1 else (packing(m),)))


def _feature_matching(config: ConfigDict) -> dict[str, tuple[Weight, TermLike]]:
  """Builds the terms of mean features whose weight is not zero."""
  with naming("config.feature_matching"):
    return {
      f"feature_matching_{norm}": (optimizers.number(weight), feature_matching(norm=norm))
      for norm, weight in config.get("feature_matching", {}).items()
      if not is_off(weight)
    }


def _top_k(config: ConfigDict) -> Weight:
  """Builds the share of fakes that the generator learns from; 1, all, of some kinds of game."""
  with naming("config.top_k.share"):
    share = config.top_k.share if "top_k" in config else 1.0
    if outside := [number for number in reached(share) if not 0 < number <= 1]:
      raise ValueError(
        f"{outside[0]} is no share: expected a number in (0, 1], or a schedule of such"
      )
    return optimizers.number(share)


def turns(config: ConfigDict) -> tuple[Turn, ...]:
  """Builds the order of turns, and the rule by which players move in them."""
  plain = simultaneous() if config.simultaneous else alternating(config.k)
  rule = config.rule
  kinds = {
    "gradient": lambda: plain,
    "extragradient": lambda: rules.extragradient(plain),
    "consensus": lambda: rules.consensus(plain, weight=rule.weight),
    "unrolled": lambda: rules.unrolled(plain, steps=rule.steps),
  }
  with naming("config.rule"):
    chosen = lookup(kinds, rule.name, "rule")()
  return rules.microbatches(chosen, config.microbatches)


def idle_of_rule(config: ConfigDict) -> dict[str, str]:
  """Lists the options of other update rules than the one that is named; see `games.idle`."""
  name = config.rule.name if "rule" in config else None
  others = {"weight": "consensus", "steps": "unrolled"} if name else {}
  why = "config.rule.name is {!r}, not {!r}"
  return {f"rule.{key}": why.format(name, rule) for key, rule in others.items() if name != rule}


def is_standard_normal(config: ConfigDict) -> bool:
  """Checks whether latents are of N(0, I), which alone are truncated."""
  latent = config.get("latent", {})
  return latent.get("name") == "normal" and latent.get("scale") == 1


def _latent(options: Mapping[str, Any]) -> Latent:
  with naming("config.latent"):
    factory = lookup(LATENTS, options["name"], "latent")
    takes = inspect.signature(factory).parameters
    return factory(**{key: value for key, value in options.items() if key in takes})
