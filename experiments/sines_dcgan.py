"""DCGAN of one axis on series of a known law: sines of random frequency and phase.

Data:     x(t) = sin(2π (f t / 64 + φ)), 64 steps, f uniform on [2, 6] and φ on [0, 1]; made here
Paper:    Radford et al. 2016 (arXiv:1511.06434), with convolutions of one axis; R1 of Mescheder et
          al. 2018 (arXiv:1801.04406)
Command:  launch/run train --config=experiments/sines_dcgan.py --workdir=runs/sines
          python -m experiments.sines_dcgan runs/sines
Hardware: 2 cores of an Intel Xeon, jax 0.10.2, beside much other work
Time:     61 s for 3,000 rounds (192,000 series) with six scores, 48 s of CPU; the programs were in
          the cache, and compiling them had taken 67 s on busier cores
Score:    one seed, while training: Fréchet distance of the numbers 7.06 at 500 rounds, 2.36, 0.85,
          0.43, 0.29, and 0.20 at 3,000, against 2,000 test series (training series score 0.03);
          frequency 3.99 ± 1.01 (law: 4.00 ± 1.17), 98% of it from 2.20 to 5.80 (2.05 to 5.95); a
          sine explains 98.7% of the power in the median (99.9%). A few series change their
          frequency on the way, or waver at an end.
"""

import sys

import numpy as np
from ml_collections import ConfigDict

from gan_jax.data.registry import Kind
from gan_jax.data.source import Options, Source
from gan_jax.data.sources.arrays import array_source
from gan_jax.run.config import default_config, network, optimizer
from gan_jax.run.config.register import register

STEPS = 64
FREQUENCIES = (2.0, 6.0)
SIZES = {"train": 8000, "test": 2000}


def sines(n: int, seed: int) -> np.ndarray:
  """Samples series [n, STEPS, 1] of the law."""
  rng = np.random.default_rng(seed)
  frequency, phase = rng.uniform(*FREQUENCIES, (n, 1)), rng.uniform(size=(n, 1))
  x = np.sin(2 * np.pi * (frequency * np.arange(STEPS) / STEPS + phase))
  return x[..., None].astype(np.float32)


def fit_sines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Fits a sine to each series by least squares.

  Args:
    x: [n, STEPS, 1].

  Returns:
    (frequency of the best of a grid, share of the power that it explains), both [n].
  """
  grid = np.linspace(0.5, 12, 231)
  angle = 2 * np.pi * grid[:, None] * np.arange(STEPS) / STEPS
  bases = np.linalg.qr(np.stack([np.sin(angle), np.cos(angle)], axis=-1))[0]  # [grid, STEPS, 2]
  power = (np.einsum("gtk,nt->ngk", bases, x[..., 0]) ** 2).sum(axis=-1)
  best = power.argmax(axis=1)
  return grid[best], power.max(axis=1) / (x[..., 0] ** 2).sum(axis=1)


def open_sines(argument: str, split: str, options: Options) -> Source:
  """Opens the split of a known law."""
  x = sines(SIZES[split], seed=list(SIZES).index(split))
  return array_source("sines", x, None, options._replace(axes="NTC", value_range=(-1.0, 1.0)))


register("data", "sines", Kind("sines", open_sines))


def get_config() -> ConfigDict:
  config = default_config()
  config.data = "sines"
  config.batch_size = 64
  config.rounds = 3000
  config.rounds_per_call = 20

  config.latent.dim = 16
  config.generator = network("dcgan_generator", width=16)
  config.discriminator = network("dcgan_discriminator", width=16, norm="none")
  config.regularizers.r1 = 0.1
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=1e-3, b1=0.0, b2=0.99)
  config.average.decay = 0.998

  config.log_every = 100
  config.sample_every = 500
  config.evaluate_every = 500
  config.checkpoint_every = 500
  return config


def main(workdir: str) -> None:
  """Prints how the sines of a run, and of the law, are distributed."""
  import gan_jax as gj
  from experiments.means import spread

  for name, x in {"samples": gj.load(workdir).sample(2000), "law": sines(2000, 2)}.items():
    frequency, share = fit_sines(x)
    explained = f"a sine explains {np.median(share):.3f} of the power (median)"
    print(f"{name}: frequency {spread(frequency)}; {explained}")


if __name__ == "__main__":
  main(sys.argv[1])
