"""A generator whose gradient vanishes: log(1 - D) against a discriminator that is never fooled.

Paper:    Goodfellow et al. 2014 (arXiv:1406.2661), section 3, and Arjovsky & Bottou 2017
          (arXiv:1701.04862). The remedy is the paper's own: G descends -log D.
Command:  launch/run train --config=experiments/failures/vanishing_gradient.py --workdir=DIR
          The remedied twin: --config=experiments/failures/vanishing_gradient.py:remedied
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     @T
Score:    @S
"""

from ml_collections import ConfigDict

from gan_jax.config import default_config, network, optimizer


def get_config(kind: str = "failing") -> ConfigDict:
  config = default_config()
  config.data = "mnist10k"
  config.batch_size = 64
  config.rounds = 650
  config.rounds_per_call = 50

  config.latent.dim = 32
  config.generator = network("mlp_generator", hidden=(128,), output="tanh")
  config.discriminator = network("mlp_discriminator", hidden=(128,))
  config.loss = {"failing": "minimax", "remedied": "non_saturating"}[kind]
  config.optimizers.discriminator = optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
  config.optimizers.generator = optimizer("sgd", learning_rate=0.1)
  config.average.name = "none"

  config.log_every = 50
  config.sample_every = 0
  config.checkpoint_every = 0
  return config
