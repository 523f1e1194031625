"""A tiny config of every kind of game, for the contract of all."""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network


def short(config: ConfigDict) -> ConfigDict:
  """Makes a run of four rounds that is saved after two, with few samples and cheap scores."""
  config.rounds, config.rounds_per_call, config.checkpoint_every = 4, 2, 2
  config.log_every, config.sample_every = 2, 4
  config.num_samples, config.num_fake = 4, 16
  config.evaluation.features, config.evaluation.metrics = "pixels", ("rbf_mmd",)
  return config


def two_player() -> ConfigDict:
  config = short(default_config())
  config.batch_size, config.data_options.image_size = 8, 8
  config.data = "digits8x8"
  config.latent.dim = 2
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  return config


def cycle_gan() -> ConfigDict:
  config = short(default_config("cycle_gan"))
  config.batch_size, config.data_options.image_size = 8, 8
  config.data = "mnist10k|digits8x8"
  config.translator = network("unet_translator", width=2, levels=2, norm="instance")
  config.discriminator = network("pixel_discriminator", width=2)
  config.pool = 4
  return config


KINDS = {"two_player": two_player, "cycle_gan": cycle_gan}
