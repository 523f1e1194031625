"""AC-GAN: every choice in it, by name."""

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.auxiliary import WEIGHTS, ac_gan
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, weights
from gan_jax.run.config.sections.kinds import two_player


def keys() -> Keys:
  """Lists the keys of the game: those of two players, and the weights of classes."""
  shared = {key: value for key, value in two_player.keys().items() if key != "packing"}
  meaning = "weight of the classes' cross entropy in the loss of the {}"
  return {
    **shared,
    "conditional": Key(True, "whether both networks are given the labels"),
    "discriminator": networks.section("auxiliary_mlp_discriminator"),
    "weights": weights(WEIGHTS, {player: meaning.format(player) for player in WEIGHTS}),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  two_player.check_players(config)
  if not config.conditional or config.condition.name != "labels":
    raise ValueError(
      f"config.conditional is {config.conditional}, with {config.condition.name}, and AC-GAN tells"
      " classes: leave it at True, with labels"
    )


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.build_game`."""
  shared = two_player.arguments(two_player.adversarial_loss(config), config, example)
  del shared["conditional"]
  sizes = optimizers.build_weights(config)
  return ac_gan(weights=sizes, **two_player.latents(config), **shared)
