"""The loop's parts; what it does as a whole is in test_app.py."""

import functools
import gc
import itertools
import json
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from unittest import mock

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from patience import HANG
from tensorboardX.event_file_writer import EventFileWriter

from gan_jax import data, parallel, plots
from gan_jax.game.core import minibatches
from gan_jax.game.play import init, play_round
from gan_jax.parallel import sharding
from gan_jax.parallel.mesh import make_mesh
from gan_jax.run.config import default_config, network, optimizer, schedule
from gan_jax.run.config.stored import read_config
from gan_jax.run.evaluation.cards.files import read_card
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import load
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training import train
from gan_jax.run.training.hooks import next_stop
from gan_jax.run.training.interruption import Interrupted
from gan_jax.run.training.log import diagnostics, history
from gan_jax.run.training.log.logger import Logger
from gan_jax.run.training.log.metrics_buffer import MetricsBuffer, NotFiniteError
from gan_jax.run.training.rounds import jit_rounds, make_dispatch
from gan_jax.run.training.saving.checkpoint import Checkpoints
from gan_jax.run.training.saving.lock import BusyError, hold, is_live
from gan_jax.run.training.train import fit


def tiny(**changes):
  config = default_config()
  config.data = "ring8"
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.batch_size = 16
  config.update_from_flattened_dict(changes)
  return config


def test_a_dispatch_ends_where_something_is_due():
  stops = [0]
  while stops[-1] < 100:
    stops.append(next_stop(stops[-1], 8, 100, 10, 0, 25))
  assert {10, 20, 25, 30, 40, 50, 75, 100} <= set(stops)
  assert all(0 < b - a <= 8 for a, b in itertools.pairwise(stops))


@pytest.mark.parametrize("k", [1, 2])
def test_rounds_of_one_dispatch_are_those_of_the_bare_step(k):
  """On eight devices, several rounds a call, against play_round on one device and one batch."""
  experiment = build(tiny(k=k))
  game, batches = experiment.game, experiment.batches
  n = minibatches(game)
  make = lambda: init(game, jax.random.key(0), experiment.example.batch(n, 16))
  mesh = make_mesh(16)
  assert mesh.size == 8
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  got, history = make_dispatch(game, batches, mesh)(jax.device_put(make(), everywhere), 4)
  state, step = make(), jax.jit(functools.partial(play_round, game))
  for t in range(4):
    at = [batches.at(batches.arrays, t * n + i) for i in range(n)]
    state, metrics = step(state, jax.tree.map(lambda *x: jnp.stack(x), *at))
    np.testing.assert_allclose(history["V"][t], metrics["V"], rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), got.params, state.params
  )


def test_streamed_rounds_are_those_of_resident_data():
  source = data.load("mnist10k")
  config = tiny(data="mnist10k")
  config.data_options.pixel_range = (0.0, 1.0)
  config.generator = network("goodfellow_generator", hidden=(8,))
  config.discriminator = network("goodfellow_discriminator", hidden=(4,))
  game = build(config).game
  found = []
  for resident in (True, False):
    batches = data.Batches(source, 16, 0, flip=True, resident=resident)
    spec = {"x": jax.ShapeDtypeStruct((1, 16, 28, 28, 1), jnp.float32)}
    state = init(game, jax.random.key(0), spec)
    play = make_dispatch(game, batches, make_mesh(16))
    for _ in range(2):
      state, _ = play(state, 2)
    found.append(state.params)
  assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), *found))


@pytest.mark.parametrize(
  ("sizes", "message"),
  [
    ({"data": 3}, "data = 3 by fsdp = 1, and there are 8 devices: expected sizes whose product"),
    ({"fsdp": 3}, "data = -1 by fsdp = 3, and there are 8 devices"),
    ({"data": 4, "fsdp": 4}, "there are 8 devices"),
    ({"data": -1, "fsdp": -1}, "of which one may be -1"),
    ({"data": 0}, "data = 0 by fsdp = 1: expected numbers of devices"),
  ],
)
def test_meshes_that_do_not_fit_are_refused(sizes, message):
  with pytest.raises(ValueError, match=message):
    make_mesh(24, **sizes)


