"""pix2pix: every choice in it, by name."""

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.pix2pix import PLAYERS, WEIGHTS, pix2pix
from gan_jax.game.kinds.turns import alternating, simultaneous
from gan_jax.run.config.sections import networks, optimizers, terms
from gan_jax.run.config.sections.key import Key, Keys, naming, weights
from gan_jax.run.config.sections.kinds import two_player

MEANINGS = {
  "adversarial": "weight of the generator's adversarial loss",
  "l1": "weight of the mean absolute difference to the partner",
  "discriminator": "weight of the discriminator's adversarial loss; half of it is published",
}


def keys() -> Keys:
  """Lists the keys of the game."""
  return {
    "translator": networks.section("unet_translator", dropout=0.5),
    "discriminator": networks.section("patch_discriminator", norm="batch"),
    "loss": Key("non_saturating", "adversarial loss, such as hinge, wgan, lsgan"),
    "real_target": two_player.keys()["real_target"],
    "weights": weights(WEIGHTS, MEANINGS),
    "noisy": Key(True, "whether the translator's dropout stays while sampling, as published"),
    "simultaneous": Key(False, "whether both players move at once, from one draw"),
    **terms.keys(),
    "optimizers": {player: optimizers.section("adam") for player in PLAYERS},
    "average": optimizers.AVERAGE | {"name": optimizers.AVERAGE["name"]._replace(default="none")},
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  optimizers.check_average(config.average)
  if config.conditional:
    raise ValueError("config.conditional is set, and translators take no labels: leave it out")


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  networks.check_output(config.translator, example.pixel_range)
  built = {}
  for player in PLAYERS:
    with naming(f"config.optimizers.{player}"):
      built[player] = optimizers.build_optimizer(config.optimizers[player], 1)
  noise = {"noisy": True} if config.noisy and config.translator.get("dropout") else {}
  with naming("config.translator"):
    channels = example.shape[-1]
    translator = networks.build_network(config.translator, channels=channels, **noise)
  with naming("config.discriminator"):
    discriminator = networks.build_network(config.discriminator)
  with naming("config.weights"):
    sizes = {name: optimizers.number(config.weights[name]) for name in WEIGHTS}
  return pix2pix(
    translator,
    discriminator,
    loss=two_player.adversarial_loss(config),
    optimizers=built,
    weights=sizes,
    regularizers=terms.build(config, "regularizers", example),
    turns=simultaneous() if config.simultaneous else alternating(),
    averages=optimizers.build_averages(config.average, "generator"),
    remat=config.remat,
  )
