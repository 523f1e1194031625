"""Runs of an ablation: each is its single run, is not played twice, and fails alone."""

import gc
import io
import json
import weakref

import numpy as np
import pytest
from counting import count
from kinds import VARIANTS

from gan_jax import data
from gan_jax.files import read_json
from gan_jax.losses.one_step.distribution_matching import mixture_denoiser
from gan_jax.run import experiment
from gan_jax.run.ablation import (
  Axis,
  ablation,
  axis,
  estimate,
  outcomes,
  picture,
  plan,
  play,
  results,
  table,
)
from gan_jax.run.config.sections.kinds import distribution_matching
from gan_jax.run.evaluation.evaluators.build import evaluator_for
from gan_jax.run.report.ablation import read_ablation
from gan_jax.run.results.listing import summarise_run
from gan_jax.run.training.train import fit
from tests.run.ablation.conftest import tiny


def quiet(found):
  return lambda runs, round, rows: None


@pytest.fixture(scope="module")
def played(tmp_path_factory):
  """The small ablation, played once, and what was told of it."""
  folder, told, asked = tmp_path_factory.mktemp("ablation"), [], tiny()
  watch = lambda found: lambda runs, round, rows: told.append((runs[0].key, round, rows))
  return play.run(asked, folder, watch), folder, told


def test_every_run_has_its_row(played):
  found, folder, told = played
  assert len(found.rows) == 12
  first = found.rows[0]
  assert first["rounds"] == 4 and first["images"] == 32 and first["failed"] is None
  assert first["curve"]["round"] == [2.0, 4.0]
  assert set(first["scores"]) == {"modes", "high_quality", "kl"}
  assert first["collapsed"] is (first["scores"]["modes"]["last"] < 8)
  assert found.plan["score"] == "high_quality" and found.plan["base"]["data"] == "ring8"
  programs = {key for key, _, _ in told}  # two at once, whose reports come in any order
  for program in programs:
    assert [round for key, round, _ in told if key == program] == [0, 2, 4, 4]
  assert read_json(folder / results.PLAN) == found.plan


def test_variants_are_built_once_and_their_seeds_share_an_evaluator(tmp_path, monkeypatch):
  counted = {
    function.__name__: count(monkeypatch, function)
    for function in (experiment.assemble, evaluator_for, data.load)
  }
  axes = [axis("loss", ("non_saturating", "hinge"))]
  asked = tiny(axes=axes, baseline={"loss": "hinge"}, seeds=range(5), rounds=2)
  assert len(play.run(asked, tmp_path, quiet).rows) == 10
  calls = {name: len(found) for name, found in counted.items()}
  assert calls == {"assemble": 2, "evaluator_for": 1, "load": 2}  # the splits, once for both


def test_no_variant_keeps_its_teacher_and_each_is_timed_with_it(monkeypatch):
  """Of many variants of large data that would be many copies, before the first is played."""
  config, made = VARIANTS["distribution_matching of examples"](), []

  def remembered(*given):
    teacher = mixture_denoiser(*given)
    made.append(weakref.ref(teacher))
    return teacher

  monkeypatch.setattr(distribution_matching, "mixture_denoiser", remembered)
  axes = [Axis("std", {name: {"teacher.std": std} for name, std in (("0", 0.0), ("wide", 0.5))})]
  asked = ablation(config, axes, baseline={"std": "0"}, seeds=(0,), score="rbf_mmd")
  runs = plan.members(asked)
  experiments = play.check(runs)
  gc.collect()
  assert [teacher() for teacher in made] == [None, None]
  group = plan.groups(runs, asked.together)[0]
  # Of 8 examples, 3 moves and 64 centres of 64 numbers: the teacher is among the operations.
  assert estimate._operations(group, experiments[group.members[0].name]) > 8 * 3 * 2 * 64 * 64


def test_row_is_that_of_a_single_run(played, tmp_path):
  """Losses and scores, at rounds 2 and 4; rounding may move a sample over the edge of a mode."""
  mine = plan.members(tiny())[-1]
  row = next(r for r in played[0].rows if plan.key_of(r["changes"], r["seed"]) == mine.key)
  fit(experiment.build(mine.config), tmp_path)
  rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
  scored = [r for r in rows if "score/modes" in r]
  for name in ("discriminator/loss", "generator/loss", "margin"):
    np.testing.assert_allclose(row["curve"][name], [r[name] for r in scored], rtol=1e-4)
  high = [r["score/high_quality"] for r in scored]
  np.testing.assert_allclose(row["curve"]["high_quality"], high, atol=0.021)


def test_what_has_a_row_is_not_played_again(played):
  found, folder, _ = played
  before = (folder / results.ROWS).read_text()

  def watch(there):
    assert len(there.rows) == 12
    return lambda *told: pytest.fail("nothing is left to play")

  assert play.run(tiny(), folder, watch).rows == found.rows
  assert (folder / results.ROWS).read_text() == before


