"""SNGAN on CIFAR-10: a residual generator against a spectrally normalised discriminator.

Paper:    Miyato et al. 2018 (arXiv:1802.05957), table 2: hinge loss, five discriminator moves, Adam
          2e-4 (0, 0.9) falling linearly to 0. Unconditional.
Command:  launch/run train --config=experiments/cifar10_sngan.py --workdir=runs/cifar10
          The data come from TFDS, prepared once: see docs/data.md. Made for a GPU or TPU;
          what narrower networks cost on a CPU is in gan_jax/nets/sngan.py.
Hardware: not measured
Time:     not measured
Score:    not measured
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, schedule

ROUNDS = 100_000


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "tfds:cifar10"
  config.data_options.flip = True
  config.batch_size = 64
  config.rounds = ROUNDS
  config.rounds_per_call = 50
  config.k = 5

  config.latent.dim = 128
  config.generator = network("sngan_generator")
  config.discriminator = network("sngan_discriminator")
  config.loss = "hinge"
  for player in ("discriminator", "generator"):
    falling = schedule("linear_schedule", init_value=2e-4, end_value=0.0, transition_steps=ROUNDS)
    config.optimizers[player] = optimizer("adam", learning_rate=falling, b1=0.0, b2=0.9)

  config.log_every = 100
  config.sample_every = 1000
  config.evaluate_every = 5000
  config.checkpoint_every = 1000
  config.num_fake = 10_000
  return config
