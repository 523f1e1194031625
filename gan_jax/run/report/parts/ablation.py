"""An ablation: its conclusions, its matrix with intervals, its variants, curves over seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.run.ablation.outcomes import APART, Outcome
from gan_jax.run.ablation.results import arrange, by_column, variant_name
from gan_jax.run.report.ablation import Ablation
from gan_jax.run.report.curves import band, charts, figure, is_log
from gan_jax.run.report.markup import Child, Markup, tag
from gan_jax.run.report.tables import (
  Axis,
  Cell,
  axis,
  capital,
  directions,
  format_number,
  number,
  scale,
  strip,
  swatch,
  table,
  text,
  title,
)
from gan_jax.run.results.significance import format_p

SHOWN = 6  # variants whose curves are shown before a reader asks for others
SHADES = 4  # of a matrix
COLUMNS = 16  # most columns of a matrix; an ablation with more is shown as a table alone
MARKS = {"better": "▲ better", "worse": "▼ worse", APART: "≈ baseline"}


def result(ablation: Ablation) -> Child:
  """Builds the result: a sentence for each axis, the matrix, and each choice over all else."""
  plan = ablation.results.plan
  facts = [
    f"{len(ablation.results.rows)} runs of {len(ablation.variants)} variants,"
    f" {_rounds(ablation)} rounds each, seeds {', '.join(map(str, plan['seeds']))}.",
    f" Baseline: {variant_name(plan['baseline'])}.",
    f" {directions({ablation.score: ablation.better})}",
    f" A run has collapsed if {plan['collapse'].replace('<', ' < ').replace('>', ' > ')}."
    if plan["collapse"]
    else None,
  ]
  return [
    tag("ul", [tag("li", sentence) for sentence in ablation.conclusions], class_="verdict"),
    tag("p", facts, class_="note"),
    matrix(ablation.variants, plan, ablation.better),
    [
      (tag("h3", f"{capital(name)}, over all else"), _forest(choices, ablation))
      for name, choices in ablation.marginals.items()
    ],
  ]


def _rounds(ablation: Ablation) -> str:
  """Formats the rounds of the runs, which a budget of images, or an axis, makes different."""
  plan = ablation.results.plan
  each = [row.get("rounds", plan["rounds"]) for row in ablation.results.rows]
  low, high = min(each), max(each)
  return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def matrix(variants: Sequence[Outcome], plan: Mapping[str, Any], better: str) -> Markup | None:
  """Builds the matrix: one axis down, the others across, a mean with its interval in each cell.

  Args:
    variants: outcomes of the variants that have runs.
    plan: plan of the ablation.
    better: "min" or "max".

  Returns:
    The matrix; None of one axis, or where it would be too wide.
  """
  down, *rest = plan["axes"]
  if not rest:
    return None
  ordered = sorted(variants, key=lambda o: by_column(plan, o.variant))
  rows, columns, cells = arrange((o.variant, o) for o in ordered)
  if len(columns) > COLUMNS:
    return None
  # Without its failures a variant looks better than it is.
  means = [o.last.mean for o in variants if math.isfinite(o.last.mean) and not o.failed]
  best = (max if better == "max" else min)(means, default=math.nan)
  worst = (min if better == "max" else max)(means, default=math.nan)
  body = [
    [text(row), *(_matrix_cell(cells.get((row, column)), best, worst) for column in columns)]
    for row in plan["axes"][down]
    if row in rows
  ]
  caption = (
    f"{capital(title(plan['score']))} of the last round, its 95% bootstrap interval over seeds, and"
    " what can be said beside the baseline. More colour is better, a frame marks the best"
  )
  return table(caption, [f"{down} \\ {', '.join(rest)}", *columns], body, class_="matrix")


def _matrix_cell(outcome: Outcome | None, best: float, worst: float) -> Cell:
  if outcome is None:
    return Cell("–", None)
  last, finite = outcome.last, math.isfinite(outcome.last.mean)
  shown = [
    tag("b", format_number(last.mean) if finite else "–"),
    tag("small", f"{last.low:.3g} to {last.high:.3g}") if last.high > last.low else None,
    tag("small", MARKS.get(outcome.verdict, outcome.verdict)),
    tag("small", f"{outcome.collapsed} of {outcome.runs} collapsed")
    if outcome.collapsed > outcome.failed
    else None,
  ]
  return Cell(shown, last.mean if finite else None, _shade(last.mean, best, worst))


def _shade(mean: float, best: float, worst: float) -> str | None:
  """Returns the classes of a cell: the nearer to the best, the more colour."""
  if not math.isfinite(mean) or best == worst:
    return None
  near = (mean - worst) / (best - worst)
  return f"s{max(1, math.ceil(SHADES * near))}{' best' if mean == best else ''}"


HEADS = ("", "last", "95% interval", "best", "collapsed", "difference", "p", "verdict")


def _forest(choices: Sequence[Outcome], ablation: Ablation) -> Markup:
  """Builds the table of the choices of an axis, drawn with their intervals."""
  (name,) = choices[0].variant
  on = _axis(choices)
  rows = [[text(o.variant[name]), *_cells(o, on)] for o in choices]
  caption = f"{capital(title(ablation.score))} of each {name}"
  return table(caption, [name, *HEADS], rows, foot=scale(on, len(HEADS) - 1), class_="forest")


def _axis(shown: Sequence[Outcome]) -> Axis | None:
  return axis([x for o in shown for x in (o.last.low, o.last.high)])


def _cells(outcome: Outcome, on: Axis | None) -> list[Cell]:
  """Builds the cells of an outcome, in the order of `HEADS`."""
  last, error = outcome.last, outcome.last.error
  mean = [tag("b", format_number(last.mean)), "" if math.isnan(error) else f" ± {error:.2g}"]
  difference = outcome.difference
  return [
    Cell(on and strip(on, last.mean, last.low, last.high, class_="c0"), class_="drawing"),
    number(last.mean, mean),
    number(last.low, f"{format_number(last.low)} to {format_number(last.high)}"),
    number(outcome.best.mean),
    number(outcome.collapsed, f"{outcome.collapsed} of {outcome.runs}"),
    number(difference, None if difference is None else f"{difference:+.3g}"),
    number(outcome.p, None if outcome.p is None else format_p(outcome.p)),
    text(outcome.verdict),
  ]


# --- variants and curves --------------------------------------------------------------------------


def variants(ablation: Ablation, id: str) -> Child:
  """Builds the table of all variants, to sort and to filter."""
  others = [score for score in ablation.outcomes if score != ablation.score]
  axes = list(ablation.results.plan["axes"])
  on = _axis(ablation.variants)
  rows, searches = [], []
  for i, outcome in enumerate(ablation.variants):
    first, *more = (text(outcome.variant[name]) for name in axes)
    other = [number(ablation.outcomes[score][i].last.mean) for score in others]
    first = Cell([swatch(i), first.shown], first.value)
    rows.append([first, *more, *_cells(outcome, on), *other])
    searches.append(" ".join(f"{k}={v}" for k, v in outcome.variant.items()))
  filter = tag(
    "div",
    tag("label", "Filter variants ", tag("input", type="search", data_filters=id)),
    tag("output", f"{len(rows)} of {len(rows)} variants", aria_live="polite"),
    class_="controls",
  )
  heads = [*axes, *HEADS, *map(title, others)]
  caption = f"{capital(title(ablation.score))} of every variant, the last of others beside it"
  return [filter, table(caption, heads, rows, searches=searches, id=id, class_="forest wide")]


def curves(ablation: Ablation, place: int) -> Child:
  """Builds the charts: the baseline and the best variants, and others when asked for."""
  if not ablation.curves:
    return tag("p", "No run has two rows yet.")
  figures: dict[str, list[Markup]] = {"Scores while training": [], "The game": []}
  for i, name in enumerate(ablation.curves):
    heading = "Scores while training" if name in ablation.outcomes else "The game"
    figures[heading].append(figure(title(name), i, _values(ablation, name)))
  return charts(place, _names(ablation), SHOWN, figures, toggle=False)


def _names(ablation: Ablation) -> list[str]:
  return [variant_name(outcome.variant) for outcome in ablation.variants]


def _values(ablation: Ablation, name: str) -> Markup:
  rows, names = [], _names(ablation)
  for i, of in sorted(ablation.curves[name].items()):
    ends = [float(curve.y[-1]) for curve in of if len(curve.y)]
    if ends:
      y = np.concatenate([curve.y for curve in of])
      cells = [number(float(np.mean(ends))), number(float(y.min())), number(float(y.max()))]
      rows.append([text(names[i]), *cells])
  heads = ["variant", "mean of last", "lowest", "highest"]
  return table(title(name), heads, rows, sortable=False)


def data(ablation: Ablation, budget: int, point: int) -> dict[str, Any]:
  """Builds the data of page.js: bands over the seeds of each variant."""
  lines = sum(len(by_variant) for by_variant in ablation.curves.values())
  points = max(10, min(120, budget // (2 * point) // max(1, lines)))
  panels = []
  for name, by_variant in ablation.curves.items():
    drawn = {i: of for i, of in sorted(by_variant.items()) if any(len(c.x) for c in of)}
    bands = [{"method": i, **band(of, points)} for i, of in drawn.items()]
    panels.append({"title": title(name), "log": is_log(bands), "runs": [], "bands": bands})
  return {"methods": _names(ablation), "runs": [], "panels": panels}


def failures(ablation: Ablation) -> Child:
  """Builds the table of runs in which a value was not finite."""
  failed = [row for row in ablation.results.rows if row["failed"]]
  if not failed:
    return tag("p", "No run has failed.")
  rows = [[text(variant_name(r["variant"])), number(r["seed"]), text(r["failed"])] for r in failed]
  return table("Runs that failed; no estimate counts them", ["variant", "seed", "what"], rows)
