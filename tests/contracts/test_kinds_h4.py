"""What every kind of game promises, for those of `kinds_h4`."""

import functools
import json
import shutil

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kinds_h4 import KINDS
from layouts import on_every_layout

from gan_jax import plots
from gan_jax.game.core import Turn, minibatches
from gan_jax.game.play import init, play_round
from gan_jax.run.experiment import build
from gan_jax.run.training import train

ROUNDS, SAVED = 4, 2
each_kind = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def experiment(kind):
  return build(KINDS[kind]())


@functools.cache
def start(kind):
  """A state, and the batches of a round."""
  game, batches = experiment(kind).game, experiment(kind).batches
  t = jnp.arange(max(1, minibatches(game)), dtype=jnp.uint32)
  batch = jax.vmap(lambda t: batches.at(batches.arrays, t))(t)
  return init(game, jax.random.key(0), batch), batch


@functools.cache
def step(kind):
  return jax.jit(functools.partial(play_round, experiment(kind).game))


@each_kind
def test_rounds_are_finite_and_of_one_program(kind):
  state, batch = start(kind)
  for _ in range(2):
    state, metrics = step(kind)(state, batch)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.params, metrics)))
  assert step(kind)._cache_size() == 1
  assert set(experiment(kind).game.headline.values()) <= set(metrics)


@each_kind
def test_every_player_moves_its_own_networks_alone(kind):
  game, (state, batch) = experiment(kind).game, start(kind)
  for name, player in game.players.items():
    alone = game._replace(turns=(Turn((name,)),))
    one = jax.tree.map(lambda x: x[:1], batch)
    after, _ = jax.jit(functools.partial(play_round, alone))(state, one)
    for net, params in after.params.items():
      same = jax.tree.leaves(jax.tree.map(np.array_equal, params, state.params[net]))
      assert all(same) or net in player.owns, (name, net)
      assert not all(same) or net not in player.owns, (name, net)


@each_kind
def test_every_layout_gives_the_same_numbers(kind):
  state, batch = start(kind)
  state, _ = step(kind)(state, batch)  # so that no memory is at its start
  expected, measured = step(kind)(state, batch)
  for layout, after, metrics in on_every_layout(experiment(kind).game, state, batch):
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5, err_msg=layout)
    jax.tree.map(close, (after.params, after.carried), (expected.params, expected.carried))
    for name in experiment(kind).game.headline.values():
      close(metrics[name], measured[name])


def fit(kind, workdir):
  config = KINDS[kind]()
  config.rounds, config.checkpoint_every = ROUNDS, SAVED
  config.log_every = config.sample_every = config.evaluate_every = SAVED
  train.fit(build(config), workdir)


@pytest.fixture(scope="module", params=KINDS)
def run(request, tmp_path_factory):
  """A run that was played in one go."""
  workdir = tmp_path_factory.mktemp(request.param)
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(plots, "history", lambda *_: None)
    fit(request.param, workdir)
  return request.param, workdir


def bits(workdir):
  path = workdir / "checkpoints" / str(ROUNDS) / "leaves/metadata"
  return json.loads(path.read_text())["leaves"]


def test_a_run_that_goes_on_ends_in_the_same_bits(run, tmp_path, monkeypatch):
  kind, whole = run
  monkeypatch.setattr(plots, "history", lambda *_: None)
  part = shutil.copytree(whole, tmp_path / "part")
  shutil.rmtree(part / "checkpoints" / str(ROUNDS))
  fit(kind, part)
  assert bits(whole) == bits(part)


def test_a_run_is_scored_and_sampled_by_command(run, tmp_path):
  kind, workdir = run
  code, text = commands.run(["evaluate", str(workdir)], {}, tmp_path)
  scores = "frechet" if experiment(kind).game.samplers else "target_accuracy"
  assert code == 0 and scores in text, text
  code, text = commands.run(["sample", str(workdir), "--num=4", "--out=grid.png"], {}, tmp_path)
  if experiment(kind).game.samplers:
    assert code == 0 and (tmp_path / "grid.png").is_file(), text
  else:
    assert code and "this game has no sampler and makes no examples" in text, text
