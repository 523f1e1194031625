"""Two players that go round for ever: the Dirac-GAN with the Wasserstein loss and no regularizer.

Paper:    Mescheder et al. 2018 (arXiv:1801.04406): all data at 0, one fake at theta, logits psi x;
          the eigenvalues at (0, 0) are imaginary. R1 moves them to the left, and play converges.
          The networks have no hidden layer: theta and psi, and a bias of D that no loss depends on.
Command:  launch/run train --config=experiments/failures/oscillation.py --workdir=DIR
          The remedied twin: --config=experiments/failures/oscillation.py:remedied
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     11 s and 8 s for 2,000 rounds, on a machine with a load of 7 to 10
Score:    seed 0. Failing: 1.63 turns in every 100 rounds, all in one direction, and within each the
          second half is as far out as the first to 2%; alarm at round 700. Remedied: the radius
          halves within 100 rounds, the gradient's norm ends below 1e-12 of its peak; no alarm.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config(kind: str = "failing") -> ConfigDict:
  config = default_config()
  config.data = "dirac"
  config.batch_size = 8
  config.rounds = 1000
  config.rounds_per_call = 100

  config.latent = {"name": "normal", "dim": 1, "scale": 0.0}
  config.generator = network("mlp_generator", hidden=())
  config.discriminator = network("mlp_discriminator", hidden=())
  config.loss = "wasserstein"
  config.regularizers.r1 = {"failing": 0.0, "remedied": 0.3}[kind]
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("sgd", learning_rate=0.1)
  config.average.name = "none"

  config.log_every = 100
  config.sample_every = 0
  config.checkpoint_every = 0
  return config
