"""Images other than uint8, from their file to samples, scores and pictures of a run."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import UINT8, Scale, take
from gan_jax.run.config import default_config, network
from gan_jax.run.config.stored import deciding, read_run
from gan_jax.run.evaluation.draws import with_neighbours
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.evaluation.evaluators.suited import suited
from gan_jax.run.evaluation.scoring import score
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import load
from gan_jax.run.results.same_run import write_config
from gan_jax.run.training.train import fit

PIXELS = np.random.default_rng(0).integers(100, 4000, (40, 6, 5, 4), np.uint16)
PIXELS[0, 0, 0, :2] = 100, 3999


def tiny(tmp_path, **options):
  np.save(tmp_path / "a.npy", PIXELS)
  config = default_config()
  config.update({"batch_size": 8, "rounds": 4, "rounds_per_call": 2, "num_fake": 20})
  config.update({"log_every": 2, "sample_every": 2, "checkpoint_every": 2, "num_samples": 4})
  config.latent.dim = 4
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.data = f"npy:{tmp_path}/a.npy"
  config.data_options.update({"axes": "NHWC", "value_range": (0.0, 4095.0), **options})
  config.evaluation.metrics = ("sliced_wasserstein",)
  return config


def test_a_run_of_16_bits_and_4_channels(tmp_path):
  workdir = tmp_path / "run"
  fit(build(tiny(tmp_path)), workdir)
  run = load(workdir)
  x = run.sample(9)
  assert x.dtype == np.uint16 and x.shape == (9, 6, 5, 4)
  paths = run.save_samples(4, png=str(tmp_path / "a.png"), npz=str(tmp_path / "a.npz"))
  with Image.open(paths[0]) as picture:
    assert picture.mode == "RGB"
  assert (np.load(paths[1])["x"] == run.sample(4)).all()
  with pytest.raises(ValueError, match=r"pictures show the first 3 of 4 channels.*--npz=FILE"):
    run.save_samples(4, folder=str(tmp_path / "images"))
  (scores,) = score(run)
  assert scores and np.isfinite([*scores.values()]).all()
  neighbours = with_neighbours(run, 2, 3).reshape(2, 4, 6, 5, 4)
  assert all((image == PIXELS).all(axis=(1, 2, 3)).any() for image in neighbours[0, 1:])


def test_the_range_is_kept_with_the_run(tmp_path):
  experiment = build(tiny(tmp_path))
  write_config(experiment, tmp_path)
  assert read_run(tmp_path)[1] == experiment.example
  assert experiment.example.scale == Scale("uint16", 0, 4095)
  batch = next(experiment.batches.iterate())["x"]
  values = np.asarray(batch) * 4095 / 2 + 4095 / 2
  assert abs(values - np.rint(values)).max() < 0.01 and values.min() >= 99.9  # of 12 bits


def test_runs_of_uint8_are_written_as_before(tmp_path):
  np.savez(tmp_path / "a.npz", x=np.arange(8 * 16, dtype=np.uint8).reshape(8, 4, 4, 1))
  config = tiny(tmp_path, axes="", value_range=(0.0, 0.0))
  config.data = f"npz:{tmp_path}/a.npz"
  experiment = build(config)
  assert experiment.example.scale == UINT8
  write_config(experiment, tmp_path)
  assert "scale" not in json.loads((tmp_path / "config.json").read_text())["example"]
  later = {"data_options.label", "data_options.axes", "data_options.value_range"}
  assert not later & deciding(experiment.config).keys()
  assert later & deciding(build(tiny(tmp_path)).config).keys()


def test_the_held_out_part_is_compared_in_the_range_of_the_training_part(tmp_path):
  experiment = build(tiny(tmp_path, hold_out=0.5))
  source, test = experiment.batches.source, experiment.held_out
  other = test._replace(scale=Scale("uint16", 100, 3000))  # as another file would be measured
  draw = lambda n, seed: {"x": take(source, n, seed)["x"]}
  cards = [evaluator_for(source, part, num_fake=10)(draw, None) for part in (test, other)]
  assert cards[0] == cards[1]
  how = suited(source, test)
  assert not how.features.needs_labels and any("random projection" in note for note in how.notes)