def test_a_mesh_has_all_devices_and_the_batch_is_split_over_both_axes():
  assert dict(make_mesh(24).shape) == {"data": 8, "fsdp": 1}
  mesh = make_mesh(24, fsdp=-1, data=2)
  assert dict(mesh.shape) == {"data": 2, "fsdp": 4}
  parts = parallel.split(np.arange(24.0), mesh).addressable_shards
  assert [list(p.data) for p in parts] == [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(8)]
  with pytest.raises(ValueError, match="batch_size = 12 cannot be split over 8 devices"):
    make_mesh(12)


def test_what_is_large_is_split_along_its_longest_axis_and_stays_there(monkeypatch):
  monkeypatch.setattr(sharding, "SMALL", 64)
  experiment, mesh = build(tiny()), make_mesh(16, fsdp=4)
  rounds = jit_rounds(experiment.game, experiment.batches, mesh)
  kernel = lambda state: state.params["generator"]["Dense_0"]["kernel"]  # [64, 8]
  spec = jax.sharding.PartitionSpec
  for part in (rounds.like.opt["generator"][0][0].mu, rounds.like.ema["generator"].params):
    found = part.get("generator", part)["Dense_0"]
    assert found["kernel"].sharding.spec == spec("fsdp") and found["bias"].sharding.spec == spec()
  start = lambda: init(experiment.game, jax.random.key(0), experiment.batches.spec(1))
  places = jax.tree.map(lambda x: x.sharding, rounds.like)
  state = jax.jit(start, out_shardings=places)()
  same = jax.tree.map(lambda a, b: bool((a == b).all()), state.params, start().params)
  assert jax.tree.all(same)  # it starts the same, to the bit
  for _ in range(2):
    state, _metrics = rounds.play(state, rounds.table, None, 1)
    assert jax.tree.all(jax.tree.map(lambda x, y: x.sharding == y, state, places))
  assert kernel(state).addressable_shards[0].data.shape == (16, 8)
  assert rounds.play._cache_size() == 1
  whole = parallel.local(state, mesh)
  assert kernel(whole).is_fully_replicated


@pytest.mark.usefixtures("one_program")
def test_what_fails_beside_training_loses_no_rounds(tmp_path):
  def score(sample, walk):
    raise MemoryError("no room for the samples")

  judge = Evaluator("full", {"a": "max"}, ("a",), {}, score)
  experiment = build(tiny(rounds=6, log_every=4, sample_every=0, checkpoint_every=0, num_samples=8))
  with pytest.raises(MemoryError, match="no room"):
    fit(experiment._replace(evaluator=lambda: judge), tmp_path)
  assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["6"]
  summary = fit(experiment, tmp_path)  # and what failed is done when the run is started again
  assert summary["rounds"] == 6 and summary["scores"]["modes"]["best_round"] == 6
  assert (tmp_path / "samples/00000006.png").is_file()
  (tmp_path / "summary.json").unlink()
  again = fit(experiment, tmp_path)
  assert again["scores"] == summary["scores"] and again["card"] == summary["card"]


def test_rounds_that_are_not_finite_are_not_saved(tmp_path):
  config = tiny(rounds=4, loss="maximum_likelihood", checkpoint_every=2)
  config.optimizers.generator.learning_rate = 1e30
  with pytest.raises(NotFiniteError):
    fit(build(config), tmp_path)
  assert not (tmp_path / "checkpoints").exists()


def test_watch_is_one_dispatch_late():
  buffer = MetricsBuffer()
  assert buffer.latest() == {}
  buffer.add(0, {"V": jnp.array([1.0, 2.0])})
  assert buffer.latest() == {"V": 2.0}
  buffer.add(2, {"V": jnp.array([jnp.nan])})  # not looked at yet
  with pytest.raises(NotFiniteError, match="V is nan in round 3"):
    buffer.add(3, {"V": jnp.array([0.0])})


