"""Runs in their folders: what is read back, and what is refused."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.checkpoint import Checkpoints, DamagedError
from gan_jax.config import default_config, network, schedule
from gan_jax.experiment import build
from gan_jax.game import init, minibatches
from gan_jax.runs import check_same_run, load, read_config, write_config


@pytest.fixture
def experiment():
  config = default_config()
  config.data = "ring8"
  config.generator = network("mlp_generator", hidden=(8, 4))
  with config.ignore_type():
    config.regularizers.r1 = schedule(
      "linear_schedule", init_value=0.0, end_value=1.0, transition_steps=9
    )
  return build(config)


def test_config_comes_back_and_builds_the_same_game(experiment, tmp_path):
  write_config(experiment, tmp_path)
  config = read_config(tmp_path)
  assert config.regularizers.r1.schedule == "linear_schedule"
  assert tuple(config.generator.hidden) == (8, 4)
  check_same_run(config, tmp_path)
  again = build(config)
  assert again.example == experiment.example
  assert again.game.players.keys() == experiment.game.players.keys()


def test_every_difference_is_shown(experiment, tmp_path):
  write_config(experiment, tmp_path)
  config = read_config(tmp_path)
  config.loss = "hinge"
  config.evaluation.features = "pixels"  # no round depends on it
  config.generator.hidden = (8,)
  with pytest.raises(ValueError) as error:
    check_same_run(config, tmp_path)
  told = str(error.value)
  assert "loss: non_saturating there, hinge here" in told
  assert "generator.hidden: [8, 4] there, [8] here" in told
  assert "seed" not in told and "--allow_config_change" in told
  check_same_run(config, tmp_path, allow=True)
  check_same_run(config, tmp_path / "new")


def test_run_without_a_checkpoint_is_told_from_no_run(experiment, tmp_path):
  with pytest.raises(FileNotFoundError, match="no run in"):
    load(tmp_path)
  write_config(experiment, tmp_path)
  with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
    load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "{}", json.dumps({"config": {}, "example": {}})])
def test_damaged_config_is_named(text, tmp_path):
  (tmp_path / "config.json").write_text(text)
  with pytest.raises(ValueError, match=r"config.json is damaged"):
    read_config(tmp_path)


def test_points_and_images_are_told_apart(experiment):
  assert experiment.example.pixel_range is None
  assert np.prod(experiment.example.shape) == 2


def test_a_run_from_before_a_key_there_is_now_has_its_default(experiment, tmp_path):
  write_config(experiment, tmp_path)
  path = tmp_path / "config.json"
  found = json.loads(path.read_text())
  for key in ("rule", "evaluation"):
    del found["config"][key]
  path.write_text(json.dumps(found))
  config = read_config(tmp_path)
  assert config.rule.to_dict() == default_config().rule.to_dict()
  assert config.loss == experiment.config.loss
  check_same_run(experiment.config, tmp_path)


def test_a_checkpoint_that_is_replaced_while_it_is_read_gives_way_to_the_newer(
  experiment, tmp_path, monkeypatch
):
  """Training saves a better one and deletes the old, after a reader has listed what there is."""
  write_config(experiment, tmp_path)
  example = experiment.example.batch(minibatches(experiment.game), experiment.config.batch_size)
  state = init(experiment.game, jax.random.key(0), example)
  save = lambda best, round: best.save(state.replace(round=jnp.asarray(round, jnp.int32)))
  with Checkpoints(tmp_path / "best", keep=1) as best:
    save(best, 1)
  restore = Checkpoints.restore

  def meanwhile(checkpoints, *arguments):
    monkeypatch.setattr(Checkpoints, "restore", restore)
    with Checkpoints(tmp_path / "best", keep=1) as best:
      save(best, 2)
    return restore(checkpoints, *arguments)

  monkeypatch.setattr(Checkpoints, "restore", meanwhile)
  assert int(load(tmp_path, at="best").state.round) == 2
  shutil.rmtree(tmp_path / "best/2/state")
  with pytest.raises(DamagedError):
    load(tmp_path, at="best")