def test_more_seeds_are_added(played, tmp_path):
  found, folder, _ = played
  (tmp_path / results.PLAN).write_bytes((folder / results.PLAN).read_bytes())
  (tmp_path / results.ROWS).write_text("".join(json.dumps(r) + "\n" for r in found.rows))
  axes = [Axis("r1", {"none": {}})]
  more = play.run(tiny(axes=axes, baseline={"r1": "none"}, seeds=(0, 1, 2)), tmp_path, quiet)
  as_named = [{**row, "variant": {"r1": "none"}} for row in found.rows if row["changes"] == {}]
  assert len(more.rows) == 3 and more.rows[:2] == as_named
  assert all(row in results.read_rows(tmp_path) for row in found.rows)


def test_what_the_file_calls_otherwise_is_not_played_again(played, tmp_path, monkeypatch):
  """Rows follow the names, the order and the rule of the file; those it leaves out are kept."""
  found, folder, _ = played
  for name in (results.PLAN, results.ROWS):
    (tmp_path / name).write_bytes((folder / name).read_bytes())
  monkeypatch.setattr(play, "_play", lambda *args: pytest.fail("a run was played again"))
  loss, r1 = tiny().axes
  weights = {{"none": "off"}.get(label, label): change for label, change in r1.choices.items()}
  baseline = {"penalty": "off", "loss": "non_saturating"}
  other = {"axes": [Axis("penalty", weights), loss], "baseline": baseline, "collapse": "modes<0"}
  renamed = play.run(tiny(**other), tmp_path, quiet)
  assert all(outcome.runs == 2 and not outcome.collapsed for outcome in outcomes.outcomes(renamed))
  by_key = {(str(row["changes"]), row["seed"]): row["scores"] for row in found.rows}
  assert all(by_key[str(row["changes"]), row["seed"]] == row["scores"] for row in renamed.rows)
  picture.curves(renamed)
  assert read_ablation(tmp_path).conclusions[0].startswith("penalty, beside off")
  fewer = {"axes": [loss], "baseline": {"loss": "non_saturating"}, "seeds": (1,)}
  less = play.run(tiny(**fewer), tmp_path, quiet)
  assert [(row["variant"], row["seed"]) for row in less.rows] == [
    ({"loss": "non_saturating"}, 1),
    ({"loss": "hinge"}, 1),
  ]
  summary = summarise_run(tmp_path)
  assert (summary.state, summary.played, summary.total) == ("done", 2, 2)
  again = play.run(tiny(), tmp_path, quiet)
  key = lambda row: (str(row["changes"]), row["seed"])
  assert sorted(again.rows, key=key) == sorted(found.rows, key=key)


def test_a_run_of_other_rounds_is_another(played, tmp_path, monkeypatch):
  """Of another budget of images the first variant may have the same rounds, and others not."""
  found, folder, _ = played
  (tmp_path / results.PLAN).write_bytes((folder / results.PLAN).read_bytes())
  rows = [*found.rows[:-1], {**found.rows[-1], "rounds": 2}]
  (tmp_path / results.ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows))
  waiting = []
  monkeypatch.setattr(play, "_play", lambda group, *rest: waiting.extend(group.members) or [])
  play.run(tiny(), tmp_path, quiet)
  assert [(one.labels, one.config.seed) for one in waiting] == [
    (rows[-1]["variant"], rows[-1]["seed"])
  ]


def test_a_variant_that_has_changed_is_played_anew(played, tmp_path):
  """Its rows take the place of those of what it was, and the others stay."""
  found, folder, _ = played
  (tmp_path / results.PLAN).write_bytes((folder / results.PLAN).read_bytes())
  (tmp_path / results.ROWS).write_text("".join(json.dumps(r) + "\n" for r in found.rows))
  asked, told = tiny(), []
  old, choices = asked.axes[0]
  name, changes = list(choices.items())[-1]
  asked.axes = [Axis(old, {**choices, name: {**changes, "average.decay": 0.5}}), *asked.axes[1:]]
  again = play.run(asked, tmp_path, lambda there: told.append(len(there.rows)) or quiet(there))
  of = lambda rows: [r for r in rows if r["variant"][old] == name]
  assert len(again.rows) == len(found.rows) == told[0] + len(of(found.rows))
  assert all(r["changes"]["average.decay"] == 0.5 for r in of(again.rows))
  assert [r for r in again.rows if r not in of(again.rows)] == [
    r for r in found.rows if r not in of(found.rows)
  ]


def test_folder_of_another_ablation_is_refused(played):
  with pytest.raises(ValueError, match=r"another ablation:\n  --config.rounds: 4 there, 6 here\n"):
    play.run(tiny(rounds=6), played[1], quiet)


