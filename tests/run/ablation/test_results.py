"""What rows say: estimates, comparisons over seeds, corrections, verdicts."""

import json

import numpy as np
import pytest
from scipy import stats

from gan_jax.run.ablation import results, table
from gan_jax.run.ablation.outcomes import APART, estimate, marginals, outcomes
from gan_jax.run.ablation.results import Results

PLAN = {
  "axes": {"loss": ["a", "b"], "penalty": ["none", "r1"]},
  "seeds": [0, 1, 2],
  "score": "kl",
  "better": {"kl": "min", "modes": "max"},
  "baseline": {"loss": "a", "penalty": "none"},
}


def row(loss, penalty, seed, kl, modes=8.0, failed=None, collapsed=False):
  scores = {
    name: {"last": value, "best": value / 2, "best_round": 1}
    for name, value in (("kl", kl), ("modes", modes))
  }
  variant = {"loss": loss, "penalty": penalty}
  return {
    "variant": variant,
    "seed": seed,
    "scores": {} if failed else scores,
    "failed": failed,
    "collapsed": collapsed or bool(failed),
  }


def rows_of(values):
  """Rows of {(loss, penalty): scores of the seeds}."""
  return [row(*key, seed, kl) for key, kls in values.items() for seed, kl in enumerate(kls)]


def test_estimate_is_mean_and_standard_error():
  found = estimate([1.0, 2.0, 3.0])
  assert found.mean == 2.0 and found.error == pytest.approx(1 / 3**0.5)
  # Of 27 resamples of three values the lowest mean has 1, above 2.5%, and the highest too.
  assert (found.low, found.high) == (1.0, 3.0)


def test_bootstrap_covers_about_what_it_says():
  """Of 400 samples of 20 normals; a percentile interval of 20 covers 93% (2 errors are 2.5%)."""
  rng = np.random.default_rng(0)
  intervals = [estimate(rng.normal(size=20)) for _ in range(400)]
  assert 0.90 < np.mean([e.low < 0 < e.high for e in intervals]) < 0.965


def test_estimate_of_few():
  assert np.isnan(estimate([]).mean) and np.isnan(estimate([3.0]).error)
  assert estimate([3.0])[::2] == (3.0, 3.0)


def test_verdicts_are_over_pairs_of_a_seed():
  """Seeds differ more than losses do: only their pairs tell them apart."""
  base, step = np.array([1.0, 5.0, 9.0]), np.array([0.5, 0.51, 0.49])
  values = {
    ("a", "none"): base,
    ("a", "r1"): base - step,
    ("b", "none"): base + step,
    ("b", "r1"): base + np.array([0.5, -0.5, 0.1]),
  }
  found = outcomes(Results(PLAN, rows_of(values)))
  assert [o.verdict for o in found] == ["the baseline", "better", "worse", APART]
  assert found[1].difference == pytest.approx(-0.5)
  assert found[1].p == pytest.approx(3 * stats.ttest_1samp(step, 0).pvalue)
  assert found[0].difference is None and found[0].best.mean == 2.5


def test_more_is_better_where_it_is():
  values = {("a", "none"): [1, 1.1, 1], ("a", "r1"): [3, 3.3, 3.1]}
  rows = [{**r, "scores": {"modes": r["scores"]["kl"]}} for r in rows_of(values)]
  assert outcomes(Results(PLAN, rows), "modes")[1].verdict == "better"


def test_failed_runs_are_counted_and_not_averaged():
  rows = rows_of({("a", "none"): [1.0, 2.0, 3.0], ("a", "r1"): [1.0, 2.0]})
  rows += [row("a", "r1", 2, 0.0, failed="loss was nan in round 3")]
  rows += [row("b", "none", seed, kl) for seed, kl in enumerate([1.0, float("inf"), 3.0])]
  found = outcomes(Results(PLAN, rows))
  assert found[1].failed == 1 and found[1].collapsed == 1 and found[1].last.mean == 1.5
  assert found[1].verdict == "1 of 3 failed"
  assert found[2].failed == found[2].collapsed == 1 and found[2].last.mean == 2.0
  assert found[3].verdict == "not run yet"


