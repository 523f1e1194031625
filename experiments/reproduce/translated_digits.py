"""What a classifier reads in translated digits: the labels of what they were translated from?

    launch/run train --config=experiments/cyclegan_digits.py --workdir=runs/cyclegan_digits
    .venv/bin/python -m experiments.reproduce.translated_digits runs/cyclegan_digits

The classifier of each kind is trained on the labels of its real training digits (the frozen recipe
of `gan_jax.metrics.features.classifier`), and reads real test digits of the same kind beside.
"""

import argparse

import numpy as np

import experiments.cyclegan_digits  # noqa: F401  (registers its data)
import gan_jax as gj
from gan_jax.metrics.features.extractor import extract


def accuracy(workdir: str, sampler: str) -> tuple[float, float]:
  """Computes how many test digits are read as their labels: (real ones, translated ones)."""
  changes = {"evaluation.sampler": sampler, "evaluation.features": "classifier"}
  run = gj.load(workdir, changes=changes)
  experiment = run.experiment
  assert experiment.given is not None and experiment.held_out is not None
  extractor = experiment.extractor()
  read = lambda images: np.argmax(extract(extractor, images)["logits"], axis=1)
  real, source = gj.data.take(experiment.held_out), gj.data.take(experiment.given)
  x = gj.data.to_float(source["x"], experiment.example.pixel_range)
  translated = run.sampler.generate(run.state, np.asarray(x))
  return (
    float(np.mean(read(real["x"]) == real["y"])),
    float(np.mean(read(translated) == source["y"])),
  )


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("workdir")
  workdir = parser.parse_args().workdir
  print("| sampler | real test digits read as their label | translated ones |\n|---|---|---|")
  for sampler in ("a_to_b", "b_to_a"):
    real, translated = accuracy(workdir, sampler)
    print(f"| {sampler} | {real:.1%} | {translated:.1%} |", flush=True)


if __name__ == "__main__":
  main()