def test_failed_run_is_reported_and_leaves_the_others(tmp_path):
  choices = {"none": {}, "wild": {"regularizers.r1": 1e38}, "weak": {"regularizers.r1": 0.1}}
  found = play.run(tiny(axes=[Axis("r1", choices)], baseline={"r1": "none"}), tmp_path, quiet)
  bad = {r["variant"]["r1"]: r for r in found.rows}
  assert "in round" in bad["wild"]["failed"] and bad["wild"]["collapsed"]
  assert bad["weak"]["failed"] is None and bad["weak"]["scores"]
  assert outcomes.outcomes(found)[1].verdict == "2 of 2 failed"


def test_images_have_the_scores_that_they_can_have(tmp_path):
  """Without labels that were asked for there is no accuracy of classes."""
  asked = tiny(axes=[axis("loss", ["hinge"])], baseline={"loss": "hinge"}, score="", collapse="")
  asked.base.data, asked.base.num_fake = "mnist10k", 100
  asked.base.generator.output = "tanh"
  found = play.run(asked, tmp_path, quiet)
  assert found.plan["score"] == "frechet_distance"
  assert [set(row["scores"]) for row in found.rows] == [
    {"frechet_distance", "classes", "class_kl"}
  ] * 2


def test_data_without_labels_or_a_test_split_end_in_figures_and_a_verdict(tmp_path, capsys):
  """Of one seed it says what is missing; what they lack is asked for by an ablation's own flags."""
  rng = np.random.default_rng(0)
  np.savez(tmp_path / "data.npz", x=rng.integers(256, size=(60, 8, 8, 1), dtype=np.uint8))
  losses = [axis("loss", ["hinge", "wasserstein"])]
  asked = tiny(axes=losses, baseline={"loss": "hinge"}, seeds=(0,), score="", collapse="")
  asked.base.data = f"npz:{tmp_path / 'data.npz'}"
  found = play.run(asked, tmp_path / "run", quiet)
  assert table.conclusions(found) == [
    "loss, beside hinge: too few seeds, and two can be compared: add some to --config.seeds."
  ]
  assert outcomes.outcomes(found)[1].last.mean > 0
  for draw in (picture.matrix, picture.curves):
    assert draw(found).axes
  assert "there is no test split; hold some out by" in (told := capsys.readouterr().err)
  assert "--config.base.data_options.hold_out=0.1" in told
  asked.base.evaluation.real = "test"
  with pytest.raises(ValueError, match="by --config.base.data_options.hold_out=0.1, or score"):
    play.run(asked, tmp_path / "run", quiet)


@pytest.mark.parametrize(
  ("options", "said"),
  [
    ({"score": "frechet"}, "expected one of: modes, high_quality, kl"),
    ({"collapse": "classes<3"}, "the scores are"),
    (
      {"axes": [Axis("loss", {"none": {}, "x": {"loss": "hing"}})], "baseline": {"loss": "none"}},
      "loss x: config.loss: unknown loss 'hing'",
    ),
    (
      {
        "axes": [Axis("by", {"none": {}, "x": {"evaluation.features": "pixels"}})],
        "baseline": {"by": "none"},
      },
      "by x: ring8 is scored by its modes",
    ),
  ],
)
def test_what_cannot_be_played_is_said_before_anything_is(options, said, tmp_path):
  with pytest.raises(ValueError, match=said):
    play.run(tiny(**options), tmp_path, quiet)
  assert not (tmp_path / results.ROWS).exists()


class Terminal(io.StringIO):
  """A stream that says it is a terminal."""

  def isatty(self):
    return True


def test_board_fills(asked):
  runs, stream = plan.members(asked), Terminal()
  there = results.Results({"score": "modes"}, [])
  board = table.Board(there, runs, stream)
  board(runs[:2], 2, None)
  scores = {"modes": {"last": 6.0}}
  rows = [{"variant": one.labels, "failed": None, "scores": scores} for one in runs[:2]]
  board(runs[:2], 4, rows)
  drawn = stream.getvalue().split("\x1b[4F")
  assert len(drawn) == 2  # the second over the four lines of the first
  assert "non_saturating  50%   ·     ·" in drawn[0]
  assert "non_saturating  6     ·     ·" in drawn[1] and "2/12 runs" in drawn[1]


def test_board_without_a_terminal_tells_what_has_ended(asked):
  runs, stream = plan.members(asked), io.StringIO()
  board = table.Board(results.Results({"score": "modes"}, []), runs, stream)
  board(runs[:1], 2, None)
  assert stream.getvalue() == ""
  row = {"variant": runs[0].labels, "failed": "V was nan in round 1", "scores": {}}
  board(runs[:1], 4, [row])
  assert "1/12 runs" in stream.getvalue() and "all failed, 1 runs" in stream.getvalue()