def test_a_row_is_the_mean_over_the_rounds_since_the_row_before():
  """Whatever the dispatches: sums are made one round after the other, in float64."""
  values = np.random.default_rng(0).lognormal(0, 5, 40).astype(np.float32)
  rows = []
  for cuts in ([40], [1, 9, 30], [20, 20]):
    buffer, first = MetricsBuffer(), 0
    for length in cuts:
      buffer.add(first, {"V": jnp.asarray(values[first : first + length])})
      first += length
    rows.append(buffer.summary())
  assert rows[0] == rows[1] == rows[2]
  assert rows[0]["V"] == pytest.approx(np.mean(values, dtype=np.float64), rel=1e-12)
  buffer.reset()
  buffer.add(40, {"V": jnp.array([2.0, 4.0])})
  notes = buffer.finite_check()({".round": np.array(42)})
  assert buffer.summary()["V"] == 3
  later = MetricsBuffer(notes=json.loads(json.dumps(notes)))
  later.add(42, {"V": jnp.array([9.0])})
  assert later.summary()["V"] == 5


def test_watch_names_the_term_before_what_it_spoils():
  bad = jnp.array([1.0, jnp.inf])
  buffer = MetricsBuffer()
  buffer.add(
    10,
    {
      "D_fake": bad,
      "discriminator/gradient_norm": bad,
      "discriminator/loss": bad,
      "discriminator/r1": bad,
      "generator/adversarial": jnp.array([1.0, 1.0]),
    },
  )
  with pytest.raises(NotFiniteError, match="discriminator/r1 is inf in round 12"):
    buffer.latest()


# --- the best checkpoint --------------------------------------------------------------------------


def scored(experiment, *found):
  """Lets an experiment be scored by these numbers, one after the other."""
  given = iter(found)
  judge = Evaluator("given", {"a": "max"}, ("a",), {}, lambda sample, walk: {"a": next(given)})
  return experiment._replace(evaluator=lambda: judge)


def kept(workdir):
  return sorted(int(p.name) for p in (workdir / "best").iterdir())


@pytest.mark.usefixtures("one_program")
def test_the_best_checkpoint_is_kept_and_has_a_card(tmp_path):
  experiment = build(tiny(rounds=8, evaluate_every=2, checkpoint_every=2, sample_every=0))
  fit(scored(experiment, 1.0, 3.0, 3.0, math.nan), tmp_path)
  assert kept(tmp_path) == [4]  # the first of two that are as good
  best, last = load(tmp_path, at="best"), load(tmp_path)
  assert int(best.state.round) == 4 and int(last.state.round) == 8
  cards = [read_card(path) for path in sorted((tmp_path / "cards").iterdir())]
  assert [(c.protocol["checkpoint"], c.run["round"]) for c in cards] == [("best", 4), ("last", 8)]
  assert cards[0].scores == {"a": [3.0]}
  assert cards[0].protocol["chosen_by"] == "a, 2000 fakes every 2 rounds"


@pytest.mark.usefixtures("one_program")
def test_a_best_checkpoint_that_is_played_again_is_found_again(tmp_path):
  config = tiny(rounds=4, evaluate_every=2, checkpoint_every=4, sample_every=0)
  fit(scored(build(config), 2.0, 1.0), tmp_path)
  config.rounds = 8
  fit(scored(build(config), 3.0, 1.0), tmp_path)
  assert kept(tmp_path) == [6]
  shutil.rmtree(tmp_path / "checkpoints/8")  # as if it had been killed before it was saved
  fit(scored(build(config), 1.5, 2.5), tmp_path)
  assert kept(tmp_path) == [8]


@pytest.mark.usefixtures("one_program")
def test_one_evaluation_alone_keeps_no_best_checkpoint(tmp_path):
  fit(scored(build(tiny(rounds=2, sample_every=0)), 1.0), tmp_path)
  assert not (tmp_path / "best").exists() and len(list((tmp_path / "cards").iterdir())) == 1
  with pytest.raises(FileNotFoundError, match=r"no best checkpoint: .* config.evaluate_every > 0"):
    load(tmp_path, at="best")


@pytest.mark.usefixtures("one_program")
def test_an_evaluator_that_cannot_be_made_is_known_before_a_file_is_written(tmp_path):
  def evaluator():
    raise ValueError("no weights")

  experiment = build(tiny(rounds=2, sample_every=0))
  with pytest.raises(ValueError, match="no weights"):
    fit(experiment._replace(evaluator=evaluator), tmp_path / "run")
  assert not list(tmp_path.iterdir())
  fit(scored(experiment, 1.0), tmp_path / "run")
  before = (tmp_path / "run/config.json").read_bytes()
  other = build(tiny(rounds=4, sample_every=0, num_fake=9))
  with pytest.raises(ValueError, match="no weights"):
    fit(other._replace(evaluator=evaluator), tmp_path / "run")
  assert (tmp_path / "run/config.json").read_bytes() == before


