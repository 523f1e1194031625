"""The networks and the optimizer of the 2014 paper, on MNIST.

Paper:    Goodfellow et al. 2014 (arXiv:1406.2661): ReLU generator with uniform noise, maxout
          discriminator with dropout, both players moving at once, momentum rising from 0.5 to 0.7.
          The bundled 10,000 digits stand in for 50,000; all: --config.data=tfds:mnist or idx:DIR
Command:  launch/run train --config=experiments/goodfellow2014_mnist.py --workdir=runs/goodfellow
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     368 s for 10,000 rounds, which are 100 epochs of the bundled digits
Score:    one seed, last and best: Fréchet distance 10.4 (see `mnist_dcgan.py`), 10 classes, KL 0.11
"""

import math

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, schedule

EPOCH = 500  # rounds: 50,000 images of the paper, 100 in a batch


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "mnist10k"
  config.data_options.pixel_range = (0.0, 1.0)
  config.batch_size = 100
  config.rounds = 20 * EPOCH
  config.rounds_per_call = 20
  config.simultaneous = True

  config.latent = {"name": "uniform", "dim": 100, "scale": math.sqrt(3)}
  config.generator = network("goodfellow_generator")
  config.discriminator = network("goodfellow_discriminator")
  config.loss = "non_saturating"
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer(
      "sgd",
      learning_rate=schedule(
        "exponential_decay", init_value=0.1, transition_steps=1, decay_rate=1 / 1.000004
      ),
      momentum=schedule(
        "linear_schedule", init_value=0.5, end_value=0.7, transition_steps=250 * EPOCH
      ),
    )
  config.average.name = "none"

  config.log_every = 100
  config.sample_every = EPOCH
  config.evaluate_every = 5 * EPOCH
  config.checkpoint_every = EPOCH
  return config
