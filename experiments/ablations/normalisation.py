"""Norms of both networks, on real digits with a small DCGAN.

Paper:    Ioffe & Szegedy 2015 (arXiv:1502.03167), Miyato et al. 2018 (arXiv:1802.05957), Ba et al.
          2016 (arXiv:1607.06450)
Command:  launch/run ablate --config=experiments/ablations/normalisation.py --workdir=runs/norms
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     14 min 25 s for 24 runs in eight programs; 9 min of CPU
Score:    [Of averages without bias correction under live batch statistics, as gan_jax 0.1 had
          them; not measured again.]
          Fréchet distance after 1,000 rounds, three seeds, without a penalty. Over all norms of D,
          a generator without batch norm is worse, 18.4 ± 0.5 and 12.1 ± 0.4 (p = 0.003); over both
          of G, none 17.4 ± 1.4, batch 14.4 ± 0.5, spectral 14.8 ± 0.3 and layer 14.2 ± 0.1 of D
          cannot be told apart.
"""

from ml_collections import ConfigDict

from gan_jax.ablation import ablation, axis
from gan_jax.config import from_file


def get_config() -> ConfigDict:
  base = from_file("losses_digits.py", __file__).base
  return ablation(
    base,
    [
      axis("discriminator.norm", ["none", "batch", "spectral", "layer"], "D norm"),
      axis("generator.norm", ["batch", "none"], "G norm"),
    ],
    baseline={"D norm": "none", "G norm": "batch"},
    seeds=(0, 1, 2),
    score="frechet_distance",
    at_once=1,
  )
