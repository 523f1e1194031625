"""Norms of both networks, on real digits with a small DCGAN.

Paper: Ioffe & Szegedy 2015 (arXiv:1502.03167), Miyato et al. 2018 (arXiv:1802.05957); see
       `gan_jax.nets.layers.NORMS` for the others.
"""

from ml_collections import ConfigDict

from gan_jax.ablation import ablation, axis
from gan_jax.config import from_file


def get_config() -> ConfigDict:
  base = from_file("losses_digits.py", __file__).base
  return ablation(
    base,
    [
      axis("discriminator.norm", ["none", "batch", "spectral", "layer"], "D norm"),
      axis("generator.norm", ["batch", "none"], "G norm"),
    ],
    baseline={"D norm": "none", "G norm": "batch"},
    seeds=(0, 1, 2),
    score="frechet_distance",
    at_once=1,
  )
