"""Runs that have not been trained: a generator needs weights, and not good ones."""

import pathlib
import types
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.game.core import minibatches
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.run.experiment import build
from gan_jax.run.results.run import Run


def untrained(config: ConfigDict, workdir: pathlib.Path | None = None) -> Run:
  """Makes a run of a config whose weights are small and positive, which takes no compiling."""
  experiment = build(config)
  batch = experiment.example.batch(max(1, minibatches(experiment.game)), config.batch_size)
  shapes = jax.eval_shape(lambda: init(experiment.game, make_key(0), batch))
  rng = np.random.default_rng(0)

  def filled(leaf: jax.ShapeDtypeStruct) -> Any:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      return make_key(0)
    high = 0.2 if np.issubdtype(leaf.dtype, np.floating) else 1
    return jax.numpy.asarray(rng.uniform(0, high, leaf.shape).astype(leaf.dtype))

  folder = types.SimpleNamespace(
    config=experiment.config,
    game=experiment.game,
    example=experiment.example,
    sampler=experiment.sampler(),
    experiment=experiment,
    workdir=workdir,
  )
  return Run(folder, jax.tree.map(filled, shapes), "last")
