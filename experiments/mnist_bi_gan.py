"""BiGAN on real MNIST digits: codes of digits, and digits of codes.

Paper:    Donahue, Krähenbühl, Darrell 2017 (arXiv:1605.09782), with small convolutional networks.
Command:  launch/run train --config=experiments/mnist_bi_gan.py --workdir=runs/bi_gan
          python -m experiments.reproduce.bi_gan_codes runs/bi_gan
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("bi_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 2500
  config.latent.name, config.latent.dim = "uniform", 50

  config.generator = network("dcgan_generator", width=16, dtype="bfloat16")
  config.encoder = network("dcgan_encoder", width=16, dtype="bfloat16")
  config.discriminator = network(
    "joint_dcgan_discriminator", width=16, hidden=256, norm="none", dtype="bfloat16"
  )
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=4e-4, b1=0.5)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 1000
  config.checkpoint_every = 500
  return config
