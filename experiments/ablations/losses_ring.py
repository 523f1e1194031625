"""All losses under seven penalties, on a ring of eight Gaussians: which of them lose modes?"""

from ml_collections import ConfigDict

from gan_jax.ablation import Axis, ablation, axis
from gan_jax.config import from_file, network, optimizer, schedule
from gan_jax.losses import LOSSES

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
