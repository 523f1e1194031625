"""Hooks of a run: a user's own writer, as docs/extending.md has it, and what ends it."""

import math
import pathlib
import re
import sys
import types

import optax
import pytest

import gan_jax as gj
from gan_jax.files import differences
from gan_jax.run.training.hooks import Moment

pytestmark = pytest.mark.usefixtures("one_program")
PAGE = pathlib.Path(__file__).parents[3] / "docs" / "extending.md"


def tiny(**changes):
  config = gj.config.default_config()
  config.data, config.batch_size, config.num_fake = "ring8", 8, 50
  for player in ("generator", "discriminator"):
    config[player] = gj.config.network(f"mlp_{player}", hidden=(4,))
  config.update(rounds=8, rounds_per_call=2, log_every=4, sample_every=0, checkpoint_every=4)
  config.update(changes)
  return gj.build(config)


def block(heading):
  """Returns the code below a heading of the page, and all that is below it."""
  section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
  (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
  return code, section


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
  code, section = block("Your own writer")
  if request.param == "trackio":
    assert "`import trackio as wandb`" in section
    code = code.replace("import wandb", "import trackio as wandb")
  defined: dict = {}
  exec(code, defined)
  return module, defined["train"]


def test_the_writer_of_the_page_is_given_the_rows_of_the_run(tracker, tmp_path):
  module, train = tracker
  train(tiny(sample_every=6), tmp_path)
  first, *logged, last = module.calls
  assert first == ("init", 8) and last == ("finish", None)
  rows = {row["round"]: row for row in gj.read_rows(tmp_path)}
  assert [step for step, _ in logged] == list(rows) == [4, 6, 8]  # every row, and no other
  for step, columns in logged:
    assert {"round": step, **columns} == rows[step]
  assert all(math.isfinite(columns["discriminator/loss"]) for _, columns in logged)
  assert "score/modes" in logged[-1][1] and "score/modes" not in logged[0][1]


def test_hooks_change_no_number(tmp_path):
  moments = []
  whole = {"rounds_per_call": 8}
  gj.fit(tiny(**whole), tmp_path / "with", hooks=[gj.Every(6, moments.append)])
  gj.fit(tiny(**whole), tmp_path / "without")
  a, b = (gj.load(tmp_path / name).state for name in ("with", "without"))
  assert a.params["generator"]["Dense_0"]["kernel"].tolist() == (
    b.params["generator"]["Dense_0"]["kernel"].tolist()
  )
  assert [moment.round for moment in moments] == [6, 8]
  assert all(isinstance(moment, Moment) and moment.last == 8 for moment in moments)
  assert [int(moment.row.progress["images"]) for moment in moments] == [48, 64]


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


def test_a_hook_adds_a_column_as_the_page_has_it(tmp_path):
  defined: dict = {}
  exec(block("A column")[0], defined)
  gj.fit(tiny(), tmp_path, hooks=[defined["norm"]])
  norms = [row["generator/parameter_norm"] for row in gj.read_rows(tmp_path)]
  state = gj.load(tmp_path).state
  assert len(norms) == 2 and norms[-1] == float(optax.tree.norm(state.params["generator"]))


def test_an_empty_value_is_shown():
  assert differences({"a": ""}, {"a": "b"}) == {"a": "  a: '' there, b here"}


def test_a_run_does_not_go_on_with_another_config_unless_told_to(tmp_path):
  gj.fit(tiny(), tmp_path)
  with pytest.raises(ValueError, match="config.loss: non_saturating there, hinge here"):
    gj.fit(tiny(loss="hinge", rounds=12), tmp_path)
  assert gj.fit(tiny(rounds=10), tmp_path)["rounds"] == 10  # more of the same may be played
  summary = gj.fit(tiny(loss="hinge", rounds=12), tmp_path, allow_config_change=True)
  assert summary["rounds"] == 12 and gj.load(tmp_path).config.loss == "hinge"
