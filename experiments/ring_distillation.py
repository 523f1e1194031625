"""A one-step generator distilled from the exact scores of a ring of eight Gaussians.

Paper:    DMD2, arXiv:2405.14867, with a teacher in closed form: fake critic, and a discriminator on
          its features. Without it, --config.weights.adversarial=0: no data are seen.
Command:  launch/run train --config=experiments/ring_distillation.py --workdir=runs/distillation
Hardware: one core of an AMD EPYC, shared with much other work, jax 0.10.2
Time:     83 to 89 s of CPU in all; without the discriminator 28 to 39 s
Score:    8 of 8 modes in each of three seeds (--config.seed=0, 1, 2), 73.7, 78.4 and 77.6% high
          quality, KL 0.0068, 0.0127 and 0.0033; last. Without the discriminator 8 of 8 modes, 64.5,
          64.0 and 63.7%, KL 0.0122, 0.0028 and 0.0057. Settings were chosen from eight, tried on
          the first seed.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, schedule

ROUNDS = 2500


def get_config() -> ConfigDict:
  config = default_config("distribution_matching")
  config.data = "ring8"
  config.batch_size = 256
  config.rounds = ROUNDS
  config.rounds_per_call = 100

  config.latent = {"name": "normal", "dim": 8}
  config.generator = network("mlp_generator", hidden=(128, 128, 128))
  config.critic = network("flow_mlp_critic", hidden=(128, 128, 128))
  config.discriminator = network("mlp_discriminator", hidden=(64,))
  # From the width of a mode to beyond that of the ring; fakes are judged in the lower part.
  config.levels.least, config.levels.largest = 0.01, 3.0
  config.levels.adversarial = (0.0, 0.6)
  config.data_std = 0.7
  config.weights.adversarial = config.weights.features = 0.1
  for player in ("critic", "discriminator", "generator"):
    falling = schedule("cosine_decay_schedule", init_value=3e-3, decay_steps=ROUNDS)
    config.optimizers[player] = optimizer("adam", learning_rate=falling, b2=0.99)
  config.average.decay = 0.99

  config.log_every = 100
  config.sample_every = ROUNDS
  config.evaluate_every = ROUNDS // 2
  config.checkpoint_every = ROUNDS
  config.num_samples = 2500
  config.num_fake = 2500
  return config
