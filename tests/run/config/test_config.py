"""What a config may hold; that it reaches what it names is in test_experiment.py."""

import pytest

from gan_jax.run.config import default_config, network, optimizer, schedule


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
