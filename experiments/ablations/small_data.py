"""Few digits: augmentation and penalties, with 100, 500 and 2,000 digits to train on.

Paper:    Karras et al. 2020 (arXiv:2006.06676), Zhao et al. 2020 (arXiv:2006.10738), Tseng et al.
          2021 (arXiv:2104.03310), Mescheder et al. 2018 (arXiv:1801.04406)
Command:  launch/run ablate --config=experiments/ablations/small_data.py --workdir=runs/small_data
Hardware: one core of an AMD EPYC beside other work, jax 0.10.2
Time:     100 minutes on half a core for the 25 runs of 2,000 digits, 55 minutes of CPU for the 50
          of 100 and 500
Score:    Fréchet distance to the test digits after 1,500 rounds (96,000 images), five seeds:
            digits  none          DiffAugment   ADA           LeCam         R1
            100     10.33 ± 0.19  10.08 ± 0.21  10.55 ± 0.11  17.46 ± 0.28  10.01 ± 0.18
            500      7.70 ± 0.21  10.39 ± 0.35   7.17 ± 0.19   7.62 ± 0.21   7.16 ± 0.21
            2,000    7.31 ± 0.13  10.43 ± 0.13   7.25 ± 0.15   6.46 ± 0.25   6.87 ± 0.23
          Beside none, by paired t-tests with Holm's correction within a row: of 100 digits LeCam
          is worse (p < 0.001), of 500 and of 2,000 DiffAugment is (p < 0.001); nothing else can be
          told apart (nearest LeCam of 2,000, p = 0.06, ADA of 500, p = 0.09). So early neither
          augmentation nor a penalty is shown to help; longer courses were not played.
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
  base.rounds = 1500
  base.evaluate_every = base.rounds
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
