"""EBGAN with the pulling-away term on real MNIST digits.

Paper:    Zhao et al. 2017 (arXiv:1609.03126), of dense layers.
Command:  launch/run train --config=experiments/mnist_ebgan.py --workdir=runs/ebgan
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("eb_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 12000
  config.rounds_per_call = 20

  config.latent.name = "uniform"
  config.latent.dim = 32
  config.generator = network("mlp_generator", hidden=(256, 256), output="tanh")
  config.discriminator = network(
    "mlp_autoencoder_discriminator", hidden=(256, 256), embedding=32, power=2.0
  )
  config.margin = 0.3
  config.pulling_away.weight = 0.1
  config.optimizers.discriminator = optimizer("adam", learning_rate=5e-4, b1=0.5)
  config.optimizers.generator = optimizer("adam", learning_rate=5e-4, b1=0.5)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 2000
  config.evaluate_every = 6000
  config.checkpoint_every = 6000
  return config
