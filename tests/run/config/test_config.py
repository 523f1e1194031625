"""What a config may hold; that it reaches what it names is in test_experiment.py."""

import pytest

from gan_jax.files import flat
from gan_jax.run.config import complete, default_config, network, optimizer, replaced, schedule
from gan_jax.run.config.sections.kinds.games import GAMES


def test_unknown_keys_are_refused_in_the_file():
  config = default_config()
  with pytest.raises(AttributeError, match="lss"):
    config.lss = "hinge"
  with pytest.raises(ValueError, match="unknown options of network .*widht.*expected: .*hidden"):
    network("mlp_generator", widht=3)
  with pytest.raises(ValueError, match="unknown options of 'adam': beta"):
    optimizer("adam", beta=0.5)
  with pytest.raises(ValueError, match="unknown schedule 'linear'; expected one of"):
    schedule("linear")


def test_overrides_of_one_player_leave_the_other_alone():
  config = default_config()
  config.optimizers.generator.learning_rate = 0.5
  config.generator.hidden = (3,)
  assert config.optimizers.discriminator.learning_rate == 2e-4
  assert config.discriminator.hidden == (128, 128, 128)
  assert default_config().optimizers.generator.learning_rate == 2e-4


def test_a_schedule_and_a_number_take_each_others_place():
  config = default_config()
  falling = schedule("linear_schedule", init_value=1.0, end_value=0.0, transition_steps=4)
  config.regularizers.r1 = falling
  config.optimizers.generator.learning_rate = falling
  config.regularizers.r1 = 2.0
  config.optimizers.generator.learning_rate = 0.1
  with pytest.raises(TypeError, match="batch_size"):
    config.batch_size = "many"


def test_a_config_is_completed_whatever_was_left_out():
  config = default_config()
  config.latent = {"dim": 3}
  config.generator = {"name": "mlp_generator", "hidden": (8,)}
  config.optimizers = {"generator": {"name": "sgd"}, "discriminator": {"name": "adam"}}
  config.regularizers = {"r1": 1.0}
  config.data_options.image_size = None  # none, as 0 is
  config.loss = "lsgan"
  whole = complete(config)
  usual = default_config()
  usual.optimizers.generator = optimizer("sgd")
  assert flat(whole.to_dict()).keys() == flat(usual.to_dict()).keys()
  assert (whole.latent.dim, whole.latent.name, whole.generator.hidden) == (3, "normal", (8,))
  assert whole.optimizers.generator.learning_rate == 2e-4 and whole.regularizers.r2 == 0.0
  assert whole.data_options.image_size == 0 and whole.loss == "least_squares"
  assert complete(whole) == whole
  config.latent.dim = 4  # the user's own goes on to change
  assert whole.latent.dim == 3


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("latent", {"dim": "8"}, "config.latent.dim is '8': expected an integer"),
    ("latent", {"dim": 2.5}, "config.latent.dim is 2.5: expected an integer"),
    ("latent", {"scale": float("nan")}, "config.latent.scale is nan: expected a number"),
    ("latent", {"name": 3}, "config.latent.name is 3: expected a name, such as 'normal'"),
    ("data_options", {"flip": 1}, "config.data_options.flip is 1: expected True or False"),
    ("data_options", {"pixel_range": 1.0}, "pixel_range is 1.0: expected entries such as those of"),
    (
      "evaluation",
      {"metrics": (1,)},
      r"config.evaluation.metrics is \(1,\): expected entries such",
    ),
    ("regularizers", "r1", "config.regularizers is 'r1': expected a section"),
    ("latent", "normal", "config.latent is 'normal': expected a section"),
    ("mesh", {"model": 2}, "unknown keys of config.mesh: model; expected: data, fsdp"),
    ("rounds", None, "config.rounds is None: expected an integer"),
    ("k", True, "config.k is True: expected an integer"),
  ],
)
def test_a_value_of_another_kind_is_refused(key, value, message):
  config = default_config()
  with config.unlocked(), config.ignore_type():
    config[key] = value
  with pytest.raises(ValueError, match=message):
    complete(config)


DISCRIMINATOR = {"discriminator", "optimizers.discriminator", "loss"}


@pytest.mark.parametrize(
  ("game", "changes", "idle"),
  [
    (
      "distribution_matching",
      {"weights.adversarial": 0.0},
      DISCRIMINATOR | {"weights.features", "levels.adversarial"},
    ),
    ("distribution_matching", {}, set()),
    ("cycle_gan", {}, {"classifier", "classified", "optimizers.classifier"}),
    ("cycle_gan", {"weights.semantic": 1.0, "conditional": True}, set()),
    ("adversarial_flow", {}, {"sampled"}),
    ("adversarial_flow", {"times": "any"}, {"steps"}),
    ("two_player", {}, set()),
  ],
)
def test_what_is_switched_off_is_listed_by_keys_that_there_are(game, changes, idle):
  config = complete(replaced(default_config(game), changes))
  listed = GAMES[game].idle(config)
  assert listed.keys() == idle
  known = flat(config.to_dict())
  assert all(any(f"{key}.".startswith(f"{name}.") for key in known) for name in listed)
