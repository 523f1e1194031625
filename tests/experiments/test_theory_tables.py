"""The tables of theory, as a user prints them: shortened, through the command line."""

import json
import pathlib

import commands
import numpy as np
import pytest
from PIL import Image

from experiments import means

ROOT = pathlib.Path(__file__).parents[2]


def run(module, *flags):
  return commands.run(flags, {}, ROOT, f"experiments.{module}")


def test_dirac_table_says_who_converges(tmp_path):
  rows = ["wasserstein", "GAN + R1", "GAN by consensus"]
  named = [f"--row={row}" for row in rows]
  code, told = run("dynamics", f"--out={tmp_path}", "--rounds=300", *named)
  assert code == 0, told
  lines = told.split("\n")
  verdicts = {row: next(x for x in lines if x.startswith(row)).split()[-2:] for row in rows}
  assert verdicts["wasserstein"] == ["no", "no"]
  assert verdicts["GAN + R1"] == verdicts["GAN by consensus"] == ["yes", "yes"]
  assert "3 of the 3 verdicts that the paper gives are found here" in told
  found = json.loads((tmp_path / "dynamics.json").read_text())
  assert set(found) == set(rows)
  for real, imaginary in found["GAN + R1"]["eigenvalues"]:
    assert real == pytest.approx(-0.5, abs=1e-3) and imaginary == pytest.approx(0, abs=1e-2)
  # Approach is at the rate of the slowest eigenvalue: fastest where both are one.
  table = [line.split() for line in told.split("critical weight")[1].split("\n")[2:9]]
  approach = {float(row[0]): float(row[-1]) for row in table}
  assert max(approach, key=approach.get) == 1.0
  assert approach[0.5] == pytest.approx(0.25, abs=0.05)
  with Image.open(tmp_path / "portraits.png") as portraits:
    assert portraits.width > 800


def test_lazy_penalties_are_held_to_eager_ones(tmp_path):
  code, told = run(
    "reproduce.lazy_penalties",
    *(f"--out={tmp_path}", "--rounds=10", "--seeds=2", "--weight=0.1", "--every=1", "--every=4"),
  )
  assert code == 0, told
  assert "weight 0.1, every 4 rounds: loses" in told
  scores = json.loads((tmp_path / "lazy_penalties.json").read_text())["scores"]
  assert set(scores) == {"weight 0.1, every 1", "weight 0.1, every 4"}
  eager, lazy = scores.values()
  assert len(eager["high_quality"]) == len(lazy["high_quality"]) == 2
  assert run("reproduce.lazy_penalties", "--every=4")[0] != 0


def test_a_loss_counts_by_its_standard_errors():
  assert means.lost(np.array([25, 25]), np.array([20, 22])) == (4.0, 1.0, True)
  assert means.lost(np.array([25, 25]), np.array([22, 26])) == (1.0, 2.0, False)
  assert means.lost(np.array([20, 20]), np.array([25, 25]))[0] == -5


def test_data_that_are_not_there_or_not_mnist_are_refused_plainly(tmp_path):
  for name, message in (
    (f"idx:{tmp_path}", "--data: "),
    ("mnist10k", "expected the 60,000 training images of MNIST"),
  ):
    code, told = run("reproduce.goodfellow2014", f"--data={name}", f"--workdir={tmp_path / 'run'}")
    assert code != 0 and message in told
    assert "Traceback" not in told
  assert not (tmp_path / "run").exists()


def test_an_unknown_row_is_refused_with_those_there_are():
  code, told = run("dynamics", "--row=wgan")
  assert code != 0
  assert "value should be one of" in told and "Traceback" not in told
