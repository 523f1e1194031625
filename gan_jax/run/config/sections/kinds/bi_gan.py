"""BiGAN: every choice in it, by name."""

import math
from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.bi_gan import OWNS, bi_gan
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, naming
from gan_jax.run.config.sections.kinds import two_player


def keys() -> Keys:
  """Lists the keys of the game."""
  shared = two_player.keys()
  return {
    **two_player.keys_of_players(),
    "generator": shared["generator"],
    "encoder": networks.section("mlp_encoder"),
    "discriminator": networks.section("joint_mlp_discriminator"),
    "latent": shared["latent"],
    "loss": Key("non_saturating", "adversarial loss of pairs: minimax, hinge, wasserstein, ..."),
    "stochastic": Key(False, "whether codes are drawn in training, by means and variances (ALI)"),
  }


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  networks.check_output(config.generator, example.pixel_range)
  loss = two_player.adversarial_loss(config)
  provided: dict[str, dict[str, Any]] = {
    "generator": {"shape": example.shape, "num_classes": None},
    "encoder": {"features": config.latent.dim * (2 if config.stochastic else 1)},
    "discriminator": {},
  }
  nets = networks.build_networks(config, provided)
  # Pairs are rows, to which terms do what they do to points.
  pair = example._replace(shape=(math.prod(example.shape) + config.latent.dim,))
  with naming("config.loss"):
    return bi_gan(
      **nets,
      loss=loss,
      stochastic=config.stochastic,
      averages=optimizers.build_averages(config.average, *OWNS["generator"]),
      **two_player.latents(config),
      **two_player.players(config, pair),
    )
