"""What every kind of game must do, from Python and from the command line: one row, all of this."""

import functools
import pathlib
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kinds import KINDS, VARIANTS
from layouts import on_every_layout
from PIL import Image

from experiments.bench import kills
from gan_jax.game.core import gradient_descent, minibatches
from gan_jax.game.play import init, play_round
from gan_jax.run.config.sections.kinds.games import GAMES
from gan_jax.run.evaluation.scoring import score
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import load
from gan_jax.run.results.rows import read_rows
from gan_jax.run.results.translate import translate_folder
from gan_jax.run.training.train import fit

pytestmark = pytest.mark.usefixtures("no_pictures")
CONFIGS = KINDS | VARIANTS
each = pytest.mark.parametrize("kind", CONFIGS)


@functools.cache
def experiment(kind):
  return build(CONFIGS[kind]())


def batch(kind, round):
  batches, n = experiment(kind).batches, max(1, minibatches(experiment(kind).game))
  parts = [batches.at(batches.arrays, np.uint32(n * round + i)) for i in range(n)]
  return jax.tree.map(lambda *x: jnp.stack(x), *parts)


@functools.cache
def alone(kind):
  """States before the first round, after it and after another, on one device."""
  play = jax.jit(functools.partial(play_round, experiment(kind).game))
  states = [init(experiment(kind).game, jax.random.key(0), batch(kind, 0))]
  for round in range(2):
    states.append(play(states[-1], batch(kind, round))[0])
  assert play._cache_size() == 1
  return states


def test_every_kind_has_its_row():
  assert KINDS.keys() == GAMES.keys()


OWNERS = {
  "pix2pix": {"discriminator": ("discriminator",), "generator": ("generator",)},
  "bi_gan": {"discriminator": ("discriminator",), "generator": ("generator", "encoder")},
  "vq_gan": {
    "discriminator": ("discriminator",),
    "generator": ("encoder", "codebook", "decoder", "last_layer"),
  },
  "two_player": {"discriminator": ("discriminator",), "generator": ("generator",)},
  "info_gan": {"discriminator": ("discriminator",), "generator": ("generator", "q")},
  "distribution_matching": {
    "critic": ("critic",),
    "discriminator": ("discriminator",),
    "generator": ("generator",),
  },
  "cycle_gan": {
    "translators": ("a_to_b", "b_to_a"),
    "discriminators": ("discriminator_a", "discriminator_b"),
  },
}


@pytest.mark.parametrize("kind", OWNERS)
def test_networks_have_their_owners(kind):
  players = experiment(kind).game.players
  assert {name: player.owns for name, player in players.items()} == OWNERS[kind]


def check_same(got, expected):
  """But for rounding; by which Adam's first steps divide where a gradient is 0."""
  close = functools.partial(np.testing.assert_allclose, rtol=1e-3)
  jax.tree.map(functools.partial(close, atol=1e-5), got.carried, expected.carried)
  jax.tree.map(functools.partial(close, atol=1e-3), got.params, expected.params)


