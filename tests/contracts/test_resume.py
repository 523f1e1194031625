"""A run that is stopped and goes on in another process ends as if it had not been: in bits."""

import functools
import json
import shutil

import commands
import jax
import numpy as np
import pytest

from gan_jax import plots
from gan_jax.files import write_json
from gan_jax.game.core import batches_a_round
from gan_jax.game.play import init
from gan_jax.game.random import make_key
from gan_jax.run.cli.compilation_cache import keep_programs
from gan_jax.run.config import default_config, network, optimizer, schedule
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.experiment import build
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training import train
from gan_jax.run.training.saving.checkpoint import Checkpoints

ROUNDS, SAVED = 18, 9  # three rounds a dispatch, a row after every sixth: 9 is between two
TIMING = {"seconds", "rounds_per_second", "images_per_second"}


def ring(**changes):
  config = default_config()
  config.data, config.batch_size = "ring8", 16
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.update_from_flattened_dict(changes)
  return config


def streamed():
  """Images that come from the host, dropout, and a generator that looks ahead."""
  config = ring(data="mnist10k", **{"data_options.pixel_range": (0.0, 1.0)})
  config.data_options.placement, config.data_options.flip = "stream", True
  config.generator = network("goodfellow_generator", hidden=(8,))
  config.discriminator = network("goodfellow_discriminator", hidden=(4,))
  config.rule.name, config.rule.steps = "unrolled", 2
  config.optimizers.discriminator.eps_root = 1e-8
  return config


def convolutions():
  """Batch norm here, spectral norm there, classes, two discriminator moves a round."""
  config = ring(data="digits8x8", conditional=True, loss="hinge", k=2)
  config.generator = network("dcgan_generator", width=2)
  config.discriminator = network("dcgan_discriminator", width=2, norm="spectral")
  return config


def memories():
  """Terms that remember, lazy ones, optimizers with schedules and slow weights."""
  config = ring(loss="relativistic_average", **{"average.name": "half_life"})
  config.average.half_life, config.average.ramp_up = 100.0, 0.05
  for term in ("lecam", "r1", "dragan", "latent_consistency"):
    config.regularizers[term] = 0.1
  config.regularizer_options.r1.every = 4
  falling = schedule("cosine_decay_schedule", init_value=1e-3, decay_steps=20)
  config.optimizers.generator = optimizer("amsgrad", falling, lookahead=5, clip_norm=1.0)
  return config


def simultaneous():
  """One that ended in NaN, went back, and has other noise since."""
  config = ring(simultaneous=True, packing=2, joint=True, **{"instance_noise.std": 0.1})
  config.optimizers.generator = optimizer("optimistic_adam_v2", 1e-3)
  config.rule.name = "extragradient"
  return config


KINDS = {
  "streamed, unrolled": streamed,
  "convolutions": convolutions,
  "memories": memories,
  "simultaneous, rolled back": simultaneous,
}


def fit(kind, workdir):
  """Plays a game to the end; scores, which take their time, are the mean of a few samples."""
  config = KINDS[kind]()
  config.rounds, config.rounds_per_call, config.checkpoint_every = ROUNDS, 3, SAVED
  config.log_every = config.sample_every = config.evaluate_every = 6
  config.num_samples = 16

  def score(sample, walk):
    return {"mean": float(np.mean(sample(8, 0)["x"], dtype=np.float64))}

  judge = Evaluator("mean", {"mean": "max"}, ("mean",), {}, score)
  train.fit(build(config)._replace(evaluator=lambda: judge), workdir)


def go_on(kind, workdir, programs):
  """Plays what is left of a run; called in a process of its own."""
  jax.config.update("jax_num_cpu_devices", 8)
  keep_programs(programs, seconds=0)
  plots.history = lambda *_: None
  fit(kind, workdir)


@pytest.fixture(scope="module")
def runs(once, cache):
  """Plays a game in one go; and from its first checkpoint on, in a new process."""

  def played(kind):
    folder = once(f"resumed {kind}", functools.partial(play, kind, programs=cache / "xla"))
    return folder / "whole", folder / "parts"

  return played


def play(kind, folder, programs):
  whole, parts = folder / "whole", folder / "parts"
  whole.mkdir()
  if "rolled back" in kind:
    bad = [{"round": 3, "seen": "V is nan in round 3"}]
    write_json(whole / "rollbacks.json", {"rollbacks": bad})
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(plots, "history", lambda *_: None)
    fit(kind, whole)
  shutil.copytree(whole, parts)
  shutil.rmtree(parts / "checkpoints" / str(ROUNDS))
  with commands.pool() as pool:
    pool.submit(go_on, kind, parts, programs).result()


def bits(workdir):
  found = json.loads((workdir / "checkpoints" / str(ROUNDS) / "leaves/metadata").read_text())
  return found["leaves"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_goes_on_in_a_new_process_is_the_same(runs, kind):
  whole, parts = runs(kind)
  assert bits(whole) == bits(parts)
  known = lambda row: {key: value for key, value in row.items() if key not in TIMING}
  rows = [list(map(known, read_rows(workdir))) for workdir in (whole, parts)]
  assert rows[0] == rows[1] and [row["round"] for row in rows[0]] == [6, 12, 18]
  pictures = [{p.name: p.read_bytes() for p in (w / "samples").iterdir()} for w in (whole, parts)]
  assert pictures[0] == pictures[1] and len(pictures[0]) == 3
  best = [sorted(p.name for p in (w / "best").iterdir()) for w in (whole, parts)]
  assert best[0] == best[1]


def test_every_memory_there_is_is_carried():
  """The table above holds what it is meant to: else a bit of nothing would be compared."""
  found = set().union(*map(carried, KINDS))
  for part in (
    "batch_stats",  # of batch norm
    "['u']",  # of spectral norm
    "discriminator.lecam",
    ".slow",  # of lookahead
    ".nu_max",  # of amsgrad
    ".ema",
  ):
    assert any(part in leaf for leaf in found), part


def carried(kind):
  """Names the arrays of the state of a game."""
  experiment = build(KINDS[kind]())
  spec = experiment.example.batch(batches_a_round(experiment.game), experiment.config.batch_size)
  state = jax.eval_shape(lambda: init(experiment.game, make_key(0), spec))
  return {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)}


def test_noise_is_another_after_a_rollback(runs):
  keys = [bits(runs(kind)[0])[".key"] for kind in ("memories", "simultaneous, rolled back")]
  assert keys[0] != keys[1]


def test_notes_hold_what_the_next_row_needs(runs):
  with Checkpoints(runs("memories")[0] / "checkpoints") as checkpoints:
    notes = checkpoints.notes(SAVED)
  assert {len(seen) for seen in notes["seen"].values()} == {SAVED - 6}
