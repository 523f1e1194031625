"""InfoGAN on MNIST: a categorical code finds the digits, continuous codes their slant and width.

Paper:    Chen et al. 2016 (arXiv:1606.03657), with a Q of its own, a smaller DCGAN and R1.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("info_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 2500

  # Of little noise, as a digit that is noise is none that the code has to be.
  config.codes.noise, config.codes.categorical, config.codes.continuous = 4, (10,), 2
  config.weights.categorical, config.weights.continuous = 0.5, 0.03
  config.generator = network("dcgan_generator", width=16, dtype="bfloat16")
  config.discriminator = network(
    "auxiliary_dcgan_discriminator", width=16, norm="batch", dtype="bfloat16"
  )
  config.encoder = network("mlp_encoder", hidden=(128,), activation="leaky_relu")
  config.loss = "non_saturating"
  config.regularizers.r1 = 0.1
  config.optimizers.discriminator = optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
  config.optimizers.generator = optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
  config.average.decay = 0.998

  config.log_every = 200
  config.sample_every = 1000
  config.checkpoint_every = 500
  return config