# As a user's own loop may play, where a round remembers or couples examples.
OTHERS = {
  "cycle_gan": "jit alone",
  "vq_gan": "pmap",
  "eb_gan": "jit alone",
  "be_gan": "pmap",
  "drift": "pmap",
  "drift of two batches": "jit alone",
  "drift in features": "pmap",
  "adversarial_flow": "pmap",
  "continuous_flow": "jit alone",
  "distribution_matching": "pmap",
  "multi_level": "jit alone",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_layouts_give_the_same_numbers(kind):
  state, expected, _ = alone(kind)
  for _, after, _ in on_every_layout(experiment(kind).game, state, batch(kind, 0), [OTHERS[kind]]):
    check_same(after, expected)


# Kinds that the commands are tried with: a generator, translators, and a game without a sampler.
BY_COMMAND = ("two_player", "cycle_gan", "domain_adversarial")


@each
def test_a_run_goes_on_bit_for_bit_and_is_sampled_and_scored(kind, tmp_path, gan_jax, one_program):
  """Two rounds, as on one device, and two more are four; commands and Python know the run."""
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  fit(experiment(kind), whole)
  moved, after = (load(whole, at=round).state for round in (2, 4))
  check_moves(experiment(kind).game, moved, after)
  if kind in KINDS:
    check_same(moved, alone(kind)[2])
  shutil.copytree(whole, parts)
  shutil.rmtree(parts / "checkpoints" / "4")
  fit(experiment(kind), parts)
  assert kills.bits(whole) == kills.bits(parts) != {}
  last = read_rows(whole)[-1]
  assert any(name.startswith("score/") for name in last)
  assert set(experiment(kind).game.headline.values()) <= set(last)

  samplers = experiment(kind).game.samplers
  if kind in BY_COMMAND:
    by_command(samplers, whole, tmp_path, gan_jax)
  else:
    assert samplers
    for name in samplers:
      run = load(whole, changes={"evaluation.sampler": name})
      assert len(run.sample(4)) == 4
      assert np.isfinite(score(run)[0]["rbf_mmd"])
  if kind == "pix2pix":
    colourised(load(whole), tmp_path)


def colourised(run, folder):
  """Gray images are shown beside their colours, and one's own are turned into colour."""
  png, npz, own, out = (folder / name for name in ("rows.png", "x.npz", "own", "out"))
  run.save_samples(3, png=str(png), npz=str(npz))
  shapes = [np.load(npz)[name].shape for name in ("inputs", "x")]
  assert shapes == [(3, 8, 8, 1), (3, 8, 8, 3)]
  own.mkdir()
  Image.new("RGB", (8, 8)).save(own / "000.png")
  assert translate_folder(run, str(own), str(out)) == 1
  for path in (png, out / "000.png"):
    assert np.asarray(Image.open(path)).shape[2:] == (3,)


def check_moves(game, before, after):
  owned = [net for player in game.players.values() for net in player.owns]
  assert sorted(owned) == sorted(after.params)
  for net in owned:
    old, new = (jax.tree.leaves(state.params[net]) for state in (before, after))
    assert all(np.isfinite(x).all() for x in new)
    assert any((x != y).any() for x, y in zip(old, new, strict=True)), f"{net} has not moved"


def by_command(samplers, run, folder, gan_jax):
  if not samplers:
    told = gan_jax("sample", run, f"--out={folder / 'none.png'}", code=1)
    assert "this game has no sampler and makes no examples" in told
    assert "accuracy" in gan_jax("evaluate", run, "--checkpoint=last")
  for name, sampler in [*samplers.items()][-1:]:  # of two, that which has to be named
    png = folder / f"{name}.png"
    gan_jax("sample", run, f"--out={png}", "--num=4", f"--sampler={name}")
    assert png.is_file()
    told = gan_jax("evaluate", run, "--checkpoint=last", f"--config.evaluation.sampler={name}")
    assert "rbf_mmd" in told
    if sampler.inputs is None:
      told = gan_jax("sample", run, f"--out={png}", "--interpolate", f"--sampler={name}", code=1)
      assert "a translator starts from images" in told


@each
def test_microbatches_reach_the_turns_or_are_refused(kind):
  config = CONFIGS[kind]()
  config.microbatches, config.batch_size = 2, 16
  if "pool" in config:
    config.pool = 0
  try:
    turns = build(config).game.turns
  except ValueError as error:
    assert "microbatches" in str(error)
  else:
    assert all(turn.rule is not gradient_descent for turn in turns)


def test_a_game_of_ones_own_is_never_taken_for_the_configs(tmp_path):
  """Its state may have the same arrays; nothing of it is loaded as another game."""
  mine = experiment("two_player")
  mine = mine._replace(game=mine.game._replace(turns=mine.game.turns[::-1]))
  fit(mine, tmp_path)
  with pytest.raises(ValueError, match="was trained with a game that was given to fit"):
    load(tmp_path)
  with pytest.raises(ValueError, match="was started with another game"):
    fit(experiment("two_player"), tmp_path)
  fit(mine, tmp_path)  # goes on, which is done already


def test_a_kind_of_a_config_file_is_known_with_that_file(tmp_path, gan_jax):
  """The one of docs/extending.md: trained, and sampled; without its file the error names it."""
  page = (pathlib.Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
  (code,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "_first" in code)
  file, run = tmp_path / "mine.py", tmp_path / "run"
  file.write_text(code)
  small = ["--config.rounds=2", "--config.num_fake=64", "--config.batch_size=8"]
  gan_jax("train", f"--config={file}", f"--workdir={run}", *small)
  png = f"--out={tmp_path / 'points.png'}"
  gan_jax("sample", run, f"--config={file}", png)
  told = gan_jax("sample", run, png, code=1)
  assert "the game 'generator_first'" in told and f"--config={file}" in told
