"""VQGAN's tokenizer: every choice in it, by name."""

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.vq_gan import WEIGHTS, Autoencoder, vq_gan
from gan_jax.nets.autoencoder import Codebook, ImageLayer
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, at_least, weights
from gan_jax.run.config.sections.kinds import two_player

MEANINGS = {
  "adversarial": "factor of the adversarial loss, beside its adaptive weight",
  "reconstruction": "weight of the mean absolute difference",
  "codebook": "weight of what draws entries to codes",
  "commitment": "weight of what draws codes to entries",
}


def keys() -> Keys:
  """Lists the keys of the game."""
  return {
    **two_player.keys_of_players(),
    "encoder": networks.section("map_encoder"),
    "decoder": networks.section("map_decoder"),
    "codebook": {
      "size": Key(512, "entries of the codebook", at_least(2)),
      "features": Key(64, "numbers of an entry", at_least(1)),
    },
    "discriminator": networks.section("patch_discriminator", norm="batch"),
    "loss": Key("hinge", "adversarial loss, such as non_saturating, wgan, lsgan"),
    "weights": weights(WEIGHTS, MEANINGS),
    "start": Key(0, "round from which the discriminator takes part", at_least(0)),
  }


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  if len(example.shape) != 3:
    raise ValueError(f"{config.data!r} has examples {example.shape}: this game is of images")
  loss = two_player.adversarial_loss(config)
  features = {"features": config.codebook.features}
  nets = networks.build_networks(config, {"encoder": features, "decoder": {}, "discriminator": {}})
  codebook, last_layer = Codebook(**config.codebook), ImageLayer(example.shape[-1])
  return vq_gan(
    Autoencoder(nets["encoder"], codebook, nets["decoder"], last_layer),
    nets["discriminator"],
    loss=loss,
    weights=optimizers.build_weights(config),
    start=config.start,
    averages=optimizers.build_averages(config.average, *Autoencoder._fields),
    **two_player.players(config, example),
  )
