"""How long the generator is averaged: all decays are one program.

Paper: Yazıcı et al. 2019 (arXiv:1806.04498).
"""

from ml_collections import ConfigDict

from gan_jax.ablation import Axis, ablation, axis
from gan_jax.config import from_file


def get_config() -> ConfigDict:
  base = from_file("losses_ring.py", __file__).base
  for player in ("discriminator", "generator"):
    base.optimizers[player].learning_rate = 1e-3  # one that falls would average by itself
  return ablation(
    base,
    [
      axis("average.decay", [0.0, 0.9, 0.99, 0.999, 0.9999], "decay"),
      Axis("penalty", {"none": {}, "r1": {"regularizers.r1": 0.1}}),
    ],
    baseline={"decay": "0.0", "penalty": "none"},
    score="kl",
    collapse="modes<8",
  )
