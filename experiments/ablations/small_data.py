"""Few digits: augmentation and penalties, with 100, 500 and 2,000 digits to train on.

Paper:    Karras et al. 2020 (arXiv:2006.06676), Zhao et al. 2020 (arXiv:2006.10738), Tseng et al.
          2021 (arXiv:2104.03310), Mescheder et al. 2018 (arXiv:1801.04406)
Command:  launch/run ablate --config=experiments/ablations/small_data.py --workdir=runs/small_data
Hardware: not yet measured
Time:     not yet measured; 75 runs in fifteen programs
Score:    not yet measured: Fréchet distance to the test digits after 3,000 rounds, five seeds
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import Axis, ablation, axis
from gan_jax.run.config import augmentation, from_file

METHODS = {
  "none": {},
  "DiffAugment": {"augmentation": augmentation("diffaugment")},
  # Digits have a hand and a foot: no flips and no turns. 100 kimg, as runs here are short.
  "ADA": {"augmentation": augmentation("ada", pipe="bgc, xflip=0, rotate90=0", kimg=100.0)},
  "LeCam": {"regularizers.lecam": 0.3},
  "R1": {"regularizers.r1": 1.0},
}


def get_config() -> ConfigDict:
  base = from_file("../mnist_dcgan.py", __file__)
  base.rounds = 3000
  base.regularizers.r1 = 0.0
  base.average.decay = 0.99
  return ablation(
    base,
    [axis("data_options.examples", [100, 500, 2000], "digits"), Axis("method", METHODS)],
    baseline={"digits": "2000", "method": "none"},
    seeds=(0, 1, 2, 3, 4),
    score="frechet_distance",
    at_once=1,
  )
