"""Config files and commands that a page gives make the same runs."""

import pathlib
import runpy

import pytest
from made_runs import made_card, made_run

from gan_jax.run.config import default_config, network, optimizer, schedule
from gan_jax.run.config.stored import config_values
from gan_jax.run.report.records import read_records
from gan_jax.run.report.reproduce import commands, config_file, file_name, report_command

EXPERIMENTS = pathlib.Path(__file__).parents[3] / "experiments"


def unlike():
  """Changes something of every kind that there is."""
  config = default_config()
  config.loss = "it's"
  config.mesh.data = 4
  config.evaluation.metrics = ("prdc",)
  config.data_options.pixel_range = (0.0, 1.0)
  config.generator = network("mlp_generator", hidden=(8, 4))
  decay = schedule("linear_schedule", init_value=1.0, end_value=0.0, transition_steps=9)
  config.optimizers.generator = optimizer("sgd", learning_rate=decay, momentum=0.5)
  with config.ignore_type():
    config.regularizers.r1 = schedule("cosine_decay_schedule", init_value=1.0, decay_steps=5)
  return config


def made_again(config, tmp_path):
  path = tmp_path / "again.py"
  path.write_text(config_file('a """ name', config_values(config)))
  return runpy.run_path(str(path))["get_config"]()


@pytest.mark.parametrize("name", ["mnist_dcgan", "wgan_gp_mnist", "goodfellow2014_mnist", "ring"])
def test_a_config_file_makes_the_same_config(name, tmp_path):
  config = runpy.run_path(str(EXPERIMENTS / f"{name}.py"))["get_config"]()
  latent = {**default_config().latent, **config.latent}  # the file has no need to leave keys out
  expected = {**config_values(config), "latent": latent}
  assert config_values(made_again(config, tmp_path)) == expected


def test_a_config_file_makes_what_differs_in_every_way(tmp_path):
  assert config_values(made_again(unlike(), tmp_path)) == config_values(unlike())
  assert config_values(made_again(default_config(), tmp_path)) == config_values(default_config())


def test_commands_name_seeds_and_draws_and_quote_what_a_shell_would_read(tmp_path):
  folders = [
    made_run(tmp_path / "a b;0"),
    made_run(tmp_path / "a b;1", seed=1, cards=[made_card((1.0,))]),
  ]
  found = read_records(folders)
  first, draws, second = commands(found)
  assert first == f"gan_jax train --config={file_name(found[0].method)} --workdir='{folders[0]}'"
  assert draws.endswith("--draws=2") and second.endswith("--config.seed=1")
  assert report_command(folders, pathlib.Path("x y.html")).endswith("'--out=x y.html'")
  assert file_name("../<x> y") == "x_y.py" and file_name("/") == "config.py"