def test_marginals_pair_runs_that_differ_in_one_axis():
  values = {
    ("a", "none"): [1.0, 2.0, 3.0],
    ("a", "r1"): [0.0, 1.1, 1.9],
    ("b", "none"): [10.0, 20.0, 30.0],
    ("b", "r1"): [9.0, 19.1, 28.9],
  }
  found = marginals(Results(PLAN, rows_of(values)))
  assert list(found) == ["loss", "penalty"]
  r1 = found["penalty"][1]
  assert r1.runs == 6 and r1.difference == pytest.approx(-1.0) and r1.verdict == "better"
  assert r1.p == pytest.approx(stats.ttest_1samp([-1.0, -0.9, -1.1], 0).pvalue)
  assert marginals(Results({**PLAN, "axes": {"loss": ["a", "b"]}}, [])) == {}


def test_too_few_seeds_are_said():
  rows = rows_of({("a", "none"): [1.0], ("a", "r1"): [1.0]})
  assert outcomes(Results(PLAN, rows))[1].verdict == "too few seeds"


def test_table_has_a_line_for_each_and_says_how_it_judges():
  values = {("a", "none"): [1.0, 2.0, 3.0], ("a", "r1"): [0.0, 1.1, 1.9]}
  rows = [*rows_of(values), row("b", "r1", 0, 1.0, collapsed=True)]
  text = table.table(Results(PLAN, rows))
  assert "a     r1       1 ± 0.55  [0, 1.9]" in text
  assert "less kl is better" in text and "Holm" in text
  assert "collapsed or failed: 1 of 7 runs; most of all loss b, penalty r1 1 of 1." in text


def test_conclusions_are_a_sentence_for_each_axis():
  base = np.array([1.0, 5.0, 9.0])
  values = {
    ("a", "none"): base,
    ("a", "r1"): base - np.array([0.5, 0.51, 0.49]),
    ("b", "none"): base,
    ("b", "r1"): base - np.array([0.5, 0.51, 0.49]),
  }
  assert table.conclusions(Results(PLAN, rows_of(values))) == [
    "loss, beside a: nothing can be told apart.",
    "penalty, beside none: r1 (-0.5) is better.",
  ]
  assert table.conclusions(Results(PLAN, []))[0] == "loss, beside a: nothing to compare yet."


def test_score_that_there_is_not_is_said():
  with pytest.raises(ValueError, match="--score is 'modess': expected one of: kl, modes"):
    outcomes(Results(PLAN, rows_of({("a", "none"): [1.0]})), "modess")


def test_folder_that_has_none(tmp_path):
  with pytest.raises(FileNotFoundError, match="has no ablation"):
    results.read(tmp_path)


def test_line_that_was_cut_off_is_left_out(tmp_path):
  (tmp_path / results.PLAN).write_text(json.dumps(PLAN))
  whole = row("a", "none", 0, 1.0)
  (tmp_path / results.ROWS).write_text(json.dumps(whole) + '\n{"seed": 1, "sco')
  assert results.read(tmp_path).rows == [whole]
  (tmp_path / results.ROWS).write_text('{"seed": 0}\n')
  with pytest.raises(ValueError, match="its rows are damaged"):
    results.read(tmp_path)


def test_rows_of_another_base_are_refused_by_the_keys_that_differ(tmp_path):
  """Bases that are alike in all but a few of many keys: these alone are shown, and at most five."""
  base = {f"a{i}": "of both" for i in range(40)} | {"optimizers": {"g": {"b1": 0.5}}, "of": (1, 2)}
  (tmp_path / results.ROWS).write_text('{"seed": 0}\n')
  (tmp_path / results.PLAN).write_text(json.dumps({"base": base, "rounds": 4}))
  results.write_plan(tmp_path, {"base": base, "rounds": 4})
  other = base | {"optimizers": {"g": {"b1": 0.9}}, "z": 1}
  told = "  --config.base.optimizers.g.b1: 0.5 there, 0.9 here\n  --config.base.z: not set there, 1"
  with pytest.raises(ValueError, match=rf"another ablation:\n{told} here\nset these as they were"):
    results.write_plan(tmp_path, {"base": other, "rounds": 4})
  with pytest.raises(ValueError) as error:
    results.write_plan(tmp_path, {"base": {}, "rounds": 4})
  assert str(error.value).count(" there, ") == 5 and "and 37 other keys" in str(error.value)
