"""R3GAN on stacked digits, 1000 modes: three digits of MNIST for the colours of an image.

Paper:    Huang et al. 2025 (arXiv:2501.05441), with the networks and numbers of `r3gan_mnist.py`,
          at 16 pixels.
Command:  launch/run train --config=experiments/r3gan_stacked.py --workdir=runs/r3gan_stacked
Hardware: 2 cores of an AMD EPYC, jax 0.10.2
Time:     517 s for 3,000 rounds, with three scores
Score:    not good: one seed (0), 394, 320 and 387 of 1000 modes and a KL of 2.42, 2.55 and 2.30
          after 1,000, 2,000 and 3,000 rounds, where the paper's networks have all modes. With ten
          times the weight of R1 and R2, which move over 1,000 rounds, 457 modes and 2.23 after 500,
          458 and 2.16 after 1,000: the discriminator wins less (a margin of 0.4, not 1.5), and the
          generator is too small to follow.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file


def get_config() -> ConfigDict:
  config = from_file("r3gan_mnist.py", beside=__file__)
  config.data = "stacked:mnist10k"
  config.num_fake = 26_000
  return config
