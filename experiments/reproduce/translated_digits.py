"""What translated digits are: read as the labels of what they were, and how far from real ones?

    launch/run train --config=experiments/cyclegan_digits.py --workdir=runs/cyclegan_digits
    .venv/bin/python -m experiments.reproduce.translated_digits runs/cyclegan_digits

Two classifiers read test digits (the frozen recipe of `gan_jax.metrics.features.classifier`): one
that was trained on real digits of the kind translated to, and one on real digits of both kinds.
Beside, both read real test digits of that kind, and the digits before they are translated.

Fréchet distances are of pixels, to test digits of the kind translated to. There are 297 test digits
of one kind, too few for the distance of so many: so these of training digits stand beside, and
those of as many real digits.
"""

import argparse

import jax
import numpy as np

import experiments.cyclegan_digits  # noqa: F401  (registers its data)
import gan_jax as gj
from gan_jax.data import Source
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.metrics.features.extractor import Extractor, extract
from gan_jax.run.experiment import load_splits
from gan_jax.run.results.run import Run

KINDS = {"a_to_b": ("a", "b"), "b_to_a": ("b", "a")}


def classifier_of(run: Run, kinds: str) -> Extractor:
  """Trains a classifier on the training digits of kinds, "a", "b" or both."""
  splits = load_splits(run.config)
  join = lambda sources: jax.tree.map(
    lambda *x: np.concatenate(x), *[{k: gj.data.take(s)[k] for k in "xy"} for s in sources]
  )
  parts = zip(*(splits[kind] for kind in kinds), strict=True)
  return classifier_for(*map(join, parts), 10).extractor


def translated(run: Run, source: Source) -> np.ndarray:
  """Translates all digits of a source: uint8 [N, H, W, 1]."""
  x = gj.data.to_float(gj.data.take(source)["x"], run.experiment.example.pixel_range)
  return run.sampler.generate(run.state, np.asarray(x))


def distance(x: np.ndarray, y: np.ndarray) -> float:
  """Computes the Fréchet distance of the pixels of images, from 0 to 1."""
  moments = [gj.metrics.moments(images.reshape(len(images), -1) / 255) for images in (x, y)]
  return gj.metrics.frechet_distance(*moments)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("workdir")
  workdir = parser.parse_args().workdir
  runs = {name: gj.load(workdir, changes={"evaluation.sampler": name}) for name in KINDS}
  splits = load_splits(runs["a_to_b"].config)
  readers = {kinds: classifier_of(runs["a_to_b"], kinds) for kinds in ("a", "b", "ab")}

  print("| sampler | classifier of | real test digits | untranslated | translated |")
  print("|---|---|---|---|---|")
  for name, (source, target) in KINDS.items():
    digits, real = (gj.data.take(splits[kind].test) for kind in (source, target))
    shown = real["x"], digits["x"], translated(runs[name], splits[source].test)
    for kinds in (target, "ab"):
      read = lambda x, y, reader: np.mean(np.argmax(extract(reader, x)["logits"], axis=1) == y)
      labels = real["y"], digits["y"], digits["y"]
      pairs = zip(shown, labels, strict=True)
      shares = " | ".join(f"{read(x, y, readers[kinds]):.1%}" for x, y in pairs)
      print(f"| {name} | {kinds} | {shares} |", flush=True)

  print("\n| sampler | digits | as many real ones | untranslated | translated |")
  print("|---|---|---|---|---|")
  for name, (source, target) in KINDS.items():
    test, real = (gj.data.take(of)["x"] for of in (splits[target].test, splits[target].train))
    for split, of in (("training", splits[source].train), ("test", splits[source].test)):
      x = gj.data.take(of)["x"]
      compared = real[: len(x)], x, translated(runs[name], of)
      distances = " | ".join(f"{distance(images, test):.2f}" for images in compared)
      print(f"| {name} | {len(x):,} {split} | {distances} |", flush=True)


if __name__ == "__main__":
  main()
