"""All losses under seven penalties, on a ring of eight Gaussians: which of them lose modes?

Paper:    see `gan_jax.losses` and `gan_jax.losses.regularizers` for each
Command:  launch/run ablate --config=experiments/ablations/losses_ring.py --workdir=runs/losses_ring
Hardware: 2 cores of an AMD EPYC, jax 0.10.2
Time:     16 min 14 s for 840 runs in 168 programs, with empty caches
Score:    KL over modes after 3,000 rounds, five seeds. Over all losses: none 0.33 ± 0.03; r1 0.045
          ± 0.019, r1 + r2 0.047 ± 0.025, gradient penalty 0.094 ± 0.029, dragan 0.094 ± 0.029 and
          consistency 0.21 ± 0.04 are better (p of 0.036 or less); lecam 0.26 ± 0.02 cannot be told
          apart. Over all penalties: f_gan_reverse_kl_alternative, 0.42 ± 0.04, is worse than
          non_saturating, 0.083 ± 0.016 (p = 0.015); no other loss can be told apart from it. Lost a
          mode or failed, of 120: none 58, r1 4, r1 + r2 0, gradient penalty 11, dragan 16,
          consistency 25, lecam 66. Weights were not tuned.
"""

from ml_collections import ConfigDict

from gan_jax.losses.adversarial import LOSSES
from gan_jax.run.ablation import Axis, ablation, axis
from gan_jax.run.config import from_file, network, optimizer, schedule

ROUNDS = 3000
PENALTIES = {
  "none": {},
  "r1": {"regularizers.r1": 0.1},
  "r1 + r2": {"regularizers.r1": 0.1, "regularizers.r2": 0.1},
  "gradient penalty": {"regularizers.gradient_penalty": 0.1},
  "dragan": {"regularizers.dragan": 0.1},
  "lecam": {"regularizers.lecam": 0.1},
  "consistency": {"regularizers.balanced_consistency": 1.0},
}


def get_config() -> ConfigDict:
  base = from_file("../ring.py", __file__)
  base.batch_size = 64
  base.rounds = ROUNDS
  base.latent.dim = 2
  base.generator = network("mlp_generator", hidden=(64, 64))
  base.discriminator = network("mlp_discriminator", hidden=(64, 64))
  base.regularizers.r1 = 0.0
  for player in ("discriminator", "generator"):
    falling = schedule("cosine_decay_schedule", init_value=2e-3, decay_steps=ROUNDS)
    base.optimizers[player] = optimizer("adam", learning_rate=falling, b1=0.0, b2=0.99)
  base.average.decay = 0.99
  base.evaluate_every = 500
  return ablation(
    base,
    [axis("loss", list(LOSSES)), Axis("penalty", PENALTIES)],
    baseline={"loss": "non_saturating", "penalty": "none"},
    score="kl",
    collapse="modes<8",
  )
