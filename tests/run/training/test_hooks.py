"""Hooks of a run: a user's own writer, as docs/extending.md has it, and what ends it."""

import math
import pathlib
import re
import sys
import types

import pytest

import gan_jax as gj
from gan_jax.run.training.hooks import Moment

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "extending.md"


def tiny(**changes):
  config = gj.config.default_config()
  config.data, config.batch_size, config.num_fake = "ring8", 8, 50
  for player in ("generator", "discriminator"):
    config[player] = gj.config.network(f"mlp_{player}", hidden=(4,))
  config.update(rounds=8, rounds_per_call=8, log_every=4, sample_every=0, checkpoint_every=4)
  config.update(changes)
  return gj.build(config)


class Tracker(types.ModuleType):
  """Stands in for wandb and trackio: init, log and finish."""

  def __init__(self, name):
    super().__init__(name)
    self.calls = []

  def init(self, *, project, name, config):
    self.calls.append(("init", config["rounds"]))

  def log(self, metrics, step):
    self.calls.append((step, dict(metrics)))

  def finish(self):
    self.calls.append(("finish", None))


@pytest.fixture(params=["wandb", "trackio"])
def tracker(request, monkeypatch):
  """The stand-in, and what the page defines with it."""
  module = Tracker(request.param)
  monkeypatch.setitem(sys.modules, request.param, module)
  section = PAGE.read_text().split("## Your own writer")[1].split("\n## ")[0]
  (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
  if request.param == "trackio":
    assert "`import trackio as wandb`" in section
    code = code.replace("import wandb", "import trackio as wandb")
  defined: dict = {}
  exec(code, defined)
  return module, defined["train"]


def test_the_writer_of_the_page_is_given_the_rows_of_the_run(tracker, tmp_path):
  module, train = tracker
  train(tiny(), tmp_path, every=2)
  first, *logged, last = module.calls
  assert first == ("init", 8) and last == ("finish", None)
  rows = {row["round"]: row for row in gj.read_rows(tmp_path)}
  # A round in which something is due has a row, and a dispatch ends there.
  assert [step for step, _ in logged] == list(rows) == [2, 4, 6, 8]
  for step, columns in logged:
    assert {"round": step, **columns} == rows[step]
  assert all(math.isfinite(columns["discriminator/loss"]) for _, columns in logged)
  assert "score/modes" in logged[-1][1] and "score/modes" not in logged[0][1]


def test_hooks_change_no_number(tmp_path):
  moments = []
  gj.fit(tiny(), tmp_path / "with", hooks=[gj.Every(3, moments.append)])
  gj.fit(tiny(), tmp_path / "without")
  a, b = (gj.load(tmp_path / name).state for name in ("with", "without"))
  assert a.params["generator"]["Dense_0"]["kernel"].tolist() == (
    b.params["generator"]["Dense_0"]["kernel"].tolist()
  )
  assert [moment.round for moment in moments] == [3, 6, 8]
  assert all(isinstance(moment, Moment) and moment.last == 8 for moment in moments)
  assert [int(moment.row.progress["images"]) for moment in moments] == [24, 48, 64]


def test_an_action_may_add_a_score_and_one_that_fails_loses_nothing(tmp_path):
  def add(moment):
    moment.row.scores["mine"] = 0.5 * moment.round

  def fail(moment):
    raise RuntimeError("the tracker is gone")

  with pytest.raises(RuntimeError, match="the tracker is gone"):
    gj.fit(tiny(), tmp_path, hooks=[gj.Every(4, add), gj.Every(6, fail)])
  assert [row["score/mine"] for row in gj.read_rows(tmp_path)] == [2.0]
  assert int(gj.load(tmp_path).state.round) == 6  # what had been played was saved
  gj.fit(tiny(), tmp_path, hooks=[gj.Every(4, add)])
  assert {row["round"]: row.get("score/mine") for row in gj.read_rows(tmp_path)} == {
    4: 2.0,
    8: 4.0,
  }


@pytest.mark.parametrize("hook", [(3, print), gj.Every(-1, print), gj.Every(2.5, print)])
def test_what_is_no_hook_is_refused_before_anything_is_played(hook, tmp_path):
  with pytest.raises(ValueError, match=r"expected Every\(rounds, action\), rounds >= 0"):
    gj.fit(tiny(), tmp_path, hooks=[hook])
  with pytest.raises(ValueError, match="expected a function of one moment"):
    gj.fit(tiny(), tmp_path, hooks=[gj.Every(2, lambda: None)])
  assert not list(tmp_path.iterdir())
