"""InfoGAN on real MNIST digits: a categorical code and two continuous ones.

Paper:    Chen et al. 2016 (arXiv:1606.03657), with a small DCGAN, R1, and 2 entries of noise.
Command:  launch/run train --config=experiments/mnist_info_gan.py --workdir=runs/info
          python -m experiments.reproduce.info_gan runs/info --out=codes.png
Hardware: 2 cores of an Intel Xeon that others kept busy, jax 0.10.2
Time:     about 200 s for 2,340 rounds
Score:    one seed: 54.1% of 2,000 fakes are of the class that the value of their categorical code
          is matched with, as the repository's classifier sees them. The paper reports an error of
          5%, on test digits, which is not reached: Q reads the categorical code in fakes (0.0005
          nats are left), but continuous codes change the digit too. With 4 entries of noise and
          0.03 for continuous codes 48.8% (2,500 rounds); with 62, and the default weights, 33.4%
          (1,500 rounds).
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("info_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 2340

  # Of little noise, as a digit that is noise is none that the code has to be.
  config.codes.noise, config.codes.categorical, config.codes.continuous = 2, (10,), 2
  config.weights.categorical, config.weights.continuous = 0.5, 0.05
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
