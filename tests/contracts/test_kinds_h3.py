"""What every kind of game promises: layouts, resumption, and the commands."""

import functools
import json

import commands
import jax
import numpy as np
import pytest
from kinds_h3 import KINDS
from layouts import on_every_layout

from gan_jax import plots
from gan_jax.game.core import minibatches, owned_by
from gan_jax.game.play import init, play_round
from gan_jax.run.experiment import build
from gan_jax.run.training import train

OWNERS = {
  "info_gan": {"discriminator": ("discriminator",), "generator": ("generator", "q")},
  "ac_gan": {"discriminator": ("discriminator",), "generator": ("generator",)},
}

each_kind = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def start(kind):
  """Returns a game, its first state, and the batches of a round."""
  experiment = build(KINDS[kind]())
  game, batches = experiment.game, experiment.batches.iterate()
  minibatch = [next(batches) for _ in range(max(1, minibatches(game)))]
  batch = jax.tree.map(lambda *x: np.stack(x), *minibatch)
  return game, init(game, jax.random.key(0), batch), batch


def first_of(batch, n):
  return jax.tree.map(lambda x: x[:n], batch)


@each_kind
def test_players_move_what_they_own(kind):
  game, state, batch = start(kind)
  assert {name: player.owns for name, player in game.players.items()} == OWNERS[kind]
  assert sorted(owned_by(game.players)) == sorted(state.params)
  for player in game.players:
    turn = next(turn for turn in game.turns if player in turn.players)
    alone = game._replace(turns=(turn._replace(players=(player,)),))
    given = first_of(batch, max(1, minibatches(alone)))
    moved, metrics = jax.jit(functools.partial(play_round, alone))(state, given)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(metrics))
    for net, params in moved.params.items():
      same = jax.tree.map(lambda a, b: (a == b).all(), params, state.params[net])
      assert all(jax.tree.leaves(same)) == (net not in OWNERS[kind][player])


@each_kind
def test_rounds_are_one_program(kind):
  game, state, batch = start(kind)
  step = jax.jit(functools.partial(play_round, game))
  for _ in range(3):
    state, _ = step(state, batch)
  assert step._cache_size() == 1


@each_kind
def test_every_layout_gives_the_same_numbers(kind):
  game, state, batch = start(kind)
  expected, _ = jax.jit(functools.partial(play_round, game))(state, batch)
  for layout, after, _ in on_every_layout(game, state, batch):
    close = functools.partial(np.testing.assert_allclose, err_msg=layout)
    # Means are summed in another order, which moves parameters by a few float32 ulps; monitors in
    # the memory are differences of numbers that are nearly equal.
    jax.tree.map(functools.partial(close, rtol=1e-5, atol=1e-6), after.params, expected.params)
    jax.tree.map(functools.partial(close, rtol=1e-3, atol=1e-5), after.carried, expected.carried)


def fit(kind, workdir, rounds=4):
  config = KINDS[kind]()
  config.rounds = rounds
  with pytest.MonkeyPatch.context() as patched:  # curves take longer to draw than all else
    patched.setattr(plots, "history", lambda *_: None)
    train.fit(build(config), workdir)
  return workdir


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Returns the folder of a run of a kind, which is played once."""
  return functools.cache(lambda kind: fit(kind, tmp_path_factory.mktemp(kind)))


def leaves(workdir):
  return json.loads((workdir / "checkpoints/4/leaves/metadata").read_text())["leaves"]


@each_kind
def test_a_run_that_goes_on_ends_in_the_same_bits(kind, run, tmp_path):
  fit(kind, tmp_path, rounds=2)
  assert leaves(fit(kind, tmp_path)) == leaves(run(kind))


@each_kind
def test_commands_sample_and_score(kind, run, tmp_path, cache):
  environment = {"JAX_PLATFORMS": "cpu", "GAN_JAX_CACHE": str(cache)}
  for line in ("sample {} --num=4 --out=grid.png", "evaluate {}"):
    code, output = commands.run(line.format(run(kind)).split(), environment, tmp_path)
    assert code == 0, output
  assert (tmp_path / "grid.png").stat().st_size > 0
