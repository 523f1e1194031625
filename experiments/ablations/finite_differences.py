"""R1 and R2 by finite differences, on real digits with the default run's networks.

The approximations are of one draw of noise an example, and of the weight of the exact penalties.

Paper:    GAT, arXiv:2509.24935, for the approximations; Huang et al. 2025 (arXiv:2501.05441) for
          the game, RpGAN with R1 and R2
Command:  launch/run ablate --config=experiments/ablations/finite_differences.py
            --workdir=runs/finite_differences
Hardware: one core of an AMD EPYC beside other work, jax 0.10.2
Time:     17 minutes of one core for the nine runs
Score:    Fréchet distance after 2,000 rounds, three seeds: exact 7.87 ± 0.35, approximated 8.98 ±
          0.39, none 10.2 ± 0.5. By paired t-tests with Holm's correction neither can be told apart
          from exact (p = 0.25 and 0.096). A round of the approximation takes 1.08 of an exact one
          (docs/benchmarks.md): here it saves neither time nor rounds.
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import Axis, ablation
from gan_jax.run.config import from_file

PENALTIES = {
  "exact": {"regularizers.r1": 1.0, "regularizers.r2": 1.0},
  "approximated": {"regularizers.r1_approximate": 1.0, "regularizers.r2_approximate": 1.0},
  "none": {},
}


def get_config() -> ConfigDict:
  base = from_file("../mnist_dcgan.py", __file__)
  base.rounds = 2000
  base.loss = "relativistic"
  base.regularizers.r1 = 0.0
  return ablation(
    base,
    [Axis("R1 + R2", PENALTIES)],
    baseline={"R1 + R2": "exact"},
    seeds=(0, 1, 2),
    score="frechet_distance",
    at_once=1,
  )
