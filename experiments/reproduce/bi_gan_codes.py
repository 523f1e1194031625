"""How well codes keep the class of a digit: 1-nearest neighbours, of BiGAN's table 1.

    launch/run train --config=experiments/mnist_bi_gan.py --workdir=runs/bi_gan
    .venv/bin/python -m experiments.reproduce.bi_gan_codes runs/bi_gan

Each test digit is given the label of the training digit that is nearest in Euclidean distance: of
pixels, of codes, and of codes of the encoder before it has learned anything.
"""

import argparse

import jax
import numpy as np

import gan_jax as gj
from gan_jax.game.core import minibatches
from gan_jax.game.forward import sample_network
from gan_jax.game.play import init, networks
from gan_jax.metrics import nearest_neighbours
from gan_jax.run.config.sections.networks import build_network
from gan_jax.run.evaluation.sampling import scaled

BATCH = 500


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("workdir")
  run = gj.load(parser.parse_args().workdir)
  experiment, dim = run.experiment, run.config.latent.dim
  train, test = gj.data.take(experiment.batches.source), gj.data.take(experiment.held_out)
  x = [scaled(split["x"], experiment.example) for split in (train, test)]
  net = build_network(run.config.encoder, features=dim)

  def codes(state, x):
    params, carried = networks(state)
    encode = jax.jit(lambda x: sample_network(net, "encoder", params, carried, x))
    return np.concatenate([encode(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])

  started = init(run.game, run.state.key, experiment.example.batch(minibatches(run.game), BATCH))
  print("| distance in | test digits whose nearest training digit has their label |\n|---|---|")
  for name, (reference, queries) in {
    "pixels": [part.reshape(len(part), -1) for part in x],
    "codes": [codes(run.state, part) for part in x],
    "codes of a random encoder": [codes(started, part) for part in x],
  }.items():
    places = nearest_neighbours(reference, queries, k=1).indices[:, 0]
    print(f"| {name} | {np.mean(train['y'][places] == test['y']):.1%} |", flush=True)


if __name__ == "__main__":
  main()
