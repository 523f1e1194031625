"""BEGAN on real MNIST digits: the discriminator is an autoencoder, here of dense layers.

Paper:    Berthelot et al. 2017 (arXiv:1703.10717), whose networks are convolutions
          (`autoencoder_generator` and `autoencoder_discriminator`, which a CPU plays at 1.5 rounds
          a second at width 16).
Command:  launch/run train --config=experiments/mnist_began.py --workdir=runs/began
Hardware: 2 cores of an Intel Xeon, beside other work; jax 0.10.2
Time:     337 s for 12,000 rounds, with two scores
Score:    one seed, last and best, three draws of `evaluate --draws=3`: Fréchet distance 27.51 ±
          0.23 (as in `mnist_dcgan.py`, which has 3.35), all 10 classes, KL of classes 0.41. It was
          still falling, as was the convergence measure (0.165 at the end), while k rose (0.21).
          With ratio 0.5, the published rate 0.001 and ELU, k stayed at 0 for 4,000 rounds and all
          fakes were of one class, at a distance of 82. One more run chose the ratio (0.8, rate
          0.01, one hidden layer of 512; stopped at round 4,800).
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("be_gan")
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 12000
  config.rounds_per_call = 20

  config.latent.name = "uniform"
  config.latent.dim = 32
  config.generator = network("mlp_generator", hidden=(256, 256), output="tanh")
  config.discriminator = network(
    "mlp_autoencoder_discriminator", hidden=(256, 256), embedding=32, power=1.0
  )
  config.ratio = 0.8
  config.rate = 0.05
  config.optimizers.discriminator = optimizer("adam", learning_rate=5e-4, b1=0.5)
  config.optimizers.generator = optimizer("adam", learning_rate=5e-4, b1=0.5)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 2000
  config.evaluate_every = 6000
  config.checkpoint_every = 6000
  return config