@pytest.mark.usefixtures("one_program")
def test_scores_of_another_evaluation_are_not_taken_for_the_best(tmp_path):
  config = tiny(rounds=4, evaluate_every=2, checkpoint_every=2, sample_every=0)
  fit(scored(build(config), 90.0, 80.0), tmp_path)
  config.rounds = 8
  judge = Evaluator(
    "other", {"a": "max"}, ("a",), {"of": "something else"}, lambda sample, walk: {"a": 1}
  )
  fit(build(config)._replace(evaluator=lambda: judge), tmp_path)
  assert kept(tmp_path) == [6]
  found = [read_card(path) for path in (tmp_path / "cards").iterdir()]
  assert {(c.protocol.get("of"), c.scores["a"][0], c.run["round"]) for c in found} == {
    (None, 90, 2),
    (None, 80, 4),
    ("something else", 1, 6),
    ("something else", 1, 8),
  }


@pytest.mark.usefixtures("one_program")
def test_rows_from_before_they_said_how_they_were_scored_count(tmp_path):
  config = tiny(rounds=4, evaluate_every=2, checkpoint_every=2, sample_every=0)
  fit(scored(build(config), 3.0, 1.0), tmp_path)
  path = tmp_path / "metrics.jsonl"
  rows = [json.loads(line) for line in path.read_text().splitlines()]
  path.write_text("".join(json.dumps(row) + "\n" for row in rows if row.pop("evaluation")))
  (tmp_path / "summary.json").unlink()
  summary = fit(scored(build(config)), tmp_path)
  assert summary["scores"] == {"a": {"last": 1.0, "best": 3.0, "best_round": 2}}


# --- compiling ------------------------------------------------------------------------------------


def test_a_run_that_is_stopped_while_it_compiles_keeps_its_rounds(tmp_path, monkeypatch, capsys):
  """The second program, of two rounds, takes for ever; the four rounds of the first are saved."""
  lowering, stop = [], threading.Event()
  compile = jax.stages.Lowered.compile

  def slow(lowered):
    lowering.append(threading.current_thread())
    if len(lowering) == 2:
      os.kill(os.getpid(), signal.SIGTERM)
      stop.wait()
      raise TimeoutError
    return compile(lowered)

  monkeypatch.setattr(jax.stages.Lowered, "compile", slow)
  config = tiny(rounds=6, rounds_per_call=4, log_every=0, sample_every=0, checkpoint_every=0)
  with pytest.raises(Interrupted):
    fit(scored(build(config), 1.0), tmp_path)
  stop.set()
  lowering[-1].join()  # nothing may go on when the interpreter ends
  assert threading.main_thread() not in lowering and rounds_saved(tmp_path) == [4]
  told = capsys.readouterr().err
  assert "compiling 4 rounds in one program ...\ncompiled in " in told
  assert told.endswith("compiling 2 rounds in one program ...\n")


def test_no_pace_counts_compiling(tmp_path, monkeypatch, capsys):
  """By a clock that goes on when it is told to."""
  now = [0.0]
  monkeypatch.setattr(time, "monotonic", lambda: now[0])
  with Logger(scored(build(tiny(rounds=8))), tmp_path, 0, make_mesh(16)) as logger:
    with logger.compiling(4):
      now[0] += 3600.0
    now[0] += 2.0
    logger.log(4, types.SimpleNamespace(images=64), {})
  (row,) = read_rows(tmp_path)
  assert row["rounds_per_second"] == 2.0 and row["seconds"] == 3602.0
  assert "compiled in 3600.0 s\nround 4/8  2.0 rounds/s, ETA 0:02" in capsys.readouterr().err


# --- optimizers -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_program")
def test_what_one_optimizer_remembers_is_not_read_as_anothers(tmp_path):
  """Their states have the same names."""
  config = tiny(rounds=2, sample_every=0)
  fit(scored(build(config), 1.0), tmp_path)
  config.rounds = 4
  config.optimizers.generator = optimizer("adabelief")
  with pytest.raises(ValueError, match="holds what 'adam' remembers of the generator, and config"):
    fit(scored(build(config), 1.0), tmp_path, allow_config_change=True)
  assert read_config(tmp_path).optimizers.generator.name == "adam"
  falling = schedule("linear_schedule", init_value=1e-3, end_value=0.0, transition_steps=9)
  config.optimizers.generator = optimizer("adam", falling)
  summary = fit(scored(build(config), 1.0), tmp_path, allow_config_change=True)
  assert summary["rounds"] == 4


