"""An ablation as figures: a matrix of what it has found, and the curves of its runs.

found = results.read("runs/losses_ring")
plots.save(matrix(found), "matrix.svg")
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_jax import plots
from gan_jax.plots import Style
from gan_jax.run.ablation.plan import Labels
from gan_jax.run.ablation.results import Outcome, Results, outcomes

if TYPE_CHECKING:
  from matplotlib.figure import Figure


def matrix(results: Results, score: str | None = None, style: Style = "light") -> "Figure":
  """Draws the last score of each variant, with its 95% interval and how many runs collapsed.

  Args:
    results: of the runs.
    score: which; None for the plan's own.
    style: "light" or "dark".

  Returns:
    The figure: the first axis down, the others across.
  """
  plan = results.plan
  score = score or plan["score"]
  found = {_place(outcome.variant): outcome for outcome in outcomes(results, score)}
  down, across = (list(dict.fromkeys(part)) for part in zip(*found, strict=True))
  cells = [[found[row, column] for column in across] for row in down]
  each = lambda what: [[getattr(cell.last, what) for cell in row] for row in cells]
  return plots.matrix(
    each("mean"),
    each("low"),
    each("high"),
    rows=down,
    columns=across,
    title=f"{score.replace('_', ' ')}, {len(plan['seeds'])} seeds",
    better=plan["better"][score],
    notes=[[_note(cell) for cell in row] for row in cells],
    style=style,
  )


def curves(results: Results, score: str | None = None, style: Style = "light") -> "Figure":
  """Draws a score over rounds: a line within its band for each choice of the first axis.

  Args:
    results: of the runs, one at least.
    score: which; None for the plan's own.
    style: "light" or "dark".

  Returns:
    The figure: a panel for each choice of the other axes.
  """
  score = score or results.plan["score"]
  place = lambda row: _place(row["variant"])
  rows = sorted(results.rows, key=lambda row: _order(results.plan, row["variant"]))
  panels: dict[str, dict[str, Any]] = {}
  for (label, panel), runs in itertools.groupby(rows, key=place):
    panels.setdefault(f"{score.replace('_', ' ')}, {panel}".strip(", "), {})[label] = _series(
      [run["curve"] for run in runs], score
    )
  return plots.curves(panels, style=style)


def _note(outcome: Outcome) -> str:
  if not outcome.runs:
    return "not run yet"
  return f"{outcome.collapsed} of {outcome.runs} collapsed" if outcome.collapsed else ""


def _place(labels: Labels) -> tuple[str, str]:
  """Says where a variant stands: its first label, and its others."""
  first, *others = labels.values()
  return first, ", ".join(others)


def _order(plan: Mapping[str, Any], labels: Labels) -> list[int]:
  """Sorts variants as the plan has them, the others' choices first."""
  places = [plan["axes"][axis].index(label) for axis, label in labels.items()]
  return [*places[1:], places[0]]


def _series(runs: Sequence[Mapping[str, Any]], score: str) -> tuple[np.ndarray, np.ndarray]:
  """Gathers runs: (rounds [n], scores [n, runs]), NaN where a run has none."""
  told = [dict(zip(run["round"], run[score], strict=True)) if score in run else {} for run in runs]
  rounds = sorted(set().union(*told))
  values = [[float(run.get(at, math.nan)) for run in told] for at in rounds]
  return np.array(rounds), np.array(values).reshape(len(rounds), len(runs))
