from ml_collections import ConfigDict

from gan_jax.config import default_config, network, optimizer


def get_config(kind: str = "failing") -> ConfigDict:
  config = default_config()
  config.data = "dirac"
  config.batch_size = 8
  config.rounds = 1000
  config.rounds_per_call = 100

  config.latent = {"name": "normal", "dim": 1, "scale": 0.0}
  config.generator = network("mlp_generator", hidden=())
  config.discriminator = network("mlp_discriminator", hidden=())
  config.loss = "wasserstein"
  config.regularizers.r1 = {"failing": 0.0, "remedied": 0.3}[kind]
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("sgd", learning_rate=0.1)
  config.average.name = "none"

  config.log_every = 100
  config.sample_every = 0
  config.checkpoint_every = 0
  return config
