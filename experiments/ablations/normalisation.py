"""Norms of both networks, on real digits with a small DCGAN.

Paper:    Ioffe & Szegedy 2015 (arXiv:1502.03167), Miyato et al. 2018 (arXiv:1802.05957), Ba et al.
          2016 (arXiv:1607.06450)
Command:  launch/run ablate --config=experiments/ablations/normalisation.py --workdir=runs/norms
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, beside much other work
Time:     14 min 25 s for 24 runs in eight programs; 9 min of CPU
Score:    Fréchet distance after 1,000 rounds, three seeds, without a penalty. The baseline, without
          a norm in D and with batch norm in G, has 12.8 ± 0.3; with batch norm in D and none in G
          it is worse, 17.9 ± 0.1 (p = 0.015). Over all norms of D, a generator without batch norm
          has 20.8 ± 2.3 and one with it 11.7 ± 0.4, which cannot be told apart (p = 0.074: one run
          of layer norm in D and none in G ended at 48); over both of G, none 16.7 ± 0.8, batch
          14.6 ± 0.3, spectral 14.1 ± 0.2 and layer 19.6 ± 5.1 of D cannot be told apart either.
"""

from ml_collections import ConfigDict

from gan_jax.run.ablation import ablation, axis
from gan_jax.run.config import from_file


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
