"""A discriminator that knows its examples by heart: a hundred digits instead of ten thousand.

Paper:    Karras et al. 2020 (arXiv:2006.06676) show logits of held-out examples drift to those of
          fakes. The remedy here is the best one, more data.
Command:  launch/run train --config=experiments/failures/discriminator_overfitting.py --workdir=DIR
          The remedied twin: --config=experiments/failures/discriminator_overfitting.py:remedied
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside other runs
Time:     34 s and 57 s for 800 rounds, on a machine with a load of 7 to 10
Score:    seed 0. Failing: a logit of a training digit exceeds that of a test digit with probability
          0.86 at round 600 and 0.92 at 800; alarm at round 600. Remedied: 0.45 to 0.53; no alarm.
          The failing run is the fourth tried: with 200 digits the alarm came at round 1,400 once,
          and not at all within 1,000 and 800 rounds at other settings.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config(kind: str = "failing") -> ConfigDict:
  config = default_config()
  config.data = "mnist10k"
  config.data_options.examples = {"failing": 100, "remedied": 0}[kind]
  config.batch_size = 50
  config.rounds = 800
  config.rounds_per_call = 50

  config.latent.dim = 32
  config.generator = network("mlp_generator", hidden=(128,), output="tanh")
  config.discriminator = network("mlp_discriminator", hidden=(128,))
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
  config.average.name = "none"

  config.log_every = 50
  config.sample_every = 0
  config.checkpoint_every = 0
  return config