# --- what stops a run -----------------------------------------------------------------------------


@pytest.mark.usefixtures("one_program")
@pytest.mark.parametrize(
  ("key", "value", "told"),
  [
    ("generator.hidden", (9,), r"generator.hidden: \[8\] there, \[9\] here"),
    ("average.name", "none", "average.name: decay there, none here"),
  ],
)
def test_what_makes_it_another_game_is_named(tmp_path, key, value, told):
  config = tiny(rounds=2, sample_every=0)
  fit(scored(build(config), 1.0), tmp_path)
  config.update_from_flattened_dict({key: value, "optimizers.generator.learning_rate": 0.1})
  with pytest.raises(ValueError, match="differ in\n  --config." + told + "\nset these"):
    fit(scored(build(config), 1.0), tmp_path, allow_config_change=True)


def rows_of(workdir):
  timing = {"seconds", "rounds_per_second", "images_per_second"}
  rows = read_rows(workdir)
  return [{key: value for key, value in row.items() if key not in timing} for row in rows]


def bits(workdir, round):
  path = workdir / "checkpoints" / str(round) / "leaves/metadata"
  return json.loads(path.read_text())["leaves"]


def rounds_saved(workdir):
  return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir())


def short(**changes):
  """Rounds two by two, a row after each fourth."""
  every = {"rounds_per_call": 2, "log_every": 4, "sample_every": 4, "checkpoint_every": 6}
  return tiny(**{"rounds": 12, **every, **changes})


@pytest.mark.usefixtures("one_program")
def test_a_run_that_is_stopped_while_it_is_scored_is_told_when_it_goes_on(tmp_path):
  """SIGTERM in the middle of an evaluation: it ends at once, and nothing is missing later."""
  experiment = build(short(evaluate_every=4))
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  fit(scored(experiment, 1.0, 2.0, 3.0), whole)

  def asked_to_stop(sample, walk):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(HANG)
    pytest.fail("nobody has stopped it")

  judge = Evaluator("given", {"a": "max"}, ("a",), {}, asked_to_stop)
  with pytest.raises(Interrupted):
    asked = experiment._replace(evaluator=lambda: judge)
    fit(asked, parts, grace_seconds=2 * HANG)  # to save takes what it takes
  assert not is_live(parts)
  assert rounds_saved(parts) == [4] and rows_of(parts) == []
  fit(scored(experiment, 1.0, 2.0, 3.0), parts)
  assert rows_of(whole) == rows_of(parts) and bits(whole, 12) == bits(parts, 12)
  assert kept(whole) == kept(parts) == [12]


def test_a_folder_in_use_is_refused(tmp_path):
  with hold(tmp_path), pytest.raises(BusyError, match="in use by a live run"):
    fit(build(tiny(rounds=2)), tmp_path)
  assert [p.name for p in tmp_path.iterdir()] == ["lock"]


def test_scores_that_cannot_be_made_are_refused_before_there_is_a_folder(tmp_path, monkeypatch):
  monkeypatch.setenv("GAN_JAX_INCEPTION", str(tmp_path / "none"))
  changes = {"data": "digits8x8", "evaluation.features": "inception"}
  with pytest.raises(FileNotFoundError, match="the weights of InceptionV3 are not at"):
    fit(build(tiny(**changes)), tmp_path / "run")
  assert not list(tmp_path.iterdir())


@pytest.fixture
def read_only(tmp_path):
  """A folder that nobody, root included, can write to."""
  folder = tmp_path / "fixed"
  folder.mkdir()
  folder.chmod(0o555)
  done = None
  if os.access(folder, os.W_OK):  # permissions do not bind root
    done = subprocess.run(["chattr", "+i", folder], capture_output=True)
    if done.returncode:
      pytest.skip("neither permissions nor chattr make a folder read-only here")
  yield folder
  if done is not None:
    subprocess.run(["chattr", "-i", folder], check=True)


