"""Shows what every metric says of images that get worse, and the floor of stacked digits.

Paper:    none; the figure that Heusel et al. 2017 (arXiv:1706.08500) drew of the Fréchet distance,
          of all metrics of `gan_jax.run.evaluation.evaluators.suite` that need no download.
          Training images of the bundled MNIST, clean and under Gaussian noise of growing
          strength, are held against its test images as samples would be.
Command:  python -m experiments.noise --out=runs/noise
Hardware: 2 cores of an AMD EPYC, jax 0.10.2, one of them, beside other runs
Time:     3.2 minutes of CPU, without the triples
Score:    Fréchet distances rise from 0.4 to 56 and the kernel, MMD and transport distances with
          them; recall falls from 0.93 to 0, coverage from 0.96 to 0.03. Not monotone are precision
          (0.92 to 0.95 and 0.70) and density, as features of noisy digits move towards the middle
          of those of clean ones, and copying (0.026 to 0.032 in the end), which is 1 for the clean
          images, as they are those that were trained on. MS-SSIM falls and calls noise diverse.
          Stacked MNIST: 26,000 real triples have 1000 modes and a KL of 0.0196, of a classifier
          that reads 99.35% of the digits.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
from absl import app, flags
from matplotlib.figure import Figure

from gan_jax import data, plots
from gan_jax.files import write_json
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.evaluation.evaluators.suite import METRICS
from gan_jax.run.evaluation.evaluators.suited import EvaluationSpec

LEVELS = (0, 16, 32, 64, 96, 128)  # standard deviation of the noise, in gray levels of 255
IMAGES, TRIPLES = 2000, 26_000
LEFT_OUT = ("spatial_frechet",)  # needs InceptionV3

FLAGS = flags.FLAGS


def main(argv: list[str]) -> None:
  """Scores the images at each level, prints the scores and says which are not monotone."""
  del argv
  out = pathlib.Path(FLAGS.out)
  out.mkdir(parents=True, exist_ok=True)
  found = under_noise(FLAGS.images)
  names = list(found[LEVELS[0]])
  print(f"{'noise':28}" + "".join(f"{level:>10}" for level in LEVELS))
  for name in names:
    values = [found[level][name] for level in LEVELS]
    print(f"{name:28}" + "".join(f"{x:10.4g}" for x in values) + f"  {direction(values)}")
  write_json(out / "noise.json", {str(level): scores for level, scores in found.items()})
  drawn = draw({name: [found[level][name] for level in LEVELS] for name in names})
  plots.save(drawn, out / "noise.png", dpi=110)
  print(f"wrote {out / 'noise.png'}")
  if FLAGS.triples:
    told = "  ".join(
      f"{name} {value:.4g}" for name, value in perfect_triples(FLAGS.triples).items()
    )
    print(f"{FLAGS.triples:,} triples of real digits, the floor of stacked MNIST: {told}")


def under_noise(count: int) -> dict[int, Mapping[str, float]]:
  """Scores training images under noise of every level: {level: {score: value}}."""
  train, test = data.load("mnist10k", "train"), data.load("mnist10k", "test")
  metrics = {
    name: metric
    for name, metric in METRICS.items()
    if name not in LEFT_OUT and not metric.walks  # here is no generator
  }
  evaluator = evaluator_for(train, test, num_fake=count, spec=EvaluationSpec(metrics=metrics))
  clean, noise = data.take(train, count), np.random.default_rng(0)
  found = {}
  for level in LEVELS:
    shaken = clean["x"] + noise.normal(scale=level, size=clean["x"].shape) if level else clean["x"]
    drawn = {"x": np.clip(np.rint(shaken), 0, 255).astype(np.uint8), "y": clean["y"]}
    found[level] = evaluator(lambda n, seed, drawn=drawn: drawn)
  return found


def perfect_triples(count: int) -> dict[str, float]:
  """Scores triples of real digits as samples of stacked MNIST."""
  train, test = (data.load("stacked:mnist10k", split) for split in ("train", "test"))
  evaluator = evaluator_for(train, test, num_fake=count)
  return evaluator(lambda n, seed: data.take(train, n, seed))


def direction(values: list[float]) -> str:
  """Checks whether values rise or fall all the way; equal neighbours are allowed."""
  steps = np.diff(values)
  if (steps >= 0).all():
    return "rises"
  return "falls" if (steps <= 0).all() else "NOT MONOTONE"


def draw(scores: Mapping[str, list[float]]) -> Figure:
  """Draws every score against the noise."""
  panels = {name.replace("_", " "): {"": values} for name, values in scores.items()}
  return plots.curves(panels, LEVELS, xlabel="noise, gray levels", columns=5, size=(2.3, 1.8))


def define_flags() -> None:
  """Defines the flags of this command; not on import, since flags of absl are global."""
  flags.DEFINE_string("out", "runs/noise", "Folder of the table and the figure.")
  flags.DEFINE_integer("images", IMAGES, "That are made noisy.", lower_bound=200)
  flags.DEFINE_integer("triples", TRIPLES, "Of digits, stacked; 0 for none.", lower_bound=0)


if __name__ == "__main__":
  define_flags()
  app.run(main)
