"""Scores of runs, in the process that asks for them; the command line is in test_app.py."""

import json
import shutil
import time

import pytest
from counting import count
from kinds import cycle_gan
from made_cards import JUDGE
from made_runs import made_run

from gan_jax import data
from gan_jax.run.config import complete, default_config, network, replaced
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.config.stored import read_config
from gan_jax.run.evaluation import scoring
from gan_jax.run.evaluation.cards.comparing import compare, differences
from gan_jax.run.evaluation.cards.files import read_card
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.evaluation.scoring import evaluate, follow
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import RunFolder
from gan_jax.run.training.saving.lock import hold
from gan_jax.run.training.train import fit


@pytest.fixture(scope="module")
def played(tmp_path_factory):
  """A run whose last checkpoint is its best: it was scored but once."""
  config = default_config()
  config.data, config.num_fake = "ring8", 50
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.rounds, config.checkpoint_every, config.sample_every = 20, 10, 0
  config.evaluate_every = 20
  workdir = tmp_path_factory.mktemp("runs") / "ring"
  fit(build(config), workdir)
  return workdir


@pytest.fixture
def workdir(played, tmp_path):
  return shutil.copytree(played, tmp_path / "ring")


def test_a_run_is_followed_until_no_process_plays_it(workdir, monkeypatch):
  (workdir / "summary.json").unlink()  # as if it had been killed

  class WaitedError(Exception):
    pass

  def wait(seconds):
    raise WaitedError

  monkeypatch.setattr(time, "sleep", wait)
  rules = [card.protocol["checkpoint"] for card, _ in follow(workdir)]
  assert rules == ["asked for", "asked for", "last", "best"]
  with hold(workdir), pytest.raises(WaitedError):
    list(follow(workdir))


def test_one_checkpoint_has_one_set_of_draws_and_those_that_were_asked_for(workdir, monkeypatch):
  counted = []
  score = scoring.score
  monkeypatch.setattr(scoring, "score", lambda *given: counted.append(given) or score(*given))
  found = dict(zip(("last", "best"), evaluate(workdir, draws=3), strict=True))
  assert len(counted) == 1  # it was looked at once
  for rule, (card, path) in found.items():
    assert card.protocol["checkpoint"] == rule and card.run["round"] == 20
    assert card.run["draws"] == [1, 2, 3] and card.scores == found["last"][0].scores
    assert read_card(path) == card  # the draw of training, 0, is no more in the file
  both = [[card] for card, _ in found.values()]
  told = compare(*both, names=("last", "best"), despite=("checkpoint", "chosen_by"))
  assert "+0, cannot be told apart" in told
  again = [card for card, _ in evaluate(workdir, draws=2, seed=3)]
  assert [card.run["draws"] for card in again] == [[4, 5]] * 2
  kept = [read_card(path).run["draws"] for _, path in found.values()]
  assert kept == [[1, 2, 3, 4, 5]] * 2  # what was scored before is not thrown away


@pytest.mark.parametrize("way", [evaluate, follow])
def test_a_run_is_built_once_whatever_is_scored_of_it(workdir, monkeypatch, way):
  counted = {
    function.__name__: count(monkeypatch, function)
    for function in (default_config, complete, build_game, evaluator_for, data.load)
  }
  scored = list(way(workdir, draws=2, changes={"num_fake": 60}))
  assert [card.protocol["checkpoint"] for card, _ in scored][-2:] == ["last", "best"]
  calls = {name: len(found) for name, found in counted.items()}
  assert calls["default_config"] <= 2 and calls["complete"] <= 4
  assert calls["build_game"] == calls["evaluator_for"] == 1
  assert calls["load"] == 2  # the two splits


def test_a_card_says_which_sampler_was_scored():
  experiment = build(cycle_gan())
  first, second = experiment.game.samplers

  def of(name):
    config = replaced(experiment.config, {"evaluation.sampler": name})
    return scoring.card_of(experiment._replace(config=config), JUDGE, [], "last", 1, [0])

  assert differences(of(""), of(first)) == {}
  assert differences(of(""), of(second)) == {"sampler": (None, second)}


def test_a_checkpoint_that_is_asked_for_comes_alone(workdir):
  assert [card.protocol["checkpoint"] for card, _ in evaluate(workdir, at="best")] == ["best"]


def test_a_run_with_the_former_default_is_scored_by_what_suits_its_data(workdir):
  path = workdir / "config.json"
  found = json.loads(path.read_text())
  former = {"features": "classifier", "metrics": ["frechet", "classes"], "real": "test"}
  found["config"]["evaluation"] = former
  path.write_text(json.dumps(found))
  assert read_config(workdir).evaluation == default_config().evaluation
  found["config"]["evaluation"] = former | {"real": "train"}  # somebody chose it
  path.write_text(json.dumps(found))
  assert read_config(workdir).evaluation.features == "classifier"


def test_what_ranks_nothing_can_be_asked_for_of_a_run_that_chose_its_best(tmp_path):
  evaluation = {"features": "pixels", "metrics": ["frechet"], "real": "test"}
  made = {"data": "mnist10k", "evaluate_every": 10, "evaluation": evaluation}
  changes = {"evaluation.metrics": ("memorisation",)}
  assert RunFolder(made_run(tmp_path / "run", **made), changes).experiment


def test_scores_whose_card_cannot_be_written_are_shown(workdir):
  shutil.rmtree(workdir / "cards")
  (workdir / "cards").write_text("in the way of the folder")
  seen = []
  with pytest.raises(OSError, match="the scores have no card, which could not be written: .*cards"):
    for found in evaluate(workdir):
      seen.append(found)
  assert [found.card.protocol["checkpoint"] for found in seen] == ["last", "best"]
  assert all(found.path is None and found.card.scores["modes"] for found in seen)
