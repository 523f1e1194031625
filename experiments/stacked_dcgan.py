"""DCGAN on stacked digits, 1000 modes: three digits of MNIST for the colours of an image.

Paper:    networks of Radford et al. 2016 (arXiv:1511.06434), at a quarter of the width and 16
          pixels; relativistic loss, R1 and R2 of Huang et al. 2025 (arXiv:2501.05441); 1000 modes
          of Metz et al. 2017 (arXiv:1611.02163)
Command:  launch/run train --config=experiments/stacked_dcgan.py --workdir=runs/stacked_dcgan
Hardware: one core of an AMD EPYC, shared with other work, jax 0.10.2
Time:     372 s for 20,000 rounds, with five scores (65 rounds a second; beside other work on the
          same core 700 s)
Score:    three seeds (0, 1, 2): 999, 999 and 997 modes, KL 0.140, 0.145 and 0.171, after 4,000
          rounds (256,000 images of D's batches); from 8,000 on (154 s) all 1000 modes, KL 0.084 ±
          0.009 (0.071, 0.081, 0.101) there and 0.065 ± 0.005 (0.059, 0.060, 0.075) at the end.
          With a rate that falls within 8,000 rounds 996 and 0.163 (seed 0).
          26,000 triples of training digits have 1000 modes and a KL of 0.0197 here.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, schedule

ROUNDS = 20_000


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "stacked:mnist10k"
  config.data_options.image_size = 16
  config.num_fake = 26_000
  config.batch_size = 64
  config.rounds = ROUNDS
  config.rounds_per_call = 10

  config.latent.dim = 64
  config.generator = network("dcgan_generator", width=32, dtype="bfloat16")
  config.discriminator = network("dcgan_discriminator", width=32, norm="none", dtype="bfloat16")
  config.loss = "relativistic"
  config.regularizers.r1 = 1.0
  config.regularizers.r2 = 1.0
  for player in ("discriminator", "generator"):
    rate = schedule("cosine_schedule", init_value=1e-3, end_value=1e-4, transition_steps=ROUNDS)
    config.optimizers[player] = optimizer("adam", learning_rate=rate, b1=0.0, b2=0.99)
  config.average.decay = 0.998

  config.log_every = 50
  config.sample_every = 1000
  config.evaluate_every = 4000
  config.checkpoint_every = 4000
  return config
