"""How long the generator is averaged: all decays are one program.

Paper:    Yazıcı et al. 2019 (arXiv:1806.04498)
Command:  launch/run ablate --config=experiments/ablations/ema.py --workdir=runs/ema
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     65 s for 50 runs in two programs
Score:    KL over modes after 3,000 rounds, five seeds, over both penalties: 0.63 ± 0.10 without an
          average, 0.16 ± 0.05 with a decay of 0.9 and 0.14 ± 0.05 with 0.99, both better (p =
          0.029); 0.27 ± 0.09 with 0.999 and 0.57 ± 0.15 with 0.9999 cannot be told apart from none.
          (Without bias correction these two had 0.87 and 1.96, of the network at random.) Over all
          decays R1 is better than none, 0.22 ± 0.03 and 0.49 ± 0.10 (p = 0.047).
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import Axis, ablation, axis
from gan_jax.run.config import from_file


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
