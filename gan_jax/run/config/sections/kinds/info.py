"""InfoGAN: every choice in it, by name."""

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.info import WEIGHTS, Codes, check_codes, info_gan
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, naming, weights
from gan_jax.run.config.sections.kinds import two_player


def keys() -> Keys:
  """Lists the keys of the game: those of two players, with codes for latents."""
  shared = {k: key for k, key in two_player.keys().items() if k not in ("latent", "packing")}
  return {
    **shared,
    "discriminator": networks.section("auxiliary_mlp_discriminator"),
    "encoder": networks.section("mlp_encoder"),
    "codes": {
      "noise": Key(62, "entries of a latent that are noise"),
      "categorical": Key((10,), "classes of each categorical code"),
      "continuous": Key(2, "number of continuous codes"),
      "learned_variance": Key(False, "whether Q returns variances of continuous codes too"),
    },
    "weights": weights(
      WEIGHTS,
      {k: f"weight of -log Q of {k} codes" for k in ("categorical", "continuous")}
      | {"self_augmented": "weight of IMSAT's term of categorical codes in real images; 0: off"},
    ),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  two_player.check_players(config)
  two_player.check_sees_labels(config)
  with naming("config.codes"):
    check_codes(_codes(config))


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the keys of kinds of codes that there are none of; see `games.Kind`."""
  unread = {}
  if not config.codes.categorical:
    unread["weights.categorical"] = "config.codes.categorical is ()"
  if not config.codes.continuous:
    why = "config.codes.continuous is 0"
    unread |= dict.fromkeys(("weights.continuous", "codes.learned_variance"), why)
  return unread


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.build_game`."""
  codes, loss = _codes(config), two_player.adversarial_loss(config)
  shared = two_player.arguments(loss, config, example)
  fields = {"features": codes.outputs, "num_classes": example.condition_size}
  q = networks.build_networks(config, {"encoder": fields})["encoder"]
  return info_gan(q=q, codes=codes, weights=optimizers.build_weights(config), **shared)


def _codes(config: ConfigDict) -> Codes:
  return Codes(**{**config.codes, "categorical": tuple(config.codes.categorical)})
