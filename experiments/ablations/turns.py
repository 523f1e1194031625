"""Who moves how often: k steps of the discriminator, or both at once, for the same images.

Paper:    Goodfellow et al. 2014 (arXiv:1406.2661), Algorithm 1; simultaneous as in Mescheder et
          al. 2018 (arXiv:1801.04406)
Command:  launch/run ablate --config=experiments/ablations/turns.py --workdir=runs/turns
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     18 min 14 s for 80 runs in sixteen programs; 3 min of CPU
Score:    KL over modes after 192,000 images, five seeds, over both losses and penalties: 0.103 ±
          0.027 alternating; k = 5 is worse, 0.237 ± 0.036 (p = 0.004), as G moves a fifth as often;
          k = 2 (0.165 ± 0.049) and simultaneous (0.134 ± 0.044, where two of five Wasserstein runs
          without a penalty found no mode) cannot be told apart from it. R1 is better than none,
          0.092 ± 0.036 and 0.230 ± 0.040 (p = 0.03), and of 40 runs with it one lost a mode, of 40
          without 14.
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import Axis, ablation
from gan_jax.run.config import from_file

TURNS = {
  "alternating": {},
  "k = 2": {"k": 2},
  "k = 5": {"k": 5},
  "simultaneous": {"simultaneous": True},
}


def get_config() -> ConfigDict:
  base = from_file("losses_ring.py", __file__).base
  base.evaluate_every = 200
  for player in ("discriminator", "generator"):
    base.optimizers[player].learning_rate = 1e-3  # a schedule over rounds would favour many
  return ablation(
    base,
    [
      Axis("turns", TURNS),
      Axis("loss", {"non_saturating": {}, "wasserstein": {"loss": "wasserstein"}}),
      Axis("penalty", {"none": {}, "r1": {"regularizers.r1": 0.1}}),
    ],
    baseline={"turns": "alternating", "loss": "non_saturating", "penalty": "none"},
    score="kl",
    collapse="modes<8",
    images=base.rounds * base.batch_size,
  )
