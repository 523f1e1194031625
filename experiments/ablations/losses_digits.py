"""Losses on real digits, with a small DCGAN that is scored by the repository's classifier.

Paper:    see `gan_jax.losses` for each
Command:  launch/run ablate --config=experiments/ablations/losses_digits.py --workdir=runs/digits
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     24 min for 60 runs in 20 programs, the last 11 of them resumed after a stop
Score:    Fréchet distance after 1,000 rounds, three seeds, without a penalty and with R1: minimax
          12.2 ± 0.2, 12.4 ± 0.4; non_saturating 12.8 ± 0.3, 11.9 ± 0.4; maximum_likelihood 41.1 ±
          14, 12.2 ± 0.4; least_squares 11.3 ± 0.4, 10.6 ± 0.2; hinge 11.9 ± 0.4, 12.2 ± 0.4;
          wasserstein 25.5 ± 0.6, 18.3 ± 0.05; relativistic 17.4 ± 0.1, 14.7 ± 1.0; its averages
          16.9 ± 0.7, 14.4 ± 0.9, of hinge 14.9 ± 0.2, 13.8 ± 0.6, of least squares 14.0 ± 0.8,
          13.5 ± 0.2. Over both penalties wasserstein is worse than non_saturating, by 9.6 (p =
          0.013 of nine comparisons); no other can be told apart (least_squares better by 1.5, p =
          0.20). Nor can R1 over all losses, better than none by 4.4 (p = 0.094). No run failed.
"""

from ml_collections import ConfigDict

from gan_jax.losses.adversarial import LOSSES
from gan_jax.run.ablation import Axis, ablation, axis
from gan_jax.run.config import from_file, network


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
