"""Outcomes of an ablation: the statistics and the verdict of each of its variants.

results = read("runs/losses_ring")
for outcome in outcomes(results):
  print(outcome.variant, outcome.last.mean, outcome.verdict)
"""

import functools
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gan_jax.run.ablation.results import Labels, Results
from gan_jax.run.results.significance import LEVEL, holm, paired_p

RESAMPLES = 10_000  # of a bootstrap: its bounds are steady to a hundredth of their distance
_SEED = 0  # of the bootstrap

APART = "cannot be told apart"
TOO_FEW = "too few seeds"


class Estimate(NamedTuple):
  """A mean over runs.

  Attributes:
    mean: of them; NaN of none.
    error: the standard error; NaN of fewer than two.
    low: lower end of the 95% bootstrap interval.
    high: its upper end.
  """

  mean: float
  error: float
  low: float
  high: float


class Outcome(NamedTuple):
  """Statistics of the runs of one variant, or of all variants with one choice of an axis.

  Attributes:
    variant: labels by axis.
    runs: number of runs that have ended.
    failed: number of runs with a value or a score that was not finite; no estimate counts them.
    collapsed: number of runs that collapsed or failed.
    last: score at the end.
    best: score at its best, which was chosen after the fact, and looks too good.
    difference: last score less the baseline's, over the seeds that both have; None without.
    p: p of the paired t-test over seeds, after Holm's correction for the comparisons of the table.
    verdict: conclusion in words.
  """

  variant: Labels
  runs: int
  failed: int
  collapsed: int
  last: Estimate
  best: Estimate
  difference: float | None
  p: float | None
  verdict: str


# --- statistics -----------------------------------------------------------------------------------


def outcomes(results: Results, score: str | None = None) -> list[Outcome]:
  """Computes the outcome of each variant of the plan, in its order.

  Args:
    results: plan and rows.
    score: name of the score; None for the plan's own.
  """
  grid = itertools.product(*results.plan["axes"].values())
  variants = [dict(zip(results.plan["axes"], labels, strict=True)) for labels in grid]
  return _outcomes(results, variants, results.plan["baseline"], score)


def marginals(results: Results, score: str | None = None) -> dict[str, list[Outcome]]:
  """Computes the outcome of each choice of each axis over all choices of the others.

  Differences are between runs that differ in this axis alone, and both of which ended well. A
  seed's number is the mean over those.

  Args:
    results: plan and rows.
    score: name of the score; None for the plan's own.

  Returns:
    {axis: outcomes}, of several axes.
  """
  plan = results.plan
  if len(plan["axes"]) < 2:
    return {}
  return {
    axis: _outcomes(
      results, [{axis: label} for label in labels], {axis: plan["baseline"][axis]}, score
    )
    for axis, labels in plan["axes"].items()
  }


def _outcomes(
  results: Results, variants: Sequence[Labels], baseline: Labels, score: str | None
) -> list[Outcome]:
  """Computes the outcome of each variant from the runs with its labels."""
  score = score or results.plan["score"]
  ranked = [name for name, way in results.plan["better"].items() if way != "none"]
  if score not in ranked:
    raise ValueError(f"--score is {score!r}: expected one of: {', '.join(ranked)}")
  has = lambda row, labels: labels.items() <= row["variant"].items()
  wanted = [[row for row in results.rows if has(row, labels)] for labels in variants]
  last = [
    _values(rows, labels, score, "last") for rows, labels in zip(wanted, variants, strict=True)
  ]
  other = last[list(variants).index(baseline)]
  pairs = [_paired(values, other) if values is not other else None for values in last]
  # The correction is for the comparisons of one table; the baseline is compared with none.
  ps = iter(holm([pair[1] for pair in pairs if pair]))
  computed = []
  for labels, rows, values, pair in zip(variants, wanted, last, pairs, strict=True):
    best = {k: x for k, x in _values(rows, labels, score, "best").items() if k in values}
    difference, p = (pair[0], next(ps)) if pair else (None, None)
    outcome = Outcome(
      variant=labels,
      runs=len(rows),
      failed=len(rows) - len(values),
      collapsed=sum(row["collapsed"] or not math.isfinite(_value(row, score)) for row in rows),
      last=estimate(list(_by_seed(values).values())),
      best=estimate(list(_by_seed(best).values())),
      difference=difference,
      p=p,
      verdict="",
    )
    is_one = len(labels) == len(results.plan["axes"])
    verdict = _verdict(outcome, results.plan["better"][score], is_one)
    computed.append(outcome._replace(verdict="the baseline" if labels == baseline else verdict))
  return computed


_Values = dict[tuple[str, int], float]  # by the labels of other axes, and seed


def _values(rows: Sequence[Mapping[str, Any]], labels: Labels, score: str, which: str) -> _Values:
  """Returns the scores of the runs that have not failed."""
  values = {}
  for row in rows:
    if math.isfinite(value := _value(row, score, which)):
      others = json.dumps({k: v for k, v in row["variant"].items() if k not in labels})
      values[others, row["seed"]] = value
  return values


def _value(row: Mapping[str, Any], score: str, which: str = "last") -> float:
  """Returns a score of a run; NaN if it has failed."""
  return float("nan" if row["failed"] else row["scores"].get(score, {}).get(which, "nan"))


def _by_seed(values: _Values) -> dict[int, float]:
  """Computes the mean of each seed over all other axes."""
  seeds = sorted({seed for _, seed in values})
  return {s: float(np.mean([x for (_, seed), x in values.items() if seed == s])) for s in seeds}


def estimate(values: Sequence[float]) -> Estimate:
  """Computes a mean over runs, its standard error, and the 95% percentile bootstrap over them."""
  x = np.asarray(values, float)
  if len(x) < 2:
    mean = float(x.mean()) if len(x) else float("nan")
    return Estimate(mean, float("nan"), mean, mean)
  low, high = np.quantile(x[_picks(len(x))].mean(1), [0.025, 0.975])
  return Estimate(float(x.mean()), float(stats.sem(x)), float(low), float(high))


@functools.cache
def _picks(n: int) -> np.ndarray:
  """Samples the runs of each resample of n: [RESAMPLES, n]."""
  return np.random.default_rng(_SEED).integers(n, size=(RESAMPLES, n))


def _paired(values: _Values, baseline: _Values) -> tuple[float, float] | None:
  """Compares runs that differ in their variant alone; None of fewer than two seeds.

  Returns:
    (mean difference, p of the paired t-test over seeds).
  """
  both = {key: values[key] - baseline[key] for key in values if key in baseline}
  steps = np.array(list(_by_seed(both).values()))
  return (float(steps.mean()), paired_p(steps)) if len(steps) > 1 else None


def _verdict(outcome: Outcome, better: str, is_one: bool) -> str:
  """Formats the conclusion on a variant beside the baseline; one with failures has none."""
  if not outcome.runs:
    return "not run yet"
  if outcome.failed and is_one:
    return f"{outcome.failed} of {outcome.runs} failed"
  if outcome.p is None or outcome.difference is None:
    return TOO_FEW
  if not outcome.p < LEVEL:
    return APART
  return "better" if (outcome.difference < 0) == (better == "min") else "worse"
