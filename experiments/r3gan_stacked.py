"""R3GAN on stacked digits, 1000 modes: three digits of MNIST for the colours of an image.

Paper:    Huang et al. 2025 (arXiv:2501.05441), with the networks and numbers of `r3gan_mnist.py`,
          at 16 pixels.
Command:  launch/run train --config=experiments/r3gan_stacked.py --workdir=runs/r3gan_stacked
Hardware: not yet measured
Time:     not yet measured
Score:    not yet measured
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file


def get_config() -> ConfigDict:
  config = from_file("r3gan_mnist.py", beside=__file__)
  config.data = "stacked:mnist10k"
  config.num_fake = 26_000
  return config
