"""What the codes of an InfoGAN have found: classes that a classifier knows, and a picture.

  python -m experiments.reproduce.info_gan RUN --out=codes.png [--num=2000]

Each value of the first categorical code is matched with a class, one to one, so that most fakes are
of the class of their code (the assignment problem); the share of these is printed. So is, of a Q
that reads images, the share of test images in which it reads the value of their class, under the
matching that is best for these: the paper's error is 1 minus it. The picture has
a column for each value; down the rows a continuous code goes from -2 to 2, as in the paper's
figure 2, and all else stays.
"""

import argparse
import pathlib

import numpy as np
from scipy.optimize import linear_sum_assignment

from gan_jax import plots
from gan_jax.data import take, to_float
from gan_jax.game.forward import sample_network
from gan_jax.game.kinds.info import Codes, Q
from gan_jax.metrics.features.extractor import extract
from gan_jax.run.config.sections.networks import build_network
from gan_jax.run.results.folder import load
from gan_jax.run.results.run import Run

STEPS = 9


def codes_of(run: Run) -> Codes:
  """Returns the codes of a run."""
  section = run.config.codes
  return Codes(section.noise, tuple(section.categorical), section.continuous)


def read(run: Run, codes: Codes, images: np.ndarray) -> np.ndarray:
  """Computes the first categorical code that Q reads in uint8 images [n, H, W, C], int [n]."""
  q = build_network(run.config.encoder, features=codes.size)
  x = to_float(images, run.experiment.example.pixel_range)
  (code, *_), _ = codes.split(sample_network(q, Q, run.state.params, run.state.carried, x))
  return np.argmax(np.asarray(code), axis=1)


def agreement(codes: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
  """Computes how well values of a code and classes agree.

  Args:
    codes: value of the code of each example, int [n].
    classes: class of each example, int [n].

  Returns:
    (share of examples of the class that their value is matched with, class of each value).
  """
  counts = np.zeros((codes.max() + 1, classes.max() + 1), int)
  np.add.at(counts, (codes, classes), 1)
  rows, columns = linear_sum_assignment(counts, maximize=True)
  return counts[rows, columns].sum() / len(codes), columns


def sweep(codes: Codes, z: np.ndarray, which: int, order: np.ndarray) -> np.ndarray:
  """Builds latents of a grid: values of the first categorical code, by steps of a continuous one.

  Args:
    codes: codes of the game.
    z: one latent [d], whose noise and other codes all latents of the grid share.
    which: place of the continuous code.
    order: values of the categorical code, one for each column.

  Returns:
    Latents [STEPS * columns, d], row by row.
  """
  first = codes.noise
  grid = np.tile(z, (STEPS, len(order), 1))
  grid[..., first : first + codes.categorical[0]] = np.eye(codes.categorical[0])[order]
  grid[..., len(z) - codes.continuous :] = 0
  grid[..., len(z) - codes.continuous + which] = np.linspace(-2, 2, STEPS)[:, None]
  return grid.reshape(-1, len(z))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("run", type=pathlib.Path)
  parser.add_argument("--out", type=pathlib.Path, required=True)
  parser.add_argument("--num", type=int, default=2000)
  flags = parser.parse_args()
  run = load(flags.run)
  codes = codes_of(run)
  z = run.sampler.latents(flags.num)
  value = np.argmax(np.asarray(codes.split(z)[0][0]), axis=1)
  images = run.sampler.generate(run.state, z)
  logits = extract(run.experiment.extractor(), images)["logits"]
  share, classes = agreement(value, np.argmax(logits, axis=1))
  print(f"{100 * share:.1f}% of {flags.num} fakes are of the class of their code: {classes}")
  reads_images = not run.config.discriminator.name.startswith("auxiliary")
  if reads_images and run.experiment.held_out is not None:
    test = take(run.experiment.held_out)
    share, _ = agreement(read(run, codes, test["x"]), test["y"])
    print(f"{100 * share:.1f}% of {len(test['y'])} test images have the code of their class")
  grids = {
    f"continuous code {which + 1}": run.sampler.generate(
      run.state, sweep(codes, z[0], which, np.argsort(classes)).astype(np.float32)
    )
    for which in range(codes.continuous)
  }
  figure = plots.image_grids(grids, in_row=codes.categorical[0], size=4.0)
  plots.save(figure, flags.out)


if __name__ == "__main__":
  main()
