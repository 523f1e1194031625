"""AC-GAN on real MNIST digits: a discriminator that also tells the digit.

Paper:    Odena et al. 2017 (arXiv:1610.09585), with a small DCGAN and hinge loss.
Command:  launch/run train --config=experiments/mnist_ac_gan.py --workdir=runs/ac_gan
          launch/run sample runs/ac_gan --num=100 --out=digits.png
Hardware: 2 cores of an Intel Xeon that others kept busy, jax 0.10.2
Time:     249 s for 3,000 rounds
Score:    one seed, last: Fréchet distance 6.89 (see `mnist_dcgan.py`; training digits score 0.36),
          98.4% of samples seen as the class asked for, KL of classes 0.003. It has not converged;
          `conditional_mnist.py`, twice as wide and long, has 0.63 and 97.8%.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("ac_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 3000

  config.latent.dim = 64
  config.generator = network("dcgan_generator", width=16, dtype="bfloat16")
  config.discriminator = network(
    "auxiliary_dcgan_discriminator", width=16, norm="spectral", dtype="bfloat16"
  )
  config.loss = "hinge"
  config.optimizers.discriminator = optimizer("adam", learning_rate=4e-4, b1=0.0, b2=0.9)
  config.optimizers.generator = optimizer("adam", learning_rate=2e-4, b1=0.0, b2=0.9)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 500
  config.checkpoint_every = 1000
  config.num_samples = 100
  return config
