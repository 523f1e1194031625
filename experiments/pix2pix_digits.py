"""pix2pix from coarse digits to digits.

Paper:    Isola, Zhu, Zhou, Efros 2017 (arXiv:1611.07004): losses, weights and networks are theirs,
          narrow, at 32 pixels. A published U-Net of five levels has no dropout, so that here a
          coarse digit has one translation.
Data:     MNIST's digits (b), and the same digits of 8 x 8 pixels enlarged (a). This file registers
          the latter, so later commands on the run need --config=experiments/pix2pix_digits.py.
Command:  launch/run train --config=experiments/pix2pix_digits.py --workdir=runs/pix2pix
Hardware: 2 cores of an Intel Xeon, beside many other programs
Time:     113 s of processor time, 6 minutes beside these
Score:    one seed, all 2,000 test pairs: mean absolute difference from the digit, as a share of the
          range, and Fréchet distance by the classifier (2,000 training digits score 0.37):
            coarse digits as they are                           0.0868  28.31
            translated                                          0.0272   0.296
            translated, --config.weights.adversarial=0 (L1)     0.0260   0.340
          One seed each: that the adversarial loss sharpens is in line with the second column, and
          8 x 8 pixels leave it little to add.
"""

import numpy as np
from ml_collections import ConfigDict

from gan_jax.data import Options, Source, load, table
from gan_jax.data.registry import Kind
from gan_jax.run.config import default_config, network, optimizer
from gan_jax.run.config.register import register

SIZE, CELL = 32, 4  # pixels of a digit, and of a coarse pixel


def open_coarse(argument: str, split: str, options: Options) -> Source:
  """Opens MNIST's digits, each square of 4 x 4 pixels of one gray."""
  del argument, options
  digits = load("mnist10k", split, image_size=SIZE).arrays
  cells = digits["x"].reshape(-1, SIZE // CELL, CELL, SIZE // CELL, CELL)
  means = np.rint(cells.mean((2, 4))).astype(np.uint8)
  x = means.repeat(CELL, axis=1).repeat(CELL, axis=2)[..., None]
  return table("coarse_mnist", x, digits["y"], range(10))


register("data", "coarse_mnist", Kind("coarse_mnist", open_coarse))


def get_config() -> ConfigDict:
  config = default_config("pix2pix")
  config.data = "coarse_mnist|mnist10k"
  config.data_options.image_size = SIZE
  config.translator = network("unet_translator", width=16, levels=5, norm="batch", dropout=0.5)
  config.discriminator = network("patch_discriminator", width=16, layers=2, norm="batch")
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=2e-4, b1=0.5)
  config.batch_size = 16
  config.rounds = 1500
  config.log_every = 100
  config.sample_every = 750
  config.checkpoint_every = 750
  config.num_fake = 2000
  config.num_samples = 48
  return config
