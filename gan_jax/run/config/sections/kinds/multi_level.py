"""GAT, a generator whose images of all levels are judged: every choice in it, by name."""

import functools
from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.multi_level import DrawAugmentation, multi_level
from gan_jax.losses.one_step.levels import check_levels, draw_augmentation, noise_levels
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, at_least, naming, one_of, weights
from gan_jax.run.config.sections.kinds import two_player

PUBLISHED = {"r1_approximate": 0.1, "r2_approximate": 0.1}
# What moves an image [B, H, W, C], and there is one of each level.
OF_IMAGES = ("consistency", "balanced_consistency", "jitter")


def keys() -> Keys:
  """Lists the keys of the game."""
  shared, of_players = two_player.keys(), two_player.keys_of_players()
  usual = of_players["regularizers"]
  without = lambda values: {name: x for name, x in values.items() if name not in OF_IMAGES}
  options = {"b1": 0.0, "b2": 0.99, "weight_decay": 0.0, "clip_norm": 1.0}
  optimizer = lambda: optimizers.section("adamw")._replace(
    default=optimizers.optimizer("adamw", 2e-4, **options)
  )
  return {
    **without(of_players),
    "generator": networks.section("multi_level_mlp_generator"),
    "discriminator": shared["discriminator"],
    "latent": shared["latent"],
    "loss": Key("relativistic", "adversarial loss, such as relativistic, hinge, non_saturating"),
    "regularizers": weights(without({**usual.default, **PUBLISHED}), usual.meanings),
    "regularizer_options": without(of_players["regularizer_options"]),
    "levels": {
      "count": Key(4, "images that the generator makes, which D judges as one", at_least(1)),
      "base": Key(0.125, "noise level of the earliest image: 1 - base + offset", at_least(0)),
      "offset": Key(0.01, "noise level of the final image", at_least(0)),
    },
    "augmentation": {
      "name": Key(
        "none",
        "of images, alike on all levels: none, diffaugment, with holes of half the sides",
        one_of("none", "diffaugment"),
      ),
      "colour": Key(0.5, "of diffaugment: probability of the change of colours", _share),
      "flip": Key(0.4, "of diffaugment: probability of the flip", _share),
      "shift": Key(0.125, "of diffaugment: largest shift as a share of the side", _share),
    },
    "optimizers": {player: optimizer() for player in ("discriminator", "generator")},
  }


def _share(key: str, value: float) -> None:
  """Refuses what is no share."""
  if not 0 <= value <= 1:
    raise ValueError(f"{key} = {value}: expected a share, in [0, 1]")


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  networks.check_output(config.generator, example.pixel_range)
  networks.check_extractor(config.discriminator, example.pixel_range)
  options = config.levels
  with naming("config.levels"):
    levels = noise_levels(options.count, options.base, options.offset)
    check_levels(levels)
  labels: dict[str, Any] = {"num_classes": example.condition_size}
  provided = {
    "generator": {**labels, "shape": example.shape, "num_levels": options.count},
    "discriminator": labels,
  }
  return multi_level(
    **networks.build_networks(config, provided),
    **two_player.latents(config),
    **two_player.conditions(config, example),
    **two_player.players(config, example),
    loss=two_player.adversarial_loss(config),
    levels=levels,
    augmentation=_augmentation(config, example),
    averages=optimizers.build_averages(config.average, "generator"),
  )


def _augmentation(config: ConfigDict, example: Example) -> DrawAugmentation | None:
  """Builds what draws the augmentation; None for none."""
  options = dict(config.augmentation)
  if options.pop("name") == "none":
    return None
  if example.kind != "images":
    raise ValueError(
      f"config.augmentation.name is 'diffaugment', of images, and {config.data!r} has "
      f"{example.kind}: set it to 'none'"
    )
  return functools.partial(draw_augmentation, **options)
