"""All losses under seven penalties, on a grid of twenty-five Gaussians.

Paper:    see `gan_jax.losses` and `gan_jax.regularizers` for each
Command:  launch/run ablate --config=experiments/ablations/losses_grid.py --workdir=runs/losses_grid
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     16 min 29 s for 216 runs in 72 programs, those of three penalties; 12 min of CPU. The
          other four penalties have not been run.
Score:    KL over modes after 3,000 rounds, three seeds. Over all losses: none 0.88 ± 0.09, r1 0.68
          ± 0.05 and r1 + r2 0.69 ± 0.03 cannot be told apart, and over these three penalties no
          loss from non_saturating. All but one of 216 runs lack a mode: networks of two layers of
          64 are too small for this grid, or 3,000 rounds too few, to see what losses do to it.
"""

from ml_collections import ConfigDict

from gan_jax.config import from_file, network

ROUNDS = 5000


def get_config() -> ConfigDict:
  config = from_file("losses_ring.py", __file__)
  base = config.base
  base.data = "grid25"
  base.batch_size = 128
  base.rounds = ROUNDS
  base.generator = network("mlp_generator", hidden=(64, 64, 64))
  base.discriminator = network("mlp_discriminator", hidden=(64, 64, 64))
  for player in ("discriminator", "generator"):
    base.optimizers[player].learning_rate.init_value = 6e-3
    base.optimizers[player].learning_rate.decay_steps = ROUNDS
  base.evaluate_every = 1000
  config.collapse = "modes<25"
  return config
