"""An ablation as a page shows it: its outcomes in order, and the curves of its variants."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.run.ablation.outcomes import Outcome, marginals, outcomes
from gan_jax.run.ablation.results import Results, read, variant_name
from gan_jax.run.ablation.table import conclusions
from gan_jax.run.report.curves import PLAY, Curve, drawable
from gan_jax.run.results.listing import RunSummary, summarise_run


class Ablation(NamedTuple):
  """An ablation, as a page shows it.

  Attributes:
    summary: folder, state and progress.
    results: plan and rows.
    outcomes: {score: outcomes of all variants that have runs}, in one order: the baseline, then the
      best first.
    marginals: {axis: outcomes of its choices over all else}.
    conclusions: sentences.
    curves: {metric: {place of a variant in `outcomes`: a curve of each seed}}.
  """

  summary: RunSummary
  results: Results
  outcomes: Mapping[str, Sequence[Outcome]]
  marginals: Mapping[str, Sequence[Outcome]]
  conclusions: Sequence[str]
  curves: Mapping[str, Mapping[int, Sequence[Curve]]]

  @property
  def name(self) -> str:
    """Its name."""
    return str(self.results.plan["name"])

  @property
  def score(self) -> str:
    """The score of its verdicts."""
    return str(self.results.plan["score"])

  @property
  def better(self) -> str:
    """The direction in which that score is better, "min" or "max"."""
    return str(self.results.plan["better"][self.score])

  @property
  def variants(self) -> Sequence[Outcome]:
    """Outcomes by that score."""
    return self.outcomes[self.score]


def read_ablation(path: pathlib.Path) -> Ablation:
  """Loads an ablation from its folder.

  Raises:
    ValueError: it is damaged, or has no rows yet.
  """
  summary = summarise_run(path)
  if summary.state == "damaged":
    raise ValueError(summary.note)
  results = read(path)
  if not results.rows:
    raise ValueError(f"{path} has no rows yet: gan_jax ablate plays its runs")
  plan = results.plan
  try:
    _check(results)
    by_score = {score: outcomes(results, score) for score in plan["better"]}
    order = _ranked(by_score[plan["score"]], plan)
    by_score = {score: [variants[i] for i in order] for score, variants in by_score.items()}
    curves = _curves(results, [o.variant for o in by_score[plan["score"]]])
    return Ablation(summary, results, by_score, marginals(results), conclusions(results), curves)
  except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
    raise ValueError(f"{path}: its plan or its rows are damaged ({error!r})") from error


_KINDS = {"name": str, "collapse": str, "rounds": int, "machine": dict}


def _check(results: Results) -> None:
  """Checks the types in a plan and rows."""
  for key, kind in _KINDS.items():
    if not isinstance(results.plan.get(key, kind()), kind):
      raise ValueError(f"{key} is {results.plan[key]!r}")
  if not all(isinstance(row["changes"], dict) for row in results.rows):
    raise ValueError("a row does not say what it changed")


def _ranked(variants: Sequence[Outcome], plan: Mapping[str, Any]) -> list[int]:
  """Sorts variants that have runs: the baseline, then the best first, those that failed last."""
  sign = -1 if plan["better"][plan["score"]] == "max" else 1
  key = lambda i: (
    variants[i].variant != plan["baseline"],
    variants[i].failed > 0,
    math.isnan(variants[i].last.mean),
    sign * variants[i].last.mean if math.isfinite(variants[i].last.mean) else 0.0,
    variants[i].collapsed,
  )
  return sorted((i for i, outcome in enumerate(variants) if outcome.runs), key=key)


def _curves(
  results: Results, variants: Sequence[Mapping[str, str]]
) -> dict[str, dict[int, list[Curve]]]:
  places = {variant_name(variant): i for i, variant in enumerate(variants)}
  curves: dict[str, dict[int, list[Curve]]] = {}
  for row in results.rows:
    x, place = np.array(row["curve"].get("round", ()), int), places[variant_name(row["variant"])]
    for name in (*results.plan["better"], *PLAY):
      y = np.array([float(value) for value in row["curve"].get(name, ())])
      if len(x) > 1 and len(y) == len(x):
        finite = np.isfinite(y)
        curve = drawable(Curve(x[finite], y[finite]))
        curves.setdefault(name, {}).setdefault(place, []).append(curve)
  return curves
