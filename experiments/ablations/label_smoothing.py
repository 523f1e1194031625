"""One-sided label smoothing, of the losses that have a label to smooth.

Paper:    Salimans et al. 2016 (arXiv:1606.03498), whose target is 0.9
Command:  launch/run ablate --config=experiments/ablations/label_smoothing.py --workdir=runs/labels
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     13 min 41 s for 60 runs in twelve programs; 110 s of CPU
Score:    KL over modes after 3,000 rounds, five seeds, over all losses: 0.195 ± 0.044 with a target
          of 1, 0.231 ± 0.028 with 0.9, 0.203 ± 0.023 with 0.7, 0.158 ± 0.038 with 0.5: none can be
          told apart from 1, and no loss from non-saturating.
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import ablation, axis
from gan_jax.run.config import from_file


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
