"""A generator that collapses to a point: a ring of eight Gaussians, five moves of D to one of G.

Paper:    Metz et al. 2017 (arXiv:1611.02163) for the ring; the remedy is R1 of Mescheder et al.
          2018 (arXiv:1801.04406).
Command:  launch/run train --config=experiments/failures/mode_collapse.py --workdir=DIR
          The remedied twin: --config=experiments/failures/mode_collapse.py:remedied
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     15 s each
Score:    seed 0. Failing: diversity 1.1 at round 100 and 0.015 at 600; alarm at round 600; no
          sample of high quality in the end. Remedied: diversity 0.91 at round 600, and 8 of 8 modes
          (KL 0.19) in the end, blurred still (0.8% of high quality); no alarm. Chosen, by runs of
          1,000 rounds, of two rates of G and two weights of R1: at a rate of 0.01 the alarm came at
          round 800, and the twin had 4 modes; at R1 = 0.3 it had 7.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config(kind: str = "failing") -> ConfigDict:
  config = default_config()
  config.data = "ring8"
  config.batch_size = 64
  config.rounds = 700
  config.rounds_per_call = 50
  config.k = 5

  config.latent = {"name": "normal", "dim": 8}
  config.generator = network("mlp_generator", hidden=(64, 64))
  config.discriminator = network("mlp_discriminator", hidden=(64, 64))
  config.regularizers.r1 = {"failing": 0.0, "remedied": 0.1}[kind]
  config.optimizers.discriminator = optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
  config.optimizers.generator = optimizer("sgd", learning_rate=0.05)
  config.average.name = "none"

  config.log_every = 50
  config.sample_every = 0
  config.checkpoint_every = 0
  return config
