"""All losses under seven penalties, on a grid of twenty-five Gaussians.

Paper:    see `gan_jax.losses` and `gan_jax.losses.regularizers` for each
Command:  launch/run ablate --config=experiments/ablations/losses_grid.py --workdir=runs/losses_grid
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     65 min for 840 runs in 168 programs; 66 min of CPU
Score:    KL over modes after 5,000 rounds, five seeds. Over all losses: none 1.38 ± 0.07; r1 + r2
          0.12 ± 0.02, r1 0.27 ± 0.04, gradient penalty 0.47 ± 0.06, dragan 0.50 ± 0.08 and
          consistency 0.81 ± 0.05 are better (p of 0.005 or less); lecam 1.34 ± 0.03 cannot be told
          apart. Over all penalties, beside non_saturating, 0.53 ± 0.04: hinge, 0.37 ± 0.04, is
          better (p = 0.01); least_squares 1.11, f_gan_total_variation 1.32,
          f_gan_reverse_kl_alternative 1.38 and f_gan_squared_hellinger_alternative 0.93 are worse
          (p of 0.03 or less); no other can be told apart from it. Least of all: wasserstein with
          the gradient penalty, 0.0097 ± 0.0015. Lost a mode or failed, of 120: none 116, r1 50,
          r1 + r2 41, gradient penalty 58, dragan 65, lecam 118, consistency 109. Networks,
          batch and rate (of five settings) were tried with non_saturating and R1 of 0.1, 0.01 and
          0.001, one seed each; the weights are those of the ring.
"""

from ml_collections import ConfigDict

from gan_jax.run.config import from_file, network

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
