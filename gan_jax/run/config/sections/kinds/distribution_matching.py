"""Distribution matching distillation, DMD2: every choice in it, by name."""

from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.batches import Batches
from gan_jax.data.domains import AnyBatches
from gan_jax.data.example import Example
from gan_jax.data.sources.endless import POINTS
from gan_jax.game import rules
from gan_jax.game.core import Game
from gan_jax.game.kinds.distribution_matching import (
  WEIGHTS,
  NoiseLevels,
  distribution_matching,
  two_time_scales,
)
from gan_jax.game.schedules import is_off
from gan_jax.losses.one_step.distribution_matching import (
  Denoiser,
  karras_levels,
  mixture_denoiser,
)
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import (
  Key,
  Keys,
  at_least,
  naming,
  one_of,
  weights,
)
from gan_jax.run.config.sections.kinds import two_player

LARGEST = 256 << 20  # bytes of examples that a program holds as its teacher
OF_DISCRIMINATOR = (
  *("discriminator", "optimizers.discriminator", "loss"),
  *("weights.features", "levels.adversarial"),
)
MEANINGS = {
  "adversarial": "weight of the adversarial loss for the generator; 0: no discriminator, no data",
  "features": "weight of the discriminator's loss for the critic, whose features it reads",
}


def keys() -> Keys:
  """Lists the keys of the game."""
  shared = two_player.keys()
  return {
    "generator": shared["generator"],
    "critic": networks.section("flow_mlp_critic"),
    "discriminator": networks.section("mlp_discriminator", hidden=(64,)),
    "latent": shared["latent"],
    "loss": Key("non_saturating", "adversarial loss of noised examples, such as hinge, rpgan"),
    "weights": weights(WEIGHTS, MEANINGS),
    "normalisation": Key(
      "published",
      "published: directions over the mean absolute error of the teacher; none: as they are",
      one_of("published", "none"),
    ),
    "teacher": {
      "std": Key(
        0.0, "of a mode, or of an example, as the teacher has it; 0: that of the data", at_least(0)
      ),
    },
    "levels": {
      "least": Key(0.002, "least noise level"),
      "largest": Key(80.0, "largest noise level"),
      "rho": Key(7.0, "the larger, the more levels are small"),
      "matching": Key((0.02, 0.98), "part of the levels at which the generator is matched"),
      "adversarial": Key((0.0, 1.0), "part of the levels at which the discriminator judges"),
    },
    "data_std": Key(0.5, "standard deviation of the data that the critic's inputs are scaled by"),
    "k": Key(5, "moves of critic and discriminator in a round", at_least(1)),
    "optimizers": {
      name: optimizers.section("adam") for name in ("critic", "discriminator", "generator")
    },
    "average": optimizers.average(),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  optimizers.check_average(config.average)
  if config.conditional:
    raise ValueError("config.conditional is set, and this game takes no labels: leave it out")


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the keys of a discriminator that there is not; see `games.Kind`."""
  if not is_off(config.weights.adversarial):
    return {}
  why = "config.weights.adversarial is 0, and there is no discriminator"
  return dict.fromkeys(OF_DISCRIMINATOR, why)


def build_game(config: ConfigDict, example: Example, batches: AnyBatches | None = None) -> Game:
  """Builds the game of a complete config, of its batches if it is played; see `games.Kind`."""
  networks.check_output(config.generator, example.pixel_range)
  has_discriminator = not is_off(config.weights.adversarial)
  provided: dict[str, dict[str, Any]] = {
    "generator": {"shape": example.shape, "num_classes": None},
    "critic": {"shape": example.shape},
  }
  moves = {"critic": config.k, "generator": 1}
  if has_discriminator:
    provided["discriminator"] = {"num_classes": None}
    moves["discriminator"] = config.k
  turns = two_time_scales(config.k, discriminator=has_discriminator)
  teacher, levels = _teacher(config, batches), _levels(config)
  with naming("config.data_std"):
    return distribution_matching(
      **networks.build_networks(config, provided),
      **two_player.latents(config),
      teacher=teacher,
      optimizers=optimizers.build_optimizers(config, moves),
      loss=two_player.adversarial_loss(config),
      weights=optimizers.build_weights(config),
      levels=levels,
      data_std=config.data_std,
      normalise=config.normalisation == "published",
      turns=rules.microbatches(turns, config.microbatches),
      averages=optimizers.build_averages(config.average, "generator"),
      remat=config.remat,
    )


def _teacher(config: ConfigDict, batches: AnyBatches | None) -> Denoiser | None:
  """Builds the teacher of a known density, or of the examples; None of unknown ones."""
  if config.data in POINTS:
    mixture = POINTS[config.data]
    with naming("config.teacher.std"):
      return mixture_denoiser(mixture.centers, config.teacher.std or mixture.std)
  if batches is None:
    return None
  assert isinstance(batches, Batches)  # the kind has no domains
  with naming("config.data: the teacher is of the training examples"):
    examples = batches.every(LARGEST)
  with naming("config.teacher.std"):
    return mixture_denoiser(examples.reshape(len(examples), -1), config.teacher.std)


def _levels(config: ConfigDict) -> NoiseLevels:
  """Builds the noise levels."""
  options = config.levels
  bounds = options.least, options.largest, options.rho
  with naming("config.levels"):
    return NoiseLevels(
      karras_levels(*bounds),
      karras_levels(*bounds, tuple(options.matching)),
      karras_levels(*bounds, tuple(options.adversarial)),
    )
