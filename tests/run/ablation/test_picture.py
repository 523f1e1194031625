"""What an ablation has found, as figures."""

import itertools

import numpy as np

from gan_jax.run.ablation import picture
from gan_jax.run.ablation.results import Results

PLAN = {
  "axes": {"loss": ["a", "b"], "penalty": ["none", "r1"]},
  "seeds": [0, 1],
  "score": "kl",
  "better": {"kl": "min"},
  "baseline": {"loss": "a", "penalty": "none"},
}


def row(loss, penalty, seed, kl, failed=None):
  curve = {"round": [10], "kl": [kl]} if failed else {"round": [10, 20], "kl": [2 * kl, kl]}
  return {
    "variant": {"loss": loss, "penalty": penalty},
    "seed": seed,
    "scores": {} if failed else {"kl": {"last": kl, "best": kl, "best_round": 20}},
    "failed": failed,
    "collapsed": bool(failed),
    "curve": curve,
  }


KLS = {("a", "none"): (1.0, 3.0), ("a", "r1"): (1.0, 1.0), ("b", "none"): (5.0, 7.0)}
ROWS = [row(*labels, seed, kl) for labels, kls in KLS.items() for seed, kl in enumerate(kls)]
LOST = [row("b", "r1", 0, 4.0), row("b", "r1", 1, 9.0, failed="kl was nan")]
FOUND = Results(PLAN, ROWS + LOST)


def test_matrix_is_loss_by_penalty():
  axes = picture.matrix(FOUND).axes[0]
  told = {text.get_position(): text.get_text() for text in axes.texts}
  assert told == {
    (0, 0): "2.0\n1.0 to 3.0",
    (1, 0): "1",
    (0, 1): "6.0\n5.0 to 7.0",
    (1, 1): "4\n1 of 2 collapsed",
  }
  assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]
  assert [t.get_text() for t in axes.get_xticklabels()] == ["none", "r1"]
  assert axes.get_title(loc="left") == "kl, 2 seeds"
  light = axes.images[0].get_array().sum(axis=-1)
  assert light.argmax() == 1  # the least


def test_what_has_not_been_run_is_said():
  axes = picture.matrix(Results(PLAN, ROWS)).axes[0]
  assert [text.get_text() for text in axes.texts][-1] == "not run yet"


def test_curves_have_a_line_for_each_loss():
  for rows in (FOUND.rows, FOUND.rows[::-1]):  # they come in the order in which they ended
    left, right = picture.curves(Results(PLAN, rows)).axes
    assert left.get_title(loc="left") == "kl, none" and right.get_title(loc="left") == "kl, r1"
    lines = {(i, line.get_label()): line for i, x in enumerate((left, right)) for line in x.lines}
    assert list(lines) == list(itertools.product((0, 1), "ab"))
    np.testing.assert_array_equal(lines[0, "b"].get_xydata(), [[10, 12], [20, 6]])
    np.testing.assert_array_equal(lines[1, "b"].get_ydata(), [8.5, np.nan])  # one had failed


def test_runs_without_the_score_have_no_line():
  curves = {}, {"round": [10, 20], "modes": [1, 2]}  # failed at once; scored by others alone
  lost = [row("b", "r1", seed, 1.0) | {"curve": curve} for seed, curve in enumerate(curves)]
  left, right = picture.curves(Results(PLAN, ROWS + lost)).axes
  assert [len(line.get_xdata()) for line in right.lines] == [2, 0]
  assert [line.get_color() for line in left.lines] == [line.get_color() for line in right.lines]


def test_one_axis_is_a_column():
  plan = PLAN | {"axes": {"loss": ["a", "b"]}, "baseline": {"loss": "a"}}
  rows = [run | {"variant": {"loss": run["variant"]["loss"]}} for run in ROWS[:2] + ROWS[4:]]
  found = Results(plan, rows)
  assert len(picture.matrix(found).axes[0].texts) == 2
  assert [axes.get_title(loc="left") for axes in picture.curves(found).axes] == ["kl"]
