"""The matrix of an ablation: one axis down, the others across, a mean with its interval in each."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.run.ablation.results import APART, Outcome
from gan_jax.run.report.curves import title
from gan_jax.run.report.markup import Markup, tag
from gan_jax.run.report.result import capital
from gan_jax.run.report.tables import Cell, format_number, table

SHADES = 4
ACROSS = 16  # columns at most; an ablation with more is shown as a table alone
MARKS = {"better": "▲ better", "worse": "▼ worse", APART: "≈ baseline"}


def matrix(found: Sequence[Outcome], plan: Mapping[str, Any], better: str) -> Markup | None:
  """Lays out variants by their axes.

  Args:
    found: outcomes of the variants that have runs.
    plan: of the ablation.
    better: "min" or "max".

  Returns:
    The matrix; None of one axis, or where it would be too wide.
  """
  down, *rest = plan["axes"]
  across = list(dict.fromkeys(_others(o.variant, down) for o in found))
  if not rest or len(across) > ACROSS:
    return None
  order = {label: i for i, label in enumerate(_columns(plan, rest))}
  across.sort(key=lambda label: order.get(label, 0))
  cells = {(o.variant[down], _others(o.variant, down)): o for o in found}
  # What is left of a variant after failures looks better than it is.
  means = [o.last.mean for o in found if math.isfinite(o.last.mean) and not o.failed]
  best = (max if better == "max" else min)(means, default=math.nan)
  worst = (min if better == "max" else max)(means, default=math.nan)
  rows = [
    [
      Cell(label, label),
      *(_cell(cells.get((label, other)), best, worst) for other in across),
    ]
    for label in plan["axes"][down]
    if any(outcome.variant[down] == label for outcome in found)
  ]
  caption = (
    f"{capital(title(plan['score']))} of the last round, its 95% bootstrap interval over seeds, and"
    " what can be said beside the baseline. More colour is better, a frame marks the best"
  )
  return table(caption, [f"{down} \\ {', '.join(rest)}", *across], rows, class_="matrix")


def _columns(plan: Mapping[str, Any], rest: Sequence[str]) -> list[str]:
  names = [""]
  for axis in rest:
    names = [f"{a}, {b}" if a else b for a in names for b in plan["axes"][axis]]
  return names


def _others(variant: Mapping[str, str], down: str) -> str:
  return ", ".join(label for axis, label in variant.items() if axis != down)


def _cell(outcome: Outcome | None, best: float, worst: float) -> Cell:
  if outcome is None:
    return Cell("–", None)
  last, lost = outcome.last, f"{outcome.collapsed} of {outcome.runs} collapsed"
  mark = MARKS.get(outcome.verdict, outcome.verdict)
  shown = [
    tag("b", format_number(last.mean)) if math.isfinite(last.mean) else tag("b", "–"),
    tag("small", f"{last.low:.3g} to {last.high:.3g}") if last.high > last.low else None,
    tag("small", mark),
    tag("small", lost) if outcome.collapsed > outcome.failed else None,
  ]
  return Cell(
    shown, last.mean if math.isfinite(last.mean) else None, _style(last.mean, best, worst)
  )


def _style(mean: float, best: float, worst: float) -> str | None:
  """Shades a cell by how near it is to the best."""
  if not math.isfinite(mean) or best == worst:
    return None
  near = (mean - worst) / (best - worst)
  return f"s{max(1, math.ceil(SHADES * near))}{' best' if mean == best else ''}"
