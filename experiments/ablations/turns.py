"""Who moves how often: k steps of the discriminator, or both at once, for the same images."""

from ml_collections import ConfigDict

from gan_jax.ablation import Axis, ablation
from gan_jax.config import from_file

TURNS = {
  "alternating": {},
  "k = 2": {"k": 2},
  "k = 5": {"k": 5},
  "simultaneous": {"simultaneous": True},
}


def get_config() -> ConfigDict:
  base = from_file("losses_ring.py", __file__).base
  base.evaluate_every = 200
  for player in ("discriminator", "generator"):
    base.optimizers[player].learning_rate = 1e-3  # a schedule over rounds would favour many
  return ablation(
    base,
    [
      Axis("turns", TURNS),
      Axis("loss", {"non_saturating": {}, "wasserstein": {"loss": "wasserstein"}}),
      Axis("penalty", {"none": {}, "r1": {"regularizers.r1": 0.1}}),
    ],
    baseline={"turns": "alternating", "loss": "non_saturating", "penalty": "none"},
    score="kl",
    collapse="modes<8",
    images=base.rounds * base.batch_size,
  )
