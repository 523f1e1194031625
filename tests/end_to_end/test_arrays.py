"""Arrays that are no RGB squares, from a file to scores, by the commands that a user types."""

import json
import pathlib
import signal
from typing import NamedTuple

import commands
import numpy as np
import pytest
from patience import until
from PIL import Image

from experiments.bench import kills

ROOT = pathlib.Path(__file__).parents[2]
TINY = """
  batch_size=8 rounds_per_call=2 log_every=2 sample_every=2 checkpoint_every=2 evaluate_every=0
  num_samples=4 num_fake=24 latent.dim=4 generator.width=2 discriminator.width=2 regularizers.r1=0.0
  generator.dtype=float32 discriminator.dtype=float32
"""


class Case(NamedTuple):
  """A kind of array.

  Attributes:
    x: examples.
    options: options of its data.
    tile: width, height and mode of a tile of a picture.
    shown: part of the line on what pictures show; "" if they show all.
    evaluator: name of what scores it.
  """

  x: np.ndarray
  options: tuple[str, ...]
  tile: tuple[int, int, str]
  shown: str
  evaluator: str


def waves(*sides: int) -> np.ndarray:
  """Returns 24 plane waves of random direction and phase, from 0 to 1: [24, *sides]."""
  rng = np.random.default_rng(0)
  places = np.stack(np.meshgrid(*(np.arange(side) / side for side in sides), indexing="ij"), -1)
  angle = 2 * np.pi * (places @ rng.uniform(1, 3, (len(sides), 24)) + rng.uniform(size=24))
  return np.moveaxis((1 + np.sin(angle)) / 2, -1, 0)


AXES = "--config.data_options.axes="
CASES = {
  "tiles": Case(
    (1000 * np.stack([i + waves(32, 32) for i in range(5)], -1)).astype(np.uint16),
    (f"{AXES}NHWC",),
    (32, 32, "RGB"),
    "pictures show the first 3 of 5 channels of uint16",
    "images",
  ),
  "wide": Case(
    (255 * np.stack([waves(48, 96) ** i for i in (1, 2, 3)], -1)).astype(np.uint8),
    (),
    (96, 48, "RGB"),
    "",
    "images",
  ),
  "volumes": Case(
    (4000 * waves(16, 16, 16)).astype(np.uint16),
    (f"{AXES}NDHW",),
    (16, 16, "L"),
    "pictures show slice 8 of 16, all of 1 channels of uint16",
    "volumes",
  ),
  "series": Case(
    np.stack([waves(64), -waves(64)], 1).astype(np.float32),
    (f"{AXES}NCT", "--config.data_options.value_range=(-1.0,1.0)"),
    (96, 48, "RGB"),
    "pictures show traces of all of 2 channels of float32",
    "series",
  ),
}


def train(folder, name, workdir, rounds):
  np.save(folder / "x.npy", CASES[name].x)
  return [
    *("train", f"--config={ROOT}/experiments/mnist_dcgan.py", f"--workdir={workdir}"),
    *(f"--config.data=npy:{folder}/x.npy", *CASES[name].options, f"--config.rounds={rounds}"),
    *(f"--config.{value}" for value in TINY.split()),
  ]


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_is_killed_resumed_sampled_and_scored(gan_jax, cache, tmp_path, name):
  whole, killed, told = tmp_path / "whole", tmp_path / "killed", tmp_path / "told"
  told.touch()
  endless = train(tmp_path, name, killed, 10**6)
  process = commands.start(endless, {"GAN_JAX_CACHE": str(cache)}, ROOT, told)
  until(lambda: len(kills.complete(killed)) > 1 or not process.is_alive(), told.read_text)
  process.kill()
  process.join()
  assert process.exitcode == -signal.SIGKILL, told.read_text()
  rounds = max(kills.complete(killed)) + 4
  gan_jax("train", f"--workdir={killed}", f"--config.rounds={rounds}")
  log = gan_jax(*train(tmp_path, name, whole, rounds))
  assert kills.rows(whole) == kills.rows(killed)
  assert kills.pictures(whole) == kills.pictures(killed)
  last = f"checkpoints/{rounds}/"
  bits = [{k: v for k, v in kills.bits(w).items() if k.startswith(last)} for w in (whole, killed)]
  assert bits[0] == bits[1] and bits[0]
  check_run(gan_jax, name, killed, log)


def check_run(gan_jax, name, run, log):
  x, _, (width, height, mode), shown, evaluator = CASES[name]
  assert shown in log and ("pictures show" in log) == bool(shown)
  out = {suffix: run / f"samples.{suffix}" for suffix in ("png", "npz")}
  gan_jax("sample", run, "--num=4", f"--out={out['png']}", f"--npz={out['npz']}")
  samples, shape = np.load(out["npz"])["x"], (*x.shape[1:], 1)
  shape = {"volumes": shape, "series": (64, 2)}.get(name, x.shape[1:])
  assert samples.shape == (4, *shape) and samples.dtype == x.dtype
  low, high = {"wide": (0, 255), "series": (-1, 1)}.get(name, (x.min(), x.max()))
  assert low <= samples.min() and samples.max() <= high
  with Image.open(out["png"]) as picture:
    assert picture.size == (2 * width + 1, 2 * height + 1) and picture.mode == mode
    assert shown in picture.info.get("Description", "")

  # Training has scored its Fréchet distance, which for as many pixels takes half a minute.
  scored = gan_jax("evaluate", run, "--features=pixels", "--metrics=rbf_mmd,prdc")
  (line,) = (line for line in scored.splitlines() if line.startswith("rbf_mmd"))
  assert "recall" in line and "nan" not in line
  cards = [json.loads(path.read_text()) for path in (run / "cards").iterdir()]
  assert {card["made"]["evaluator"] for card in cards} == {evaluator}
