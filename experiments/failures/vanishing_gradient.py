"""A generator whose gradient vanishes: log(1 - D) against a discriminator that is never fooled.

Paper:    Goodfellow et al. 2014 (arXiv:1406.2661), section 3, and Arjovsky & Bottou 2017
          (arXiv:1701.04862). The remedy is the paper's own: G descends -log D.
Command:  launch/run train --config=experiments/failures/vanishing_gradient.py --workdir=DIR
          The remedied twin: --config=experiments/failures/vanishing_gradient.py:remedied
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     53 s and 38 s for 650 rounds, on a machine with a load of 7 to 10
Score:    seed 0. Failing: D(G(z)) is 2e-3 at round 50 and 5e-6 at 650, where the slope of the loss
          is 3e-6 and the gradient's norm 3e-5 of its peak; alarm at round 600, the first possible.
          Remedied: slope 0.64 to 0.81, diversity 0.65, coverage 0.96; no alarm. On ring8 with k = 5
          the same loss came down to a slope of 0.03 in 1,500 rounds, and raised no such alarm.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


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
