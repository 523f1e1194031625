"""An ablation as figures: the matrix of its results, and the curves of its runs.

plots.save(matrix(results.read("runs/losses_ring")), "matrix.svg")
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_jax import plots
from gan_jax.plots import Style
from gan_jax.run.ablation.outcomes import Outcome, outcomes
from gan_jax.run.ablation.results import Results, arrange, by_column, place

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def matrix(results: Results, score: str | None = None, style: Style = "light") -> "Figure":
  """Draws the last score of each variant, with its 95% interval and its number of collapsed runs.

  Args:
    results: plan and rows.
    score: name of the score; None for the plan's own.
    style: "light" or "dark".

  Returns:
    The figure: the first axis down, the others across.
  """
  plan = results.plan
  score = score or plan["score"]
  rows, columns, variants = arrange((o.variant, o) for o in outcomes(results, score))
  cells = [[variants[row, column] for column in columns] for row in rows]
  each = lambda field: [[getattr(cell.last, field) for cell in row] for row in cells]
  return plots.matrix(
    each("mean"),
    each("low"),
    each("high"),
    rows=rows,
    columns=columns,
    title=f"{score.replace('_', ' ')}, {len(plan['seeds'])} seeds",
    better=plan["better"][score],
    notes=[[_note(cell) for cell in row] for row in cells],
    style=style,
  )


def curves(results: Results, score: str | None = None, style: Style = "light") -> "Figure":
  """Draws a score over rounds: a line within its band for each choice of the first axis.

  Args:
    results: plan and rows, one at least.
    score: name of the score; None for the plan's own.
    style: "light" or "dark".

  Returns:
    The figure: a panel for each choice of the other axes.
  """
  score = score or results.plan["score"]
  rows = sorted(results.rows, key=lambda row: by_column(results.plan, row["variant"]))
  panels: dict[str, dict[str, Any]] = {}
  for (label, panel), runs in itertools.groupby(rows, key=lambda row: place(row["variant"])):
    panels.setdefault(f"{score.replace('_', ' ')}, {panel}".strip(", "), {})[label] = _series(
      [run["curve"] for run in runs], score
    )
  return plots.curves(panels, style=style)


def _note(outcome: Outcome) -> str:
  if not outcome.runs:
    return "not run yet"
  return f"{outcome.collapsed} of {outcome.runs} collapsed" if outcome.collapsed else ""


def _series(runs: Sequence[Mapping[str, Any]], score: str) -> tuple[np.ndarray, np.ndarray]:
  """Returns the scores of runs: (rounds [n], scores [n, runs]), NaN where a run has none."""
  series = [
    dict(zip(run["round"], run[score], strict=True)) if score in run else {} for run in runs
  ]
  rounds = sorted(set().union(*series))
  values = [[float(run.get(at, math.nan)) for run in series] for at in rounds]
  return np.array(rounds), np.array(values).reshape(len(rounds), len(runs))
