"""Losses on real digits, with a small DCGAN that is scored by the repository's classifier.

Paper:    see `gan_jax.losses` for each
Command:  launch/run ablate --config=experiments/ablations/losses_digits.py --workdir=runs/digits
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     24 min for 60 runs in 20 programs, the last 11 of them resumed after a stop
Score:    [Of averages without bias correction under live batch statistics, as gan_jax 0.1 had
          them; not measured again.]
          Fréchet distance after 1,000 rounds, three seeds, without a penalty and with R1: minimax
          12.4 ± 0.4, 12.2 ± 0.2; non_saturating 13.2 ± 0.3, 12.7 ± 0.3; maximum_likelihood 54.9 ±
          5.1, 12.8 ± 0.4; least_squares 11.6 ± 0.2, 11.5 ± 0.2; hinge 12.6 ± 0.5, 12.8 ± 0.8;
          wasserstein 26.8 ± 0.6, 18.5 ± 0.2; relativistic 17.2 ± 0.1, 15.2 ± 0.4; its averages 17.0
          ± 0.7, 15.1 ± 0.5, of hinge 16.0 ± 0.7, 14.7 ± 1.6, of least squares 14.2 ± 0.7, 14.3 ±
          0.6. Over both penalties least_squares is better than non_saturating, by 1.4 (p = 0.002 of
          nine comparisons), wasserstein worse, by 9.7 (p = 0.016); no other can be told apart. Over
          all losses R1 is better than none, by 5.6 (p = 0.011). No run failed.
"""

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
