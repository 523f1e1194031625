"""Losses on real digits, with a small DCGAN that is scored by the repository's classifier."""

from ml_collections import ConfigDict

from gan_jax.ablation import Axis, ablation, axis
from gan_jax.config import from_file, network
from gan_jax.losses import LOSSES


def get_config() -> ConfigDict:
  base = from_file("../mnist_dcgan.py", __file__)
  base.rounds = 1000
  base.generator = network("dcgan_generator", width=16)
  base.discriminator = network("dcgan_discriminator", width=16, norm="none")
  base.regularizers.r1 = 0.0
  base.average.decay = 0.99
  base.evaluate_every = 500
  return ablation(
    base,
    [
      axis("loss", [name for name in LOSSES if not name.startswith("f_gan")]),
      Axis("penalty", {"none": {}, "r1": {"regularizers.r1": 1.0}}),
    ],
    baseline={"loss": "non_saturating", "penalty": "none"},
    seeds=(0, 1, 2),
    score="frechet_distance",
    at_once=1,
  )
