"""One-sided label smoothing, of the losses that have a label to smooth.

Paper: Salimans et al. 2016 (arXiv:1606.03498), whose target is 0.9.
"""

from ml_collections import ConfigDict

from gan_jax.ablation import ablation, axis
from gan_jax.config import from_file


def get_config() -> ConfigDict:
  return ablation(
    from_file("losses_ring.py", __file__).base,
    [
      axis("real_target", [1.0, 0.9, 0.7, 0.5]),
      axis("loss", ["minimax", "non_saturating", "least_squares"]),
    ],
    baseline={"real_target": "1.0", "loss": "non_saturating"},
    score="kl",
    collapse="modes<8",
  )