def test_a_folder_that_cannot_be_written_to_is_known_before_anything_is_done(read_only):
  for workdir in (read_only, read_only / "run"):
    with pytest.raises(OSError, match=r"(not permitted|denied|Read-only).*fixed"):
      fit(build(tiny(rounds=2)), workdir)


@pytest.fixture
def spoiled(monkeypatch, one_program):
  """Lets rounds go wrong where a function of (state, last round, metrics) says so."""

  make = train.make_dispatch

  def spoil(how):
    def player(*arguments):
      play = make(*arguments)

      def played(state, length):
        state, metrics = play(state, length)
        return how(state, int(state.round), dict(metrics))

      return played

    monkeypatch.setattr(train, "make_dispatch", player)

  return spoil


def test_a_parameter_that_no_loss_shows_is_not_saved(tmp_path, spoiled):
  def at_six(state, round, metrics):
    if round < 6:
      return state, metrics
    bad = jax.tree.map(lambda x: jnp.full_like(x, jnp.inf), state.ema)
    return state.replace(ema=bad), metrics

  spoiled(at_six)
  with pytest.raises(NotFiniteError, match=r"state.ema\['generator'\].* is inf in round 6"):
    fit(scored(build(short()), 1.0), tmp_path)
  assert not (tmp_path / "checkpoints").exists()
  stopped = json.loads((tmp_path / "summary.json").read_text())
  assert "is inf in round 6" in stopped["stopped"] and stopped["rounds"] == 4


def first_key():
  return jax.random.key_data(jax.random.fold_in(jax.random.key(0), 1))


def nan_with_first_noise(state, round, metrics):
  if round >= 8 and (jax.random.key_data(state.key) == first_key()).all():
    metrics["V"] = metrics["V"].at[-1].set(jnp.nan)
  return state, metrics


def test_a_run_goes_back_and_on_with_other_noise(tmp_path, spoiled, caplog):
  experiment = build(short(on_nan="rollback"))
  fit(scored(experiment, 1.0), tmp_path / "untroubled")
  spoiled(nan_with_first_noise)
  summary = fit(scored(experiment, 1.0), tmp_path / "a")
  assert "V is nan in round 8: going back" in caplog.text
  assert summary["rollbacks"] == [{"round": 8, "seen": "V is nan in round 8"}]
  rows = rows_of(tmp_path / "a")
  assert [(row["round"], row.get("rollbacks")) for row in rows] == [(4, None), (8, 1), (12, 1)]
  before = [bits(tmp_path / run, 6) for run in ("untroubled", "a")]
  after = [bits(tmp_path / run, 12) for run in ("untroubled", "a")]
  assert before[0] == before[1] and after[0] != after[1]
  # Killed after it went back, it plays the rounds that it would have played.
  shutil.copytree(tmp_path / "a", tmp_path / "b")
  shutil.rmtree(tmp_path / "b/checkpoints/12")
  fit(scored(experiment, 1.0), tmp_path / "b")
  assert bits(tmp_path / "a", 12) == bits(tmp_path / "b", 12)
  assert rows == rows_of(tmp_path / "b")


def test_a_run_goes_back_so_often_and_no_more(tmp_path, spoiled):
  def always(state, round, metrics):
    return state, metrics | {"V": metrics["V"] * jnp.nan}

  spoiled(always)
  with pytest.raises(NotFiniteError, match="V is nan in round 1"):
    fit(scored(build(short(on_nan="rollback", max_rollbacks=2)), 1.0), tmp_path)
  stopped = json.loads((tmp_path / "summary.json").read_text())
  assert len(stopped["rollbacks"]) == 2 and not (tmp_path / "checkpoints").exists()


# --- long runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("placement", ["device", "stream"])
def test_the_loop_copies_nothing_behind_its_back(tmp_path, monkeypatch, placement):
  """Every dispatch under a guard against copies that nobody asked for; each shape compiled once."""
  dispatches = []

  def player(*arguments):
    play = make_dispatch(*arguments)

    def guarded(state, length):
      dispatches.append(length)
      with jax.transfer_guard("disallow"):
        return play(state, length)

    return guarded

  monkeypatch.setattr(train, "make_dispatch", player)
  config = streamed_digits() if placement == "stream" else short()
  compiled = Compilations()
  with jax.log_compiles(), compiled:
    fit(scored(build(config), 1.0), tmp_path)
  assert dispatches == [2] * 6 and compiled.names.count("play") == 1
  told = compiled.told
  assert max(map(told.count, told)) <= 2, told  # of one shape, in two layouts


