"""A discriminator of frozen features on real MNIST digits, all else as in the default run.

Paper:    Projected GANs, Sauer et al. 2021 (arXiv:2111.01007): hinge, no penalty, spectral norm,
          several heads. Here the frozen network is at random, or the bundled classifier, and there
          is no augmentation; generator, optimizers and batch are those of `mnist_dcgan.py`.
Command:  launch/run train --config=experiments/projected_mnist.py --workdir=runs/projected_mnist
          With the bundled classifier: --config=experiments/projected_mnist.py:classifier
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     not yet measured
Score:    seed 0, random features: Fréchet distance 34.1 after 500 rounds (32,000 images), 17.4
          after 1,000; `mnist_dcgan.py`, seed 0, on the same machine: 18.2, 12.1, 9.3, 7.3, 5.7,
          5.0, 4.6, 4.2, 3.9 and 3.7 after 500, 1,000, ... 5,000. Not trained further, nor with the
          classifier.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, network


def get_config(extractor: str = "random") -> ConfigDict:
  config = from_file("mnist_dcgan.py", __file__)
  config.discriminator = network("projected_discriminator", extractor=extractor, dtype="bfloat16")
  config.loss = "hinge"
  config.regularizers.r1 = 0.0
  return config
