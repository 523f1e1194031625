"""What a config may hold; that it reaches what it names is in test_experiment.py."""

import pytest

from gan_jax.data.example import Example
from gan_jax.files import flat
from gan_jax.run.config import (
  augmentation,
  complete,
  default_config,
  network,
  optimizer,
  replaced,
  schedule,
)
from gan_jax.run.config.sections.kinds.games import GAMES, build_game, idle


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


LEAVING = schedule("linear_schedule", init_value=0.5, end_value=-1.0, transition_steps=2)


@pytest.mark.parametrize(
  ("game", "changes", "message"),
  [
    ("two_player", {"discriminator": {"hidden": 8.5}}, "hidden is 8.5: expected entries"),
    (
      "ac_gan",
      {"discriminator": {"minibatch_kernels": 2.5}},
      "config.discriminator.minibatch_kernels is 2.5: expected an integer",
    ),
    ("auxiliary_task", {"task": {"dim": 2.5}}, "config.task.dim is 2.5: expected an integer"),
    ("auxiliary_task", {"task": {"dim": 0}}, "config.task: dim is 0: expected a number >= 1"),
    ("auxiliary_task", {"batch_size": 1}, "config.batch_size: a batch of 1, .* at least 2"),
    (
      "two_player",
      {"augmentation": augmentation("ada", adaptive=False, p=LEAVING)},
      "config.augmentation: p is {.*'end_value': -1.0.*}: expected a number >= 0",
    ),
    (
      "two_player",
      {"conditional": True, "discriminator": network("auxiliary_mlp_discriminator")},
      "'auxiliary_mlp_discriminator' are not given labels: choose another",
    ),
    (
      "info_gan",
      {"conditional": True},
      "'auxiliary_mlp_discriminator' are not given labels: choose another",
    ),
  ],
)
def test_what_nothing_could_use_is_refused_before_data_are_read(game, changes, message):
  config = default_config(game)
  for key, value in changes.items():
    with config.unlocked(), config.ignore_type():
      config[key] = {**config[key], **value} if isinstance(value, dict) else value
  with pytest.raises(ValueError, match=message):
    complete(config)


def test_a_schedule_of_shares_stays_within_them():
  config = default_config()
  config.top_k.share = schedule(
    "linear_schedule", init_value=0.5, end_value=2.0, transition_steps=2
  )
  with pytest.raises(
    ValueError, match=r"config.top_k.share: 2.0 is no share: expected a number in"
  ):
    build_game(complete(config), Example((2,), None, None))


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
    ("info_gan", {}, set()),
    (
      "info_gan",
      {"codes.continuous": 0},
      {"weights.continuous", "codes.learned_variance"},
    ),
    ("info_gan", {"codes.categorical": ()}, {"weights.categorical"}),
    ("auxiliary_task", {"task.generator_weight": 0.0}, set()),
    (
      "auxiliary_task",
      {"task.generator_weight": 0.0, "task.discriminator_weight": 0.0},
      {"task.temperature", "task.margin", "task.dim"},
    ),
  ],
)
def test_what_is_switched_off_is_listed_by_keys_that_there_are(game, changes, idle):
  config = complete(replaced(default_config(game), changes))
  listed = GAMES[game].idle(config)
  assert listed.keys() == idle
  known = flat(config.to_dict())
  assert all(any(f"{key}.".startswith(f"{name}.") for key in known) for name in listed)


def test_options_of_what_is_off_are_idle_in_every_kind_of_game():
  config = default_config()
  config.regularizers.r1, config.generator_regularizers.orthogonal = (
    1.0,
    schedule("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=2),
  )
  config.augmentation = augmentation("diffaugment", policy="color,cutout")
  listed = idle(complete(config))
  known = flat(config.to_dict())
  assert all(any(f"{key}.".startswith(f"{name}.") for key in known) for name in listed)
  read = {f"regularizer_options.{name}" for name in ("r1", "orthogonal")}
  assert not read & listed.keys()
  assert listed["regularizer_options.r2"] == "config.regularizers.r2 is 0"
  assert {"rule.weight", "rule.steps", "augmentation.translation_ratio"} <= listed.keys()
  assert "augmentation.cutout_ratio" not in listed
  config.rule.name = "consensus"
  config.augmentation = augmentation("ada", adaptive=False, p=0.2)
  listed = idle(complete(replaced(config, {"simultaneous": True})))
  assert "rule.weight" not in listed and "augmentation.p" not in listed
  assert {f"augmentation.{key}" for key in ("target", "interval", "kimg", "ceiling")} <= set(listed)
