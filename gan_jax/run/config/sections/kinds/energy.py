"""EBGAN and BEGAN, of an autoencoding discriminator: keys of `two_player` with another loss."""

from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.schedules import is_off
from gan_jax.losses.energy import boundary_equilibrium, energy_margin, pulling_away
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, naming, weights
from gan_jax.run.config.sections.kinds import two_player


def _keys(own: dict[str, Any]) -> Keys:
  """Lists the keys of a game of a generator and an autoencoder."""
  usual = {k: v for k, v in two_player.keys().items() if k not in ("loss", "real_target")}
  nets = {
    "generator": networks.section("autoencoder_generator"),
    "discriminator": networks.section("autoencoder_discriminator"),
  }
  return {**usual, **nets, **own}


def eb_gan_keys() -> Keys:
  """Lists the keys of EBGAN."""
  about = "weight of the pulling-away term on the generator; 0: off, 0.1 is published"
  return _keys(
    {
      "margin": Key(1.0, "energy up to which that of fakes is raised, above 0"),
      "pulling_away": weights({"weight": 0.1}, {"weight": about}),
    }
  )


def be_gan_keys() -> Keys:
  """Lists the keys of BEGAN."""
  simultaneous = two_player.keys()["simultaneous"]._replace(default=True)
  return _keys(
    {
      "ratio": Key(0.5, "diversity ratio, energy of fakes over that of data, above 0 to 1"),
      "rate": Key(1e-3, "learning rate of k, by which the ratio is held"),
      "simultaneous": simultaneous,
    }
  )


def build_eb_gan(config: ConfigDict, example: Example) -> Game:
  """Builds the game of EBGAN; see `games.Kind`."""
  with naming("config.margin"):
    loss = energy_margin(config.margin)
  weight = config.pulling_away.weight
  terms = {} if is_off(weight) else {"pulling_away": (optimizers.number(weight), pulling_away())}
  return two_player.build_with(loss, config, example, terms)


def build_be_gan(config: ConfigDict, example: Example) -> Game:
  """Builds the game of BEGAN; see `games.Kind`."""
  with naming("config.ratio, config.rate"):
    loss = boundary_equilibrium(config.ratio, config.rate)
  return two_player.build_with(loss, config, example)
