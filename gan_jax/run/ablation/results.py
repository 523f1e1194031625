"""What an ablation has found: its rows, and what they say of each variant.

    results = read("runs/losses_ring")
    for outcome in outcomes(results):
      print(outcome.variant, outcome.last.mean, outcome.verdict)

An ablation that is still played has the rows that there are.
"""

import functools
import itertools
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gan_jax.files import atomic_write, read_json
from gan_jax.run.ablation.plan import Labels
from gan_jax.run.results import rows as report

PLAN, ROWS = "ablation.json", "rows.jsonl"
LEVEL = 0.05  # of a comparison, after correction for how many there are
RESAMPLES = 10_000  # of a bootstrap: its bounds are steady to a hundredth of their distance
_SEED = 0  # of the bootstrap

APART = "cannot be told apart"
TOO_FEW = "too few seeds"


class Results(NamedTuple):
  """An ablation as it lies in its folder.

  Attributes:
    plan: what was asked for.
    rows: a row of each run that has ended.
  """

  plan: dict[str, Any]
  rows: list[dict[str, Any]]


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
  """What the runs of one variant, or of all variants with one choice of an axis, have in common.

  Attributes:
    variant: labels by axis.
    runs: how many seeds have ended.
    failed: of them, those in which something, or whose score, was not finite; no estimate counts
      them.
    collapsed: those that collapsed or failed.
    last: score at the end.
    best: score at its best, which was chosen after the fact, and looks too good.
    difference: of the last score from the baseline's, over the seeds that both have; None without.
    p: of the paired t-test over seeds, corrected by Holm's method for all comparisons of the table.
    verdict: what follows.
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


# --- files ----------------------------------------------------------------------------------------


def read(workdir: str | pathlib.Path) -> Results:
  """Reads an ablation; a last line that was cut off is left out.

  Args:
    workdir: its folder.

  Returns:
    What is there.

  Raises:
    FileNotFoundError: there is none.
    ValueError: its plan is damaged.
  """
  folder = pathlib.Path(workdir)
  if not (folder / PLAN).is_file():
    raise FileNotFoundError(f"{folder} has no ablation: there is no {PLAN} in it")
  plan, rows = read_json(folder / PLAN), []
  lines = (folder / ROWS).read_text().splitlines() if (folder / ROWS).is_file() else []
  for line in lines:
    try:
      rows.append(json.loads(line))
    except ValueError:
      continue
  return Results(plan, rows)


def write_plan(workdir: pathlib.Path, plan: Mapping[str, Any]) -> None:
  """Writes what is asked for, unless the folder has rows of another base.

  Raises:
    ValueError: it has.
  """
  plan = report.plain({"name": workdir.name, **plan})
  if (workdir / ROWS).is_file():
    old = read(workdir).plan
    for key in ("base", "rounds"):
      if old.get(key) != plan[key]:
        raise ValueError(
          f"{workdir} has rows of another ablation, whose {key} was {_short(old.get(key))}, and it"
          f" is {_short(plan[key])} now; use another --workdir"
        )
  report.write_json(workdir / PLAN, plan)


def add_rows(workdir: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
  """Adds rows to those there are."""
  with atomic_write(workdir / ROWS) as temporary:
    lines = [json.dumps(report.plain(row)) for row in [*read(workdir).rows, *rows]]
    temporary.write_text("\n".join(lines) + "\n")


# --- what follows ---------------------------------------------------------------------------------


def outcomes(results: Results, score: str | None = None) -> list[Outcome]:
  """Judges each variant of the plan, in its order.

  Args:
    results: of the runs.
    score: by which; None for the plan's own.

  Returns:
    The outcomes.
  """
  grid = itertools.product(*results.plan["axes"].values())
  variants = [dict(zip(results.plan["axes"], labels, strict=True)) for labels in grid]
  return _judged(results, variants, results.plan["baseline"], score)


def marginals(results: Results, score: str | None = None) -> dict[str, list[Outcome]]:
  """Judges each choice of each axis over all choices of the others.

  Differences are between runs that differ in this axis alone, and both of which ended well. A
  seed's number is the mean over those.

  Args:
    results: of the runs.
    score: by which; None for the plan's own.

  Returns:
    Outcomes by axis, if there are several axes.
  """
  plan = results.plan
  if len(plan["axes"]) < 2:
    return {}
  return {
    axis: _judged(
      results, [{axis: label} for label in labels], {axis: plan["baseline"][axis]}, score
    )
    for axis, labels in plan["axes"].items()
  }


def _judged(
  results: Results, variants: Sequence[Labels], baseline: Labels, score: str | None
) -> list[Outcome]:
  """Judges variants, each of the runs whose labels it has."""
  score = score or results.plan["score"]
  ranked = [name for name, way in results.plan["better"].items() if way != "none"]
  if score not in ranked:
    raise ValueError(f"--score is {score!r}: expected one of: {', '.join(ranked)}")
  wanted = [[row for row in results.rows if _has(row, labels)] for labels in variants]
  last = [
    _values(rows, labels, score, "last") for rows, labels in zip(wanted, variants, strict=True)
  ]
  other = last[list(variants).index(baseline)]
  apart = [_paired(mine, other) if mine is not other else None for mine in last]
  ps = iter(holm([pair[1] for pair in apart if pair]))
  found = []
  for labels, rows, mine, pair in zip(variants, wanted, last, apart, strict=True):
    best = {k: x for k, x in _values(rows, labels, score, "best").items() if k in mine}
    difference, p = (pair[0], next(ps)) if pair else (None, None)
    outcome = Outcome(
      variant=labels,
      runs=len(rows),
      failed=len(rows) - len(mine),
      collapsed=sum(row["collapsed"] for row in rows),
      last=estimate(list(_by_seed(mine).values())),
      best=estimate(list(_by_seed(best).values())),
      difference=difference,
      p=p,
      verdict="",
    )
    is_one = len(labels) == len(results.plan["axes"])
    verdict = _verdict(outcome, results.plan["better"][score], is_one)
    found.append(outcome._replace(verdict="the baseline" if labels == baseline else verdict))
  return found


def _has(row: Mapping[str, Any], labels: Labels) -> bool:
  return all(row["variant"].get(axis) == label for axis, label in labels.items())


_Values = dict[tuple[str, int], float]  # by the labels of other axes, and seed


def _values(rows: Sequence[Mapping[str, Any]], labels: Labels, score: str, which: str) -> _Values:
  """Takes the scores of runs that have not failed."""
  found = {}
  for row in rows:
    value = float("nan" if row["failed"] else row["scores"].get(score, {}).get(which, "nan"))
    if math.isfinite(value):
      others = json.dumps({k: v for k, v in row["variant"].items() if k not in labels})
      found[others, row["seed"]] = value
  return found


def _by_seed(values: _Values) -> dict[int, float]:
  """Averages over all but the seed."""
  seeds = sorted({seed for _, seed in values})
  return {s: float(np.mean([x for (_, seed), x in values.items() if seed == s])) for s in seeds}


def estimate(values: Sequence[float]) -> Estimate:
  """Estimates a mean from runs: its standard error, and the 95% percentile bootstrap over them."""
  x = np.asarray(values, float)
  if len(x) < 2:
    mean = float(x.mean()) if len(x) else float("nan")
    return Estimate(mean, float("nan"), mean, mean)
  low, high = np.quantile(x[_picks(len(x))].mean(1), [0.025, 0.975])
  return Estimate(float(x.mean()), float(stats.sem(x)), float(low), float(high))


@functools.cache
def _picks(n: int) -> np.ndarray:
  """Draws which of n runs are in each resample: [RESAMPLES, n]."""
  return np.random.default_rng(_SEED).integers(n, size=(RESAMPLES, n))


def _paired(mine: _Values, other: _Values) -> tuple[float, float] | None:
  """Compares runs that are alike but for their variant; None where there are no two seeds.

  Returns:
    (mean difference, p of the paired t-test over seeds).
  """
  both = {key: mine[key] - other[key] for key in mine if key in other}
  steps = np.array(list(_by_seed(both).values()))
  return (float(steps.mean()), paired_p(steps)) if len(steps) > 1 else None


def paired_p(steps: np.ndarray) -> float:
  """Computes the two-sided p of the paired t-test of differences [n], n > 1.

  Where they are all the same the test has no spread to go by; what is left is how likely it is that
  all have one sign, 2 / 2^n.
  """
  spread, mean = float(steps.std(ddof=1)), float(steps.mean())
  if spread <= 1e-12 * abs(mean) or spread == 0:
    return 1.0 if mean == 0 else 2.0 ** (1 - len(steps))
  return float(2 * stats.t.sf(abs(mean) / (spread / len(steps) ** 0.5), len(steps) - 1))


def holm(ps: Sequence[float]) -> list[float]:
  """Corrects p values for their number (Holm 1979): that of a family error, none of them smaller.

  Args:
    ps: of the comparisons.

  Returns:
    Corrected ones, in the same order.
  """
  order = np.argsort(ps)
  corrected, highest = np.empty(len(ps)), 0.0
  for rank, i in enumerate(order):
    highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
    corrected[i] = highest
  return corrected.tolist()


def _verdict(outcome: Outcome, better: str, is_one: bool) -> str:
  """Says what follows of a variant beside the baseline; one with failures is not judged."""
  if not outcome.runs:
    return "not run yet"
  if outcome.failed and is_one:
    return f"{outcome.failed} of {outcome.runs} failed"
  if outcome.p is None or outcome.difference is None:
    return TOO_FEW
  if not outcome.p < LEVEL:
    return APART
  return "better" if (outcome.difference < 0) == (better == "min") else "worse"


def _short(value: Any) -> str:
  text = str(value)
  return text if len(text) < 60 else text[:57] + "..."
