"""Drifting on a ring of eight Gaussians: one player, no discriminator.

Paper:    arXiv:2602.04770, the field and network of its two-dimensional notebook. At its
          temperature, 0.05, a start that is collapsed on one mode stays there; here it is spread.
Command:  launch/run train --config=experiments/ring_drift.py --workdir=runs/ring_drift
Hardware: not yet measured
Time:     not yet measured
Score:    not yet measured
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("drift")
  config.data = "ring8"
  config.batch_size = 512
  config.rounds = 2000
  config.rounds_per_call = 100

  config.latent = {"name": "normal", "dim": 32}
  config.generator = network("mlp_generator", hidden=(256, 256, 256))
  config.field, config.temperatures = "toy", (0.05,)
  config.optimizers.generator = optimizer("adam", learning_rate=1e-3)
  config.average.name = "none"

  config.log_every = 100
  config.sample_every = 1000
  config.evaluate_every = 1000
  config.checkpoint_every = 2000
  config.num_samples = 2500
  config.num_fake = 2500
  return config
