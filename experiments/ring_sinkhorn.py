"""W-Flow on a ring of eight Gaussians: one player, which follows a Sinkhorn divergence.

Paper:    arXiv:2605.11755, its field of two batches; network and ring as in ring_drift.py
Command:  launch/run train --config=experiments/ring_sinkhorn.py --workdir=runs/ring_sinkhorn
          The gradient flow of the divergence itself: ring_sinkhorn.py:sinkhorn_flow
Hardware: one core of an AMD EPYC beside other work, jax 0.10.2
Time:     16 s of CPU
Score:    seed 0: 8 of 8 modes, KL 0.037, but 11% of samples on a mode: they are around modes.
          The flow: 8 of 8, 0.159, 8%
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, optimizer, schedule

ROUNDS = 2000


def get_config(field: str = "sinkhorn") -> ConfigDict:
  config = from_file("ring_drift.py", __file__)
  config.batch_size = 256
  config.rounds = ROUNDS
  config.field, config.temperatures, config.annealing.factor = field, (0.05,), 1.0
  falling = schedule("cosine_decay_schedule", init_value=1e-3, decay_steps=ROUNDS)
  config.optimizers.generator = optimizer("adam", learning_rate=falling)
  config.sample_every = config.evaluate_every = config.checkpoint_every = ROUNDS
  return config
