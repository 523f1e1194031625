"""Lazy R1 and R2 under R3GAN's networks, on stacked digits of 1000 modes.

Lazy penalties have as many times the weight as there are rounds from one to the next. Under Adam,
which is used here, that is weaker than the weight says; see `objectives.every`. What they do to an
MLP on the grid of 25 modes is in experiments/reproduce/lazy_penalties.py.

Paper:    Huang et al. 2025 (arXiv:2501.05441), which reports that lazy penalties fail on toys of
          many modes; lazy penalties are StyleGAN2's (Karras et al. 2019, arXiv:1912.04958)
Command:  launch/run ablate --config=experiments/ablations/lazy_stacked.py --workdir=runs/lazy
Hardware: one core of an AMD EPYC, shared with other work, jax 0.10.2
Time:     46 minutes
Score:    modes of 1000 after 1,000 rounds, three seeds: every round 389 ± 49 (391, 302, 473), every
          16 rounds 257 ± 47 (270, 170, 332): 131 fewer, p = 0.002 by a paired t-test. KL 2.63 ±
          0.19 and 2.88 ± 0.33. The failure is seen here, of networks of `r3gan_mnist.py`'s size
          with the published linear output, which lose modes with either. `r3gan_stacked.py`, which
          loses fewer, has others, and lazy penalties are not measured there.
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import Axis, ablation
from gan_jax.run.config import from_file

LAZY = {f"regularizer_options.{name}.every": 16 for name in ("r1", "r2")}


def get_config() -> ConfigDict:
  base = from_file("../r3gan_mnist.py", __file__)
  base.generator.output = "linear"
  base.data = "stacked:mnist10k"
  base.num_fake = 26_000
  base.rounds = 1000  # of schedules that are of 3,000
  base.evaluate_every = 500
  return ablation(
    base,
    [Axis("R1 + R2", {"every round": {}, "every 16 rounds": LAZY})],
    baseline={"R1 + R2": "every round"},
    seeds=(0, 1, 2),
    score="modes",
    at_once=1,
  )
