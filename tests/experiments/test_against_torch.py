"""The bench of training steps: what both sides play, and its command."""

import importlib.util
import subprocess
import sys

import jax
import pytest

from experiments.bench.against_torch.__main__ import HEAD
from experiments.bench.against_torch.rows import ROWS, FullWidthGenerator, config_of
from gan_jax.game.core import minibatches
from gan_jax.game.play import init
from gan_jax.nets import NETWORKS
from gan_jax.run.config.stored import config_values
from gan_jax.run.experiment import build

COMMAND = [sys.executable, "-m", "experiments.bench.against_torch"]
need_torch = pytest.mark.skipif(
  importlib.util.find_spec("torch") is None, reason="pip install gan_jax[bench]"
)


@pytest.fixture(autouse=True)
def full_width(monkeypatch):
  """Has the network that a row registers gone after a test."""
  monkeypatch.setitem(NETWORKS, "full_width_generator", FullWidthGenerator)


def gan_jax_sizes(row: str) -> dict[str, int]:
  """Counts the parameters of each network of gan_jax."""
  experiment = build(config_of(row, "bfloat16"))
  batch = experiment.batches.spec(minibatches(experiment.game))
  state = jax.eval_shape(lambda: init(experiment.game, jax.random.key(0), batch))
  return {name: sum(x.size for x in jax.tree.leaves(net)) for name, net in state.params.items()}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_two_networks(row: str):
  assert gan_jax_sizes(row).keys() == {"generator", "discriminator"}


@need_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", ROWS)
def test_networks_of_torch_have_as_many_parameters(row: str):
  from experiments.bench.against_torch.torch_side import make_step

  networks = make_step(config_values(config_of(row, "float32")), "tuned")[1]
  sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()}
  assert sizes == gan_jax_sizes(row)


@need_torch
@pytest.mark.slow
def test_a_small_table():
  small = ["--rows=ring", "--dtypes=float32", "--windows=1", "--seconds=0.01"]
  lines = subprocess.check_output([*COMMAND, *small], text=True).splitlines()
  assert lines[0] == f"|{HEAD}|" and lines[2].startswith("| ring | float32 | tuned |")
  assert lines[2].count("|") == lines[0].count("|") and any("torch 2" in x for x in lines)


@pytest.mark.parametrize("python", ["no/such/python", "false"])
def test_without_torch_one_line_says_how_to_get_it(python: str):
  done = subprocess.run([*COMMAND, f"--torch={python}"], capture_output=True, text=True)
  assert done.returncode == 1 and not done.stdout
  (line,) = done.stderr.splitlines()
  assert line.startswith(f"{python} has no torch") and "--torch=" in line
