"""R3GAN on CIFAR-10 for one core: `r3gan_mnist.py` with a stage more, and labels.

Paper:    Huang et al. 2025 (arXiv:2501.05441); the published run, of 20 million parameters and 20
          million images, is in `r3gan_cifar10.py`.
Command:  launch/run train --config=experiments/r3gan_cifar10_small.py --workdir=runs/r3gan_cifar10
          The data come from TFDS, prepared once: see docs/data.md
Hardware: one core of an AMD EPYC, jax 0.10.2, beside other work on the other
Time:     32 minutes for 3,000 rounds, with six scores
Score:    one seed (0), Fréchet distance 9.7, 7.5, 5.5, 5.5, 5.2 and 4.6 after every 500 rounds (the
          last after 192,000 images of D's batches), still falling, on features of the repository's
          own classifier, 2,000 averaged samples against the 10,000 test images. That classifier is
          right of 59% of test images, and reads 34, 41, 47, 50, 52 and 54% of samples as the class
          asked for: there are colours and outlines of classes, and no objects yet. With the linear
          output, as published, 10.8, 8.5, 6.3 and 5.4 after 500 to 2,000 rounds.
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
