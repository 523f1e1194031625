"""CycleGAN between two kinds of digits."""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network


def get_config() -> ConfigDict:
  config = default_config("cycle_gan")
  config.data = "mnist10k|digits8x8"
  config.data_options.image_size = 16
  config.translator = network("resnet_translator", width=16, blocks=3)
  config.discriminator = network("patch_discriminator", width=32, layers=2)
  config.batch_size = 16
  config.rounds = 2000
  config.log_every = 100
  config.sample_every = 500
  config.evaluate_every = 500
  config.checkpoint_every = 500
  config.num_fake = 2000
  config.num_samples = 48
  config.evaluation.features = "pixels"
  return config
