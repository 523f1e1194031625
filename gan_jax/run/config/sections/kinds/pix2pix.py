"""pix2pix: every choice in it, by name."""

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.pix2pix import WEIGHTS, pix2pix
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, weights
from gan_jax.run.config.sections.kinds import two_player

MEANINGS = {
  "adversarial": "weight of the generator's adversarial loss",
  "l1": "weight of the mean absolute difference to the partner",
  "discriminator": "weight of the discriminator's adversarial loss; half of it is published",
}


def keys() -> Keys:
  """Lists the keys of the game."""
  return {
    **two_player.keys_of_players(),
    "translator": networks.section("unet_translator", dropout=0.5),
    "discriminator": networks.section("patch_discriminator", norm="batch"),
    "loss": Key("non_saturating", "adversarial loss of pairs, such as hinge, wgan, lsgan"),
    "weights": weights(WEIGHTS, MEANINGS),
    "noisy": Key(True, "whether the translator's dropout stays while sampling, as published"),
    "average": optimizers.average("none"),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  two_player.check_unconditional(config, "translators take")


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  networks.check_output(config.translator, example.pixel_range)
  loss = two_player.adversarial_loss(config)
  noise = {"noisy": True} if config.noisy and config.translator.get("dropout") else {}
  translator = {"channels": example.shape[-1], **noise}
  nets = networks.build_networks(config, {"translator": translator, "discriminator": {}})
  return pix2pix(
    nets["translator"],
    nets["discriminator"],
    loss=loss,
    weights=optimizers.build_weights(config),
    averages=optimizers.build_averages(config.average, "generator"),
    **two_player.players(config, example),
  )
