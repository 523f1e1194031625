"""What a classifier reads in translated digits: the labels of what they were translated from?

    launch/run train --config=experiments/cyclegan_digits.py --workdir=runs/cyclegan_digits
    .venv/bin/python -m experiments.reproduce.translated_digits runs/cyclegan_digits

Two classifiers read them (the frozen recipe of `gan_jax.metrics.features.classifier`): one that was
trained on real digits of the kind translated to, and one on real digits of both kinds. Beside, both
read real test digits of that kind, and the digits before they are translated.
"""

import argparse

import jax
import numpy as np

import experiments.cyclegan_digits  # noqa: F401  (registers its data)
import gan_jax as gj
from gan_jax.metrics.features.classifier import classifier_for
from gan_jax.metrics.features.extractor import Extractor, extract
from gan_jax.run.experiment import load_splits
from gan_jax.run.results.run import Run


def classifier_of_both(run: Run) -> Extractor:
  """Trains a classifier on the training digits of both kinds."""
  splits = load_splits(run.config).values()
  join = lambda sources: jax.tree.map(
    lambda *x: np.concatenate(x), *[{k: gj.data.take(s)[k] for k in "xy"} for s in sources]
  )
  train, test = join([s.train for s in splits]), join([s.test for s in splits])
  return classifier_for(train, test, 10).extractor


def accuracies(workdir: str, sampler: str, features: str) -> list[float]:
  """Computes shares of test digits that are read as their labels.

  Args:
    workdir: folder of the run.
    sampler: "a_to_b" or "b_to_a".
    features: training digits of the classifier, "target" or "both".

  Returns:
    Shares of real ones of the target's kind, of those to translate, and of translated ones.
  """
  changes = {"evaluation.sampler": sampler, "evaluation.features": "classifier"}
  run = gj.load(workdir, changes=changes)
  experiment = run.experiment
  assert experiment.given is not None and experiment.held_out is not None
  extractor = experiment.extractor() if features == "target" else classifier_of_both(run)
  real, source = gj.data.take(experiment.held_out), gj.data.take(experiment.given)
  x = gj.data.to_float(source["x"], experiment.example.pixel_range)
  translated = run.sampler.generate(run.state, np.asarray(x))
  share = lambda x, y: float(np.mean(np.argmax(extract(extractor, x)["logits"], axis=1) == y))
  pairs = (real["x"], real["y"]), (source["x"], source["y"]), (translated, source["y"])
  return [share(*pair) for pair in pairs]


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("workdir")
  workdir = parser.parse_args().workdir
  print("| sampler | classifier of | real test digits | untranslated | translated |")
  print("|---|---|---|---|---|")
  for sampler in ("a_to_b", "b_to_a"):
    for features in ("target", "both"):
      shares = " | ".join(f"{share:.1%}" for share in accuracies(workdir, sampler, features))
      print(f"| {sampler} | {features} | {shares} |", flush=True)


if __name__ == "__main__":
  main()
