"""BEGAN on real MNIST digits: the discriminator is an autoencoder.

Paper:    Berthelot et al. 2017 (arXiv:1703.10717), of dense layers.
Command:  launch/run train --config=experiments/mnist_began.py --workdir=runs/began
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("be_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 12000
  config.rounds_per_call = 20

  config.latent.name = "uniform"
  config.latent.dim = 32
  config.generator = network("mlp_generator", hidden=(256, 256), output="tanh")
  config.discriminator = network(
    "mlp_autoencoder_discriminator", hidden=(256, 256), embedding=32, power=1.0
  )
  config.ratio = 0.8
  config.rate = 0.05
  config.optimizers.discriminator = optimizer("adam", learning_rate=5e-4, b1=0.5)
  config.optimizers.generator = optimizer("adam", learning_rate=5e-4, b1=0.5)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 2000
  config.evaluate_every = 6000
  config.checkpoint_every = 6000
  return config
