"""A discriminator of frozen features on real MNIST digits, all else as in the default run.

Paper:    Projected GANs, Sauer et al. 2021 (arXiv:2111.01007): hinge, no penalty, spectral norm,
          several heads. Here the frozen network is at random, or the bundled classifier, and there
          is no augmentation; generator, optimizers and batch are those of `mnist_dcgan.py`.
Command:  launch/run train --config=experiments/projected_mnist.py --workdir=runs/projected_mnist
          With the bundled classifier: --config=experiments/projected_mnist.py:classifier
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     156 ms a round of one core, `mnist_dcgan.py` 38 ms, both beside other work
Score:    Fréchet distance after 500, 1,000, ... 3,000 rounds of 64 images. The bundled classifier,
          seeds 0 to 2: 19.5, 9.6, 6.9, 5.5, 4.6, 4.0; 19.0, 9.1, 6.9, 5.3, 4.4, 3.7; 17.7, 10.0,
          7.8, 6.3, 5.1, 4.2. `mnist_dcgan.py`: 18.2, 12.1, 9.3, 7.3, 5.7, 5.0 (then 4.6);
          17.7, 11.0, 8.7, 7.0, 6.2, 5.6 (5.1); 18.0, 11.2, 8.1, 6.4, 5.6, 5.0 (4.6). So 5 is
          reached after some 150,000 images (2,300, 2,200 and 2,500 rounds, between scores), plain
          after some 200,000 (3,000, 3,600 and 3,000), in a third of the time. And the score is
          of the network that the discriminator sees through, which flatters. Random features, seed
          0: 34.1 after 500 rounds, 17.4 after 1,000; not trained further.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, network


def get_config(extractor: str = "random") -> ConfigDict:
  config = from_file("mnist_dcgan.py", __file__)
  config.discriminator = network("projected_discriminator", extractor=extractor, dtype="bfloat16")
  config.loss = "hinge"
  config.regularizers.r1 = 0.0
  return config
