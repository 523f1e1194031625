"""DANN, adaptation to another domain: every choice in it, by name."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Clock, Game
from gan_jax.game.kinds.domain_adversarial import AT_ONCE, OWNS, domain_adversarial
from gan_jax.game.rules import microbatches
from gan_jax.game.schedules import Schedule, Weight, value_at
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, at_least, naming, weights

STEEPNESS = 10.0  # of the published rise


def keys() -> Keys:
  """Lists the keys of the game."""
  return {
    "conditional": Key(True, "whether labels of the source come along, which this game needs"),
    "feature_extractor": networks.section("lenet_extractor"),
    "label_predictor": networks.section("mlp_generator"),
    "domain_classifier": networks.section("mlp_discriminator"),
    "adaptation": weights(
      {"weight": 1.0}, {"weight": "weight of the negative domain loss; 0: the source alone"}
    ),
    "rise": Key(0, "rounds in which that weight rises as published; 0: at once", at_least(0)),
    "optimizers": {player: optimizers.section("adam") for player in OWNS},
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  if not config.conditional:
    raise ValueError("config.conditional is False, and this game learns the labels of its source")
  if config.condition.fakes != "batch":
    raise ValueError("config.condition.fakes is of generated examples, and this game has none")


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  if example.num_classes is None:
    raise ValueError(f"{config.data!r}: the first domain has no labels, which this game learns")
  built = optimizers.build_optimizers(config, dict.fromkeys(OWNS, 1))
  classes = {"shape": (example.num_classes,), "num_classes": None}
  provided = {"feature_extractor": {}, "label_predictor": classes, "domain_classifier": {}}
  with naming("config.adaptation.weight"):
    weight = optimizers.number(config.adaptation.weight)
  return domain_adversarial(
    **networks.build_networks(config, provided),
    optimizers=built,
    turns=microbatches(AT_ONCE, config.microbatches),
    adaptation=_rising(weight, config.rise) if config.rise else weight,
    remat=config.remat,
  )


def _rising(weight: Weight, rounds: int) -> Schedule:
  """Builds the published rise, 2 / (1 + exp(-10 p)) - 1 times the weight, p from 0 to 1."""

  def at(clock: Clock) -> jax.Array:
    p = jnp.minimum(clock.round / rounds, 1.0)
    rise = 2 * jax.nn.sigmoid(STEEPNESS * p) - 1
    return rise * value_at(weight, clock)

  return at
