"""Plain multilayer perceptrons on real digits: the smallest game of images.

Paper:    Goodfellow et al. 2014 (arXiv:1406.2661), non-saturating loss; R1 of Mescheder et al. 2018
          (arXiv:1801.04406).
Command:  launch/run train --config=experiments/mnist_mlp.py --workdir=runs/mnist_mlp
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     132 s for 6,000 rounds, with three scores; 62 s of CPU
Score:    one seed, last and best: Fréchet distance 5.7 (see `mnist_dcgan.py`), 10 classes, KL 0.011
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 6000
  config.rounds_per_call = 50

  config.latent.dim = 32
  config.generator = network("mlp_generator", hidden=(256, 256), output="tanh")
  config.discriminator = network("mlp_discriminator", hidden=(256, 256), activation="leaky_relu")
  config.loss = "non_saturating"
  config.regularizers.r1 = 1.0
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=5e-4, b1=0.0, b2=0.99)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 1000
  config.evaluate_every = 2000
  config.checkpoint_every = 2000
  return config
