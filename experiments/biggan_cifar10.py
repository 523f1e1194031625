"""BigGAN on CIFAR-10, conditional, at the settings of the authors' code; not trained here.

Paper:    Brock et al. 2019 (arXiv:1809.11096); settings of ajbrock/BigGAN-PyTorch's script for
          CIFAR-10: batch 50, four discriminator moves, Adam 2e-4 (0, 0.999), weights from
          N(0, 0.02), an embedding of classes for each norm, no attention, and an average of the
          generator from round 1,000 on; 500 epochs.
Command:  launch/run train --config=experiments/biggan_cifar10.py --workdir=runs/biggan_cifar10
          The data come from TFDS, prepared once: see docs/data.md. Made for a GPU or TPU.
Hardware: not yet measured
Time:     not yet measured
Score:    not yet measured
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "tfds:cifar10"
  config.conditional = True
  config.batch_size = 50
  config.rounds = 125_000
  config.rounds_per_call = 50
  config.k = 4

  config.latent.dim = 128
  config.generator = network("biggan_generator", hierarchical=False, shared=0, initialiser="normal")
  config.discriminator = network("biggan_discriminator", initialiser="normal")
  config.loss = "hinge"
  config.joint = True
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=2e-4, b1=0.0, b2=0.999)
  config.average.decay = 0.9999
  config.average.start = 1000

  config.log_every = 100
  config.sample_every = 1000
  config.evaluate_every = 5000
  config.checkpoint_every = 1000
  config.num_fake = 10_000
  return config
