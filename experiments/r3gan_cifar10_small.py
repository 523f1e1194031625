"""R3GAN on CIFAR-10 in half an hour of one core: `r3gan_mnist.py` with a stage more, and labels.

Paper:    Huang et al. 2025 (arXiv:2501.05441); the published run, of 20 million parameters and 20
          million images, is in `r3gan_cifar10.py`.
Command:  launch/run train --config=experiments/r3gan_cifar10_small.py --workdir=runs/r3gan_cifar10
          The data come from TFDS, prepared once: see docs/data.md
Hardware: not measured
Time:     not measured
Score:    not measured
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, network

WIDTHS = (64, 32, 16, 8)  # from 4x4 up
BLOCKS = (1, 1, 1, 1)


def get_config() -> ConfigDict:
  config = from_file("r3gan_mnist.py", beside=__file__)
  config.data = "tfds:cifar10"
  config.data_options.image_size = 32
  config.data_options.flip = True
  config.conditional = True
  config.generator = network("r3gan_generator", widths=WIDTHS, blocks=BLOCKS)
  config.discriminator = network("r3gan_discriminator", widths=WIDTHS[::-1], blocks=BLOCKS)
  config.evaluate_every = 500
  config.num_samples = 100
  return config
