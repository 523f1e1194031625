"""Tiny configs of kinds of game, which play a round in no time: {name: () -> config}."""

from collections.abc import Callable

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def _tiny(kind: str) -> ConfigDict:
  """Builds a short run of perceptrons, by plain descent, which passes rounding on as it is."""
  config = default_config(kind)
  config.data, config.batch_size = "digits8x8", 8
  config.rounds, config.rounds_per_call, config.checkpoint_every = 4, 2, 2
  config.log_every, config.sample_every = 2, 4
  config.num_samples, config.num_fake = 4, 16
  config.evaluation.features, config.evaluation.metrics = "pixels", ("rbf_mmd",)
  config.generator = network("mlp_generator", hidden=(8,))
  for player in config.optimizers:
    config.optimizers[player] = optimizer("sgd", 0.05)
  return config


def info_gan() -> ConfigDict:
  config = _tiny("info_gan")
  config.discriminator = network("auxiliary_mlp_discriminator", hidden=(8,))
  config.encoder = network("mlp_encoder", hidden=(8,))
  config.codes.noise, config.codes.categorical, config.codes.continuous = 3, (4, 2), 2
  return config


def ac_gan() -> ConfigDict:
  config = _tiny("ac_gan")
  config.discriminator = network("auxiliary_mlp_discriminator", hidden=(8,))
  config.latent.dim = 2
  return config


KINDS: dict[str, Callable[[], ConfigDict]] = {"info_gan": info_gan, "ac_gan": ac_gan}
