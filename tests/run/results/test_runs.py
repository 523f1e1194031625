"""Runs in their folders: what is read back, and what is refused."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.game.core import minibatches
from gan_jax.game.play import init
from gan_jax.run.config import default_config, network, replaced, schedule
from gan_jax.run.config.stored import read_config, read_run
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import RunFolder, load
from gan_jax.run.results.run import Run
from gan_jax.run.results.same_run import check_same_run, start_over, write_config
from gan_jax.run.training.saving.checkpoint import Checkpoints, DamagedError


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


def saved(experiment, workdir):
  """Leaves the folder of a run as its first checkpoint does, as far as its config is looked at."""
  write_config(experiment, workdir)
  (workdir / "checkpoints/4").mkdir(parents=True)


def test_config_comes_back_and_builds_the_same_game(experiment, tmp_path):
  write_config(experiment, tmp_path)
  config = read_config(tmp_path)
  assert config.regularizers.r1.schedule == "linear_schedule"
  assert tuple(config.generator.hidden) == (8, 4)
  again = build(config)
  check_same_run(again, tmp_path)
  assert again.example == experiment.example
  assert again.game.players.keys() == experiment.game.players.keys()


def test_every_difference_is_shown(experiment, tmp_path):
  saved(experiment, tmp_path)
  config = read_config(tmp_path)
  config.loss = "hinge"
  config.evaluation.features = "pixels"  # no round depends on it
  config.generator.hidden = (8,)
  other = experiment._replace(config=config)
  with pytest.raises(ValueError) as error:
    check_same_run(other, tmp_path)
  told = str(error.value)
  assert "loss: non_saturating there, hinge here" in told
  assert "generator.hidden: [8, 4] there, [8] here" in told
  assert "seed" not in told and "--allow_config_change" in told
  check_same_run(other, tmp_path, allow=True)
  check_same_run(other, tmp_path / "new")


@pytest.mark.parametrize(
  ("key", "value"),
  [
    ("rounds", 5),
    ("log_every", 5),
    ("keep_every", 5),
    ("num_samples", 4),
    ("rounds_per_call", 3),
    ("mesh.fsdp", 2),
    ("evaluation.real", "train"),
    ("data_options.placement", "stream"),
  ],
)
def test_what_no_number_of_a_round_depends_on_may_change(experiment, tmp_path, key, value):
  saved(experiment, tmp_path)
  changed = experiment._replace(config=replaced(experiment.config, {key: value}))
  check_same_run(changed, tmp_path)


@pytest.mark.parametrize("key", ["seed", "batch_size", "k", "optimizers.generator.learning_rate"])
def test_what_numbers_depend_on_may_not(experiment, tmp_path, key):
  saved(experiment, tmp_path)
  changed = experiment._replace(config=replaced(experiment.config, {key: 7}))
  with pytest.raises(ValueError, match=f"{key}: .* there, 7(.0)? here"):
    check_same_run(changed, tmp_path)


def test_a_start_that_saved_nothing_binds_nobody(experiment, tmp_path):
  write_config(experiment, tmp_path)
  (tmp_path / "checkpoints/4.orbax-checkpoint-tmp").mkdir(parents=True)  # killed while it saved
  (tmp_path / "rollbacks.json").write_text('{"rollbacks": [{"round": 3, "seen": "V is nan"}]}')
  longer = experiment._replace(config=replaced(experiment.config, {"rounds": 5}))
  start_over(longer, tmp_path)  # the same run, which goes on with other noise
  assert (tmp_path / "rollbacks.json").exists()
  other = experiment._replace(config=replaced(experiment.config, {"loss": "hinge"}))
  check_same_run(other, tmp_path)
  start_over(other, tmp_path)
  assert not (tmp_path / "rollbacks.json").exists()


def test_overrides_of_a_config_that_was_read_may_be_what_they_may_be_at_first(experiment, tmp_path):
  write_config(experiment, tmp_path)
  path = tmp_path / "config.json"
  found = json.loads(path.read_text())
  del found["config"]["data_options"]["flip"], found["config"]["latent"]["bound"]
  path.write_text(json.dumps(found))
  config = read_config(tmp_path)
  assert config.data_options.flip is False and config.latent.bound == 2.0
  assert config.generator.hidden == (8, 4) and config.evaluation.metrics == ("auto",)
  falling = schedule("linear_schedule", init_value=1.0, end_value=0.0, transition_steps=9)
  config.optimizers.generator.learning_rate = falling
  config.regularizers.r1 = 0.5
  with pytest.raises(TypeError):
    config.rounds = "many"
  with pytest.raises(AttributeError):
    config.lss = "hinge"


# --- data that have moved -------------------------------------------------------------------------


def digits(path, n=40, seed=0):
  """Builds an experiment on the n images of a file."""
  pixels = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), np.uint8)
  np.savez(path, x=pixels)
  config = default_config()
  config.data, config.batch_size = f"npz:{path}", 8
  config.generator = network("mlp_generator", hidden=(8,))
  config.generator.output = "tanh"
  return build(config)


def test_data_may_move_and_must_be_the_same(tmp_path):
  saved(digits(tmp_path / "a.npz"), tmp_path)
  check_same_run(digits(tmp_path / "b.npz"), tmp_path)
  with pytest.raises(
    ValueError, match=r"on other data:\n  data.train.crc32: .*\n  --config.data: npz:.*a.npz"
  ):
    check_same_run(digits(tmp_path / "b.npz", seed=1), tmp_path)
  with pytest.raises(ValueError, match=r"data.train.examples: 40 there, 41 here"):
    check_same_run(digits(tmp_path / "a.npz", n=41), tmp_path)


def test_a_run_from_before_it_knew_its_data_says_so(tmp_path):
  saved(digits(tmp_path / "a.npz"), tmp_path)
  found = json.loads((tmp_path / "config.json").read_text())
  del found["data"]
  (tmp_path / "config.json").write_text(json.dumps(found))
  check_same_run(digits(tmp_path / "a.npz", seed=1), tmp_path)
  with pytest.raises(ValueError, match="before runs kept a checksum of their data"):
    check_same_run(digits(tmp_path / "b.npz"), tmp_path)


def test_scores_take_data_that_have_moved_and_no_others(tmp_path):
  saved(digits(tmp_path / "a.npz"), tmp_path)
  digits(tmp_path / "b.npz")
  (tmp_path / "a.npz").unlink()
  with pytest.raises(FileNotFoundError, match="say where they are now: --config.data="):
    _ = RunFolder(tmp_path).experiment
  moved = {"data": f"npz:{tmp_path / 'b.npz'}"}
  assert RunFolder(tmp_path, moved).experiment.batches.source.size == 40
  digits(tmp_path / "b.npz", seed=1)
  with pytest.raises(ValueError, match="trained on other data"):
    _ = RunFolder(tmp_path, moved).experiment


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
  (tmp_path / "checkpoints/4").mkdir(parents=True)
  check_same_run(experiment, tmp_path)


def test_a_run_from_before_shares_and_names_of_classes_goes_on(experiment, tmp_path):
  write_config(experiment, tmp_path)
  path = tmp_path / "config.json"
  found = json.loads(path.read_text())
  del found["config"]["data_options"]["hold_out"], found["example"]["class_names"]
  path.write_text(json.dumps(found))
  (tmp_path / "checkpoints/4").mkdir(parents=True)
  check_same_run(experiment, tmp_path)
  assert read_run(tmp_path)[1] == experiment.example


def test_samples_are_of_the_classes_asked_for_and_labelled_as_the_data(tmp_path):
  x = np.random.default_rng(0).normal(size=(64, 2))
  np.savez(tmp_path / "d.npz", x=x, y=[3, 1] * 32)
  config = default_config()
  config.data, config.conditional = f"npz:{tmp_path}/d.npz", True
  for player in ("generator", "discriminator"):
    config[player] = network(f"mlp_{player}", hidden=(8,))
  experiment = build(config)
  write_config(experiment, tmp_path)
  example = read_run(tmp_path)[1]
  assert example == experiment.example and example.classes == ("1", "3")
  batch = example.batch(minibatches(experiment.game), 64)
  run = Run(RunFolder(tmp_path), init(experiment.game, jax.random.key(0), batch), "last")
  for asked, labels in (((), [1] * 4 + [3] * 4), (("3",), [3] * 8)):
    run.save_samples(8, npz=str(tmp_path / "s.npz"), classes=asked)
    with np.load(tmp_path / "s.npz") as written:
      assert written["y"].tolist() == labels and list(written) == ["x", "y"]
      places = np.searchsorted([1, 3], labels)
      np.testing.assert_array_equal(written["x"], run.sample(8, labels=places))
  with pytest.raises(ValueError, match="there is no class '2': expected some of classes 1, 3"):
    run.save_samples(8, npz=str(tmp_path / "s.npz"), classes=("2",))


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


def test_labels_are_names_or_places_of_classes(tmp_path):
  rng = np.random.default_rng(0)
  x = rng.integers(0, 256, (24, 8, 8), np.uint8)
  np.savez(tmp_path / "data.npz", x=x, y=np.array([1, 10, 2] * 8))
  config = default_config()
  config.data, config.conditional, config.batch_size = f"npz:{tmp_path}/data.npz", True, 8
  config.generator = network("mlp_generator", hidden=(4,))
  config.discriminator = network("mlp_discriminator", hidden=(4,))
  made = build(config)
  write_config(made, tmp_path)
  state = init(made.game, jax.random.key(0), made.batches.spec(2))
  run = Run(RunFolder(tmp_path), state, "last")
  by_name = run.sample(3, labels=["1", "2", "10"])
  np.testing.assert_array_equal(by_name, run.sample(3, labels=np.arange(3)))  # sorted as numbers
  for wrong in ([7, 8, 9], [-1, 0, 1], [0.5, 0.5, 0.5], [0, 1], ["3", "1", "2"]):
    with pytest.raises(ValueError, match="expected"):
      run.sample(3, labels=wrong)