def streamed_digits():
  config = short(data="mnist10k")
  config.data_options.pixel_range, config.data_options.placement = (0.0, 1.0), "stream"
  config.generator = network("goodfellow_generator", hidden=(8,))
  config.discriminator = network("goodfellow_discriminator", hidden=(4,))
  return config


class Compilations(logging.Handler):
  """Lists what is compiled."""

  def __init__(self):
    super().__init__()
    self.names, self.told = [], []

  def emit(self, record):
    if found := re.match(r"Compiling jit\((\w+)\) with global shapes", record.getMessage()):
      self.names.append(found[1])
      self.told.append(record.getMessage())

  def __enter__(self):
    logging.getLogger("jax").addHandler(self)
    return self

  def __exit__(self, *error):
    logging.getLogger("jax").removeHandler(self)


def test_the_guard_sees_copies():
  with jax.transfer_guard("disallow"), pytest.raises(Exception, match="Disallowed host-to-device"):
    jax.jit(lambda x: x + 1)(np.ones(3))


def test_rounds_leak_no_tracer():
  experiment = build(tiny())
  example = experiment.example.batch(minibatches(experiment.game), 16)
  with jax.checking_leaks():
    state = init(experiment.game, jax.random.key(0), example)
    make_dispatch(experiment.game, experiment.batches, make_mesh(16))(state, 2)


SAVES, LOOKS = 15, 3  # from one look to the other, and of each


def counts(least):
  """Counts arrays, objects and pieces of memory, once as few arrays are left as just before.

  A thread that has saved may hold a state for as long as the machine gives it no time to end.
  """
  for _ in range(20):
    gc.collect()
    found = len(jax.live_arrays()), len(gc.get_objects()), sys.getallocatedblocks()
    if found[0] <= least:
      break
    time.sleep(0.05)
  return found


def growth(workdir):
  """Plays, and counts what comes to be in SAVES saves: (arrays, objects, pieces of memory)."""
  rounds = 6 * (18 + SAVES + LOOKS)
  config = tiny(rounds=rounds, rounds_per_call=2, log_every=2, sample_every=0, checkpoint_every=6)
  found, opened = [], []
  tell = Logger.log

  def noted(*arguments, **named):
    opened.append(Checkpoints(*arguments, **named))
    return opened[-1]

  def counted(logger, round, *arguments):
    is_best = tell(logger, round, *arguments)
    if round % 6 == 4:  # the last row before a save
      for checkpoints in opened:
        checkpoints.wait()
      found.append(counts(least=min(found[-LOOKS:], default=(np.inf,))[0]))
    return is_best

  with (
    mock.patch.object(plots, "history", lambda *_: None),
    mock.patch.object(history, "LIMIT", 4),  # so that what is kept of rows is soon all there
    mock.patch.object(diagnostics, "PATH", 8),
    mock.patch.object(train, "Checkpoints", noted),
    mock.patch.object(Logger, "log", counted),
    mock.patch.object(
      EventFileWriter, "add_event", lambda w, event: w._ev_writer.write_event(event)
    ),
  ):
    gc.freeze()  # what there was before, which would take the time of collections
    fit(scored(build(config), 1.0), workdir)
  least = lambda i: np.min(found[i : i + LOOKS], axis=0)
  return least(18 + SAVES) - least(18)  # Orbax remembers 16


def test_nothing_grows_with_the_rounds(tmp_path):
  """Arrays, objects, pieces of memory: from save to save, of three rows each.

  In a process of its own, where no other test has left anything that grows, and where no thread is
  at work when it is counted, as the machine has time: saves are waited for, events written at once.
  """
  with commands.pool() as pool:
    arrays, objects, pieces = pool.submit(growth, tmp_path).result()
  assert arrays < SAVES / 2, arrays  # what keeps one keeps one of each save, or of each row
  assert objects < 3 * SAVES, objects  # one a row; TensorStore would keep 25 lists of a save
  # A row that is kept is of 35, and TensorStore would keep 310 of a save.
  assert pieces < 3 * SAVES * 30, pieces
