"""An adversarial flow from a Gaussian to four Gaussians on a line, in one step.

Paper:    AFM, arXiv:2511.22475, the setting of its notebook (penalties of 0.01 on the whole batch,
          transport 0.05, no normalised gradient, average 0.99), of a smaller network and batch, a
          larger learning rate and fewer rounds. The score is the Wasserstein distance: on a line
          it is exact.
Command:  launch/run train --config=experiments/flow_1d.py --workdir=runs/flow_1d
Hardware: 2 cores of an AMD EPYC beside much other work, jax 0.10.2
Time:     25 s of CPU
Score:    Wasserstein distance 0.48 ± 0.07 over five seeds, and as far from the optimal map; without
          transport 0.72 ± 0.30 and 1.25 ± 0.32 (by `python -m experiments.reproduce.flow_maps`)
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer


def get_config() -> ConfigDict:
  config = default_config("adversarial_flow")
  config.data = "line4"
  config.batch_size = 256
  config.rounds = 3000
  config.rounds_per_call = 100

  codes = {"example_code": 64, "time_code": 64}
  config.generator = network("flow_mlp_generator", hidden=(64,) * 4, **codes)
  config.discriminator = network("flow_mlp_discriminator", hidden=(64,) * 4, **codes)
  config.weights.transport = 0.05
  for penalty in ("r1_approximate", "r2_approximate"):
    config.regularizers[penalty] = 0.01
    config.regularizer_options[penalty].share = 1.0
  config.gradient_normalisation = "none"
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=5e-4, b1=0.0, b2=0.9)
  config.average.decay = 0.99

  config.log_every = 100
  config.sample_every = 0
  config.evaluate_every = 1000
  config.checkpoint_every = 3000
  config.num_samples = 1024
  config.num_fake = 10_000
  return config
