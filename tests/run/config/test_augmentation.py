"""Augmentation by config: its view, its place, a user's own, and the file that makes it again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kinds import ac_gan, two_player

from gan_jax.data.example import Example
from gan_jax.game.core import Clock
from gan_jax.game.views import View, gaussian_noise
from gan_jax.run.cli.config_flag import rename
from gan_jax.run.config import augmentation, default_config
from gan_jax.run.config.config import complete, from_values
from gan_jax.run.config.register import own, register
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.config.sections.kinds.two_player import _views
from gan_jax.run.config.stored import config_values
from gan_jax.run.experiment import build
from gan_jax.run.report.reproduce import config_file

RISE = {"schedule": "linear_schedule", "init_value": 0.0, "end_value": 1.0, "transition_steps": 10}


def test_augmentation_comes_before_noise_and_noise_before_packs():
  config = two_player()
  assert _views(complete(config)) == ()
  config.augmentation = augmentation("ada", p=RISE, adaptive=False)
  config.instance_noise.std, config.packing = 0.1, 2
  ada, noise, packs = _views(complete(config))
  assert ada.metrics(Clock(3), ()) == {"augmentation/p": pytest.approx(0.3)}
  assert packs.pack == 2 and not noise.memory and ada.pack == noise.pack == 1


def test_other_kinds_of_game_remember_the_strength_too():
  memory = build(ac_gan()).game.players["discriminator"].objective.memory
  assert memory["views.0"]["p"] == np.float32(0.5)


def test_names_bring_their_own_options_and_old_configs_have_none():
  config = default_config()
  (message,) = rename(config, {"augmentation.name": "diffaugment"})
  assert "cutout_ratio=0.5" in message and config.augmentation.policy == "color,translation,cutout"
  values = config_values(complete(two_player()))
  del values["augmentation"]
  assert complete(from_values(values)).augmentation.to_dict() == {"name": "none"}
  config.augmentation = {"name": "ada", "flips": 1}
  with pytest.raises(ValueError, match="unknown options of augmentation 'ada': flips; expected"):
    complete(config)
  config.augmentation = augmentation("ada", p=RISE)
  with pytest.raises(ValueError, match=r"config.augmentation: an adaptive p starts from a number"):
    _views(complete(config))


@pytest.mark.parametrize("loss", ["relativistic", "wasserstein", "least_squares", "energy"])
def test_an_adaptive_strength_needs_logits_whose_signs_mean_something(loss):
  """Under these they do not; with a strength of its own, or another loss, the game is built."""
  config = default_config("eb_gan" if loss == "energy" else "two_player")
  config.data = "digits8x8"
  if loss != "energy":
    config.loss = loss
  config.augmentation = augmentation("ada", p=0.2)
  game = lambda: build_game(complete(config), Example((8, 8, 1), None, (-1.0, 1.0)))
  with pytest.raises(ValueError, match=r"config\.augmentation: .* set adaptive=False and p=0\.2"):
    game()
  config.augmentation.adaptive = False
  assert "views.0" not in game().players["discriminator"].objective.memory
  if loss != "energy":
    config.augmentation.adaptive, config.loss = True, "hinge"
    assert "views.0" in game().players["discriminator"].objective.memory


def test_a_users_own_is_registered_and_made_again_by_a_file(unregistered):
  register("augmentation", "mine", lambda std=0.1: gaussian_noise(std))
  config = two_player()
  config.augmentation = augmentation("mine", std=0.2)
  (view,) = _views(complete(config))
  assert isinstance(view, View) and own(config) == ["augmentation mine"]
  text = config_file("mine", config_values(complete(config)))
  assert "config.augmentation = augmentation('mine', std=0.2)" in text
  for value in (gaussian_noise(0.1), lambda std: gaussian_noise(std)):
    with pytest.raises(ValueError, match="expected .* makes a view"):
      register("augmentation", "mine", value)


def test_points_are_refused_before_a_round_is_played():
  config = default_config()
  config.data, config.augmentation = "ring8", augmentation("ada")
  game = build(config).game
  with pytest.raises(ValueError, match=r"ADA augments images \[B, H, W, C\], got \(8, 2\)"):
    game.init(jax.random.key(0), {"x": jnp.zeros((8, 2))})
