"""The command that reproduces PacGAN's mixtures."""

import contextlib
import json
import pathlib
from functools import partial

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import app, flags

from experiments.reproduce import mixtures
from gan_jax.data import RING8
from gan_jax.files import save_arrays, write_json
from gan_jax.game.core import State
from gan_jax.game.play import play_round
from gan_jax.metrics import mode_coverage

ROOT = pathlib.Path(__file__).parents[2]
SHORT = ("--points=200", "--epochs=2", "--seeds=2", "--mixtures=ring8")


@contextlib.contextmanager
def parsed(out):
  """Gives the command the flags of a short run in a folder, among no others."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(mixtures, "FLAGS", flags.FlagValues())
    mixtures.define_flags()
    mixtures.FLAGS(["mixtures", *SHORT, f"--out={out}"])
    yield mixtures.FLAGS


@pytest.fixture
def short(tmp_path):
  with parsed(tmp_path) as values:
    yield values


def scores(*modes, good=0.5):
  return [{"modes": float(n), "high_quality": good, "kl": 0.25} for n in modes]


def keep(out, mixture, name, row, scores):
  """Leaves a result as if it had been played."""
  (out / mixture).mkdir(exist_ok=True)
  result = {"settings": mixtures.settings(row), "scores": scores}
  write_json(out / mixture / f"{name}.json", result)
  save_arrays(out / mixture / f"{name}.npz", {"samples": np.zeros((len(scores), 10, 2))})


# --- the protocol -------------------------------------------------------------------------------


def test_packs_are_drawn_with_replacement_from_a_table_of_the_mixture():
  packs = mixtures.draw_packs(jax.random.key(0), RING8, 20_000, 3)
  assert packs.shape == (20_000, 3, 2)
  found = mode_coverage(packs.reshape(-1, 2), RING8.centers, RING8.std)
  assert found["modes"] == 8 and found["kl"] < 1e-3
  # 1 - exp(-9/2) of the mass of a Gaussian in the plane; the deviation of the share is 7e-4.
  np.testing.assert_allclose(found["high_quality"], 1 - np.exp(-4.5), atol=0.003)
  # Of 20,000 points, 1 - 1/e come at least once among as many draws; the deviation is 0.002.
  distinct = len(np.unique(packs[:, 0], axis=0)) / len(packs)
  np.testing.assert_allclose(distinct, 1 - np.exp(-1), atol=0.01)
  assert len(np.unique(packs.reshape(-1, 2), axis=0)) <= 20_000


def test_an_epoch_shows_every_pack_once_in_an_order_of_its_own(monkeypatch):
  """With a game that keeps count of what it is shown."""

  def watch(game, state, batch):
    first = batch["x"][0, 0] if game == "first" else jnp.zeros(2)
    seen = {"sum": state.params["sum"] + batch["x"].sum((0, 1)), "first": first}
    return state.replace(round=state.round + 1, params=seen), {}

  monkeypatch.setattr(mixtures, "play_round", watch)
  packs = jax.random.normal(jax.random.key(1), (300, 2, 2))
  run = mixtures.Run(packs, jax.random.key(2), jax.random.key(3))
  zero = State(
    jnp.zeros((), jnp.int32), None, None, dict.fromkeys(("sum", "first"), jnp.zeros(2)), {}, {}, {}
  )
  once = mixtures.play_epoch("first", zero, run)
  twice = mixtures.play_epoch("first", once, run)
  assert (once.round, twice.round) == (3, 6)
  np.testing.assert_allclose(once.params["sum"], packs.sum((0, 1)), atol=1e-4)
  np.testing.assert_allclose(twice.params["sum"], 2 * packs.sum((0, 1)), atol=1e-4)
  assert not np.array_equal(once.params["first"], twice.params["first"])


@pytest.mark.parametrize("name", mixtures.ROWS)
def test_every_row_is_a_game(name):
  row = mixtures.ROWS[name]
  game = mixtures.game_of(row)
  batch = {"x": jax.ShapeDtypeStruct((1, mixtures.BATCH * row.packing, 2), jnp.float32)}
  state = jax.eval_shape(lambda: mixtures.start(game, RING8, 100, row.packing, 0)[0])
  after, metrics = jax.eval_shape(partial(play_round, game), state, batch)
  assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: x.shape, state)
  assert {f"discriminator/{term}" for term in row.penalties or {}} <= metrics.keys()


# --- the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory):
  """What a user types, in a folder where one of the two rows is there already."""
  out = tmp_path_factory.mktemp("mixtures")
  with parsed(out):
    keep(out, "ring8", "pacgan2", mixtures.ROWS["pacgan2"], scores(8, 7))
  flags = [f"--out={out}", *SHORT, "--rows=gan,pacgan2"]
  code, told = commands.run(flags, {}, ROOT, "experiments.reproduce.mixtures")
  assert code == 0, told
  return out, told


def test_the_command_plays_what_is_not_there_and_tells_all(played):
  out, told = played
  text = (out / "mixtures.md").read_text()
  assert text in told and "ring8, GAN: epoch 2" in told and "PacGAN2: epoch" not in told
  lines = text.splitlines()
  assert lines[0] == (
    "SHORTENED, not the protocol: 2 epochs of 400; 2 seeds of 10; 200 points of 100,000."
  )
  assert [line for line in lines if line.startswith("| GAN | 2 x 2 | ")]
  assert "| PacGAN2 | 2 x 2 | 7.5 ± 0.5 | 50.0 ± 0.0 | 0.25 ± 0.00 | 7.9 |  |  |" in lines
  result = json.loads((out / "ring8" / "gan.json").read_text())
  assert result["settings"] == {"row": "GAN", "epochs": 2, "seeds": 2, "points": 200}
  assert len(result["history"]) == 2 and len(result["scores"]) == 2 and result["seconds"] > 0
  assert (out / "mixtures.png").stat().st_size > 1000


def test_runs_of_a_row_are_those_of_their_seeds(played):
  """A run beside others is the run of its seed alone, and another seed is another run."""
  with np.load(played[0] / "ring8" / "gan.npz") as file:
    samples = file["samples"]
  game = mixtures.game_of(mixtures.ROWS["gan"])

  @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
  def alone():
    state, run = mixtures.start(game, RING8, 200, 1, 1)
    for _ in range(2):
      state = mixtures.play_epoch(game, state, run)
    return mixtures.sample(game, state, run.scores, mixtures.SAMPLES)

  # Four updates. Batched products round differently, and Adam divides a gradient by its size.
  np.testing.assert_allclose(samples[1], alone(), rtol=1e-3, atol=1e-6)
  assert np.abs(samples[0] - samples[1]).max() > 1e-3


def test_results_are_kept_and_never_written_over(played, short):
  short.out, short.rows = str(played[0]), ["gan"]
  mixtures.main([])  # nothing is left to play
  short.epochs = 3
  with pytest.raises(app.UsageError, match="was made with .*'epochs': 2.*choose another --out"):
    mixtures.main([])


def test_only_the_protocol_is_called_the_protocol():
  full = {"epochs": 400, "seeds": 10, "points": 100_000}
  result = lambda **changes: {"settings": {**full, **changes}}
  assert mixtures.label([result()]) == "The protocol: 400 epochs of 1000 updates, 10 seeds a row."
  assert mixtures.label([result(), result(seeds=4)]).startswith(
    "SHORTENED, not the protocol: 4 or 10"
  )
  for change in ({"epochs": 399}, {"seeds": 9}, {"points": 99_900}):
    assert mixtures.label([result(**change), result()]).startswith("SHORTENED, not the protocol")


def test_scores_are_means_with_standard_errors():
  assert mixtures.shown(scores(6, 8, 7), "modes") == "7.0 ± 0.6"  # 1 / sqrt(3)
  assert mixtures.shown(scores(6), "high_quality", 100) == "50.0"
  assert mixtures.shown([{"kl": "inf"}, {"kl": 0.5}], "kl") == "none in 1 of 2"


def test_unknown_names_are_refused(short):
  short.rows = ["gam"]
  with pytest.raises(app.UsageError, match="unknown: gam. Expected rows gan, pacgan2"):
    mixtures.main([])
