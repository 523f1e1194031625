"""Drifting on a ring of eight Gaussians, or a grid of 25: one player, no discriminator.

Paper:    arXiv:2602.04770, the field of its two-dimensional notebook. At its one temperature, 0.05,
          a start that is collapsed on one mode stays there, and on the grid a usual start comes to
          9 modes. Here the temperature falls, from a quarter of the extent of the
          data to twice the standard deviation of a mode, over 0.7 of the rounds.
Command:  launch/run train --config=experiments/ring_drift.py --workdir=runs/ring_drift
          The grid: --config=experiments/ring_drift.py:grid25
Hardware: one core of an AMD EPYC beside other work, jax 0.10.2
Time:     27 to 35 s of CPU
Score:    ring8, seed 0: all 8 modes, 93.4% of samples on one, KL 0.006. grid25, seeds 0 to 2: all
          25 modes, 76.8, 70.5 and 81.2%, KL 0.009 to 0.014. With latents of 8 numbers grid25 has
          53.3%, at a learning rate of 1e-3 52.9%, and with both 8.6%; see docs/losses.md.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, schedule

ROUNDS = 4000
TEMPERATURES = {"ring8": (0.5, 0.02), "grid25": (2.0, 0.1)}  # at the start and at the end


def get_config(data: str = "ring8") -> ConfigDict:
  start, end = TEMPERATURES[data]
  config = default_config("drift")
  config.data = data
  config.batch_size = 512
  config.rounds = ROUNDS
  config.rounds_per_call = 100

  config.latent = {"name": "normal", "dim": 2}
  config.generator = network("mlp_generator", hidden=(128, 128, 128))
  config.field, config.temperatures = "toy", (end,)
  config.annealing.factor = schedule(
    "exponential_decay",
    init_value=start / end,
    transition_steps=int(0.7 * ROUNDS),
    decay_rate=end / start,
    end_value=1.0,
  )
  falling = schedule("cosine_decay_schedule", init_value=3e-3, decay_steps=ROUNDS)
  config.optimizers.generator = optimizer("adam", learning_rate=falling, b1=0.9, b2=0.99)
  config.average.name = "none"

  config.log_every = 100
  config.sample_every = ROUNDS
  config.evaluate_every = ROUNDS
  config.checkpoint_every = ROUNDS
  config.num_samples = 2500
  config.num_fake = 2500
  return config
