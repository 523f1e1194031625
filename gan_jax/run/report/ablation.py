"""An ablation: what it concludes, its matrix with intervals, its variants, curves over seeds."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.run.ablation.plan import said as named
from gan_jax.run.ablation.results import Outcome, Results, marginals, outcomes, read
from gan_jax.run.ablation.table import conclusions
from gan_jax.run.report.curves import PLAY, Curve, band, drawable, is_log, title
from gan_jax.run.report.figures import Chart, charts
from gan_jax.run.report.markup import Child, Markup, tag
from gan_jax.run.report.matrix import matrix
from gan_jax.run.report.result import capital, directions
from gan_jax.run.report.tables import (
  Cell,
  axis,
  format_number,
  number,
  scale,
  strip,
  swatch,
  table,
  text,
)
from gan_jax.run.results.listing import Listed, look

SHOWN = 6  # variants whose curves are shown before anybody asks for others


class Ablation(NamedTuple):
  """An ablation, as a page shows it.

  Attributes:
    listed: its folder, state and progress.
    results: plan and rows.
    judged: of each score the outcomes of all variants that have runs, in one order: the baseline,
      then the best first.
    marginal: of each axis the outcomes of its choices over all else.
    concluded: sentences.
    curves: {metric: {place of a variant in `judged`: a curve of each seed}}.
  """

  listed: Listed
  results: Results
  judged: Mapping[str, Sequence[Outcome]]
  marginal: Mapping[str, Sequence[Outcome]]
  concluded: Sequence[str]
  curves: Mapping[str, Mapping[int, Sequence[Curve]]]

  @property
  def name(self) -> str:
    """Its name."""
    return str(self.results.plan["name"])

  @property
  def score(self) -> str:
    """The score that verdicts are about."""
    return str(self.results.plan["score"])

  @property
  def variants(self) -> Sequence[Outcome]:
    """Outcomes by that score."""
    return self.judged[self.score]


def gather(path: pathlib.Path) -> Ablation:
  """Reads an ablation from its folder.

  Raises:
    ValueError: it is damaged, or has no rows yet.
  """
  listed = look(path)
  if listed.state == "damaged":
    raise ValueError(listed.note)
  results = read(path)
  if not results.rows:
    raise ValueError(f"{path} has no rows yet: gan_jax ablate plays its runs")
  plan = results.plan
  try:
    _check(results)
    judged = {score: outcomes(results, score) for score in plan["better"]}
    order = _ranked(judged[plan["score"]], plan)
    judged = {score: [found[i] for i in order] for score, found in judged.items()}
    curves = _curves(results, [o.variant for o in judged[plan["score"]]])
    return Ablation(listed, results, judged, marginals(results), conclusions(results), curves)
  except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
    raise ValueError(f"{path}: its plan or its rows are damaged ({error!r})") from error


_KINDS = {"name": str, "collapse": str, "rounds": int, "machine": dict}


def _check(results: Results) -> None:
  """Refuses a plan or rows that hold other kinds of things than are written there."""
  for key, kind in _KINDS.items():
    if not isinstance(results.plan.get(key, kind()), kind):
      raise ValueError(f"{key} is {results.plan[key]!r}")
  if not all(isinstance(row["changes"], dict) for row in results.rows):
    raise ValueError("a row does not say what it changed")


def _ranked(found: Sequence[Outcome], plan: Mapping[str, Any]) -> list[int]:
  """Orders variants that have runs: the baseline, then the best first, those that failed last."""
  sign = -1 if plan["better"][plan["score"]] == "max" else 1
  key = lambda i: (
    found[i].variant != plan["baseline"],
    found[i].failed > 0,
    math.isnan(found[i].last.mean),
    sign * found[i].last.mean if math.isfinite(found[i].last.mean) else 0.0,
    found[i].collapsed,
  )
  return sorted((i for i, outcome in enumerate(found) if outcome.runs), key=key)


def _curves(
  results: Results, variants: Sequence[Mapping[str, str]]
) -> dict[str, dict[int, list[Curve]]]:
  places = {named(variant): i for i, variant in enumerate(variants)}
  found: dict[str, dict[int, list[Curve]]] = {}
  for row in results.rows:
    x = np.array(row["curve"].get("round", ()), int)
    for name in (*results.plan["better"], *PLAY):
      y = np.array([float(value) for value in row["curve"].get(name, ())])
      if len(x) > 1 and len(y) == len(x):
        kept = np.isfinite(y)
        curve = drawable(Curve(x[kept], y[kept]))
        found.setdefault(name, {}).setdefault(places[named(row["variant"])], []).append(curve)
  return found


# --- what is shown --------------------------------------------------------------------------------


def result(found: Ablation) -> Child:
  """Shows what follows: a sentence for each axis, the matrix, and each choice over all else."""
  plan = found.results.plan
  facts = [
    f"{len(found.results.rows)} runs of {len(found.variants)} variants,"
    f" {plan['rounds']:,} rounds each, seeds {', '.join(map(str, plan['seeds']))}.",
    f" Baseline: {named(plan['baseline'])}.",
    f" {directions({found.score: better(found)})}",
    f" A run has collapsed if {plan['collapse'].replace('<', ' < ').replace('>', ' > ')}."
    if plan["collapse"]
    else None,
  ]
  return [
    tag("ul", [tag("li", sentence) for sentence in found.concluded], class_="verdict"),
    tag("p", facts, class_="note"),
    matrix(found.variants, plan, better(found)),
    [
      (tag("h3", f"{capital(name)}, over all else"), _forest(judged, found))
      for name, judged in found.marginal.items()
    ],
  ]


def better(found: Ablation) -> str:
  """Tells which way the score is better."""
  return str(found.results.plan["better"][found.score])


HEADS = ("", "last", "95% interval", "best", "collapsed", "difference", "p", "verdict")


def _forest(judged: Sequence[Outcome], found: Ablation) -> Markup:
  """Lays out the choices of an axis, drawn with their intervals."""
  (name,) = judged[0].variant
  on = axis([x for o in judged for x in (o.last.low, o.last.high)])
  rows = [
    [text(o.variant[name]), Cell(on and _strip(o, on), class_="drawing"), *_cells(o)[1:]]
    for o in judged
  ]
  foot = on and tag(
    "tr", tag("td"), tag("td", scale(on), class_="drawing"), tag("td", colspan=len(HEADS) - 1)
  )
  caption = f"{capital(title(found.score))} of each {name}"
  return table(caption, [name, *HEADS], rows, foot=foot, class_="forest")


def _strip(outcome: Outcome, on: Any) -> Markup:
  return strip(on, outcome.last.mean, outcome.last.low, outcome.last.high, class_="c0")


def _cells(outcome: Outcome) -> list[Cell]:
  """Says what an outcome says, in the order of `HEADS`."""
  last, error = outcome.last, outcome.last.error
  shown = [tag("b", format_number(last.mean)), "" if math.isnan(error) else f" ± {error:.2g}"]
  apart = outcome.difference
  return [
    Cell(""),
    number(last.mean, shown),
    number(last.low, f"{format_number(last.low)} to {format_number(last.high)}"),
    number(outcome.best.mean),
    number(outcome.collapsed, f"{outcome.collapsed} of {outcome.runs}"),
    number(apart, None if apart is None else f"{apart:+.3g}"),
    number(outcome.p, None if outcome.p is None else f"{outcome.p:.2g}"),
    text(outcome.verdict),
  ]


def variants(found: Ablation, id: str) -> Child:
  """Lists all variants, to be sorted and filtered."""
  others = [score for score in found.judged if score != found.score]
  axes = list(found.results.plan["axes"])
  on = axis([x for o in found.variants for x in (o.last.low, o.last.high)])
  rows, searches = [], []
  for i, outcome in enumerate(found.variants):
    first, *more = (text(outcome.variant[name]) for name in axes)
    drawn = Cell(on and _strip(outcome, on), class_="drawing")
    other = [number(found.judged[score][i].last.mean) for score in others]
    first = Cell([swatch(i), first.shown], first.value)
    rows.append([first, *more, drawn, *_cells(outcome)[1:], *other])
    searches.append(" ".join(f"{k}={v}" for k, v in outcome.variant.items()))
  filter = tag(
    "div",
    tag("label", "Filter variants ", tag("input", type="search", data_filters=id)),
    tag("output", f"{len(rows)} of {len(rows)} variants", aria_live="polite"),
    class_="controls",
  )
  heads = [*axes, *HEADS, *map(title, others)]
  caption = f"{capital(title(found.score))} of every variant, the last of others beside it"
  return [filter, table(caption, heads, rows, searches=searches, id=id, class_="forest wide")]


def curves(found: Ablation, place: int) -> Child:
  """Lays out charts: the baseline and the best variants, and others when asked for."""
  if not found.curves:
    return tag("p", "No run has two rows yet.")
  drawn = [
    Chart("score" if name in found.judged else "play", title(name), i, _values(found, name))
    for i, name in enumerate(found.curves)
  ]
  names = [named(outcome.variant) for outcome in found.variants]
  kinds = {"score": "Scores while training", "play": "The game"}
  return charts(place, names, [i < SHOWN for i in range(len(names))], drawn, kinds, toggle=False)


def _values(found: Ablation, name: str) -> Markup:
  rows = []
  for i, of in sorted(found.curves[name].items()):
    ends = [float(curve.y[-1]) for curve in of if len(curve.y)]
    if ends:
      y = np.concatenate([curve.y for curve in of])
      mean = [number(float(np.mean(ends))), number(float(y.min())), number(float(y.max()))]
      rows.append([text(named(found.variants[i].variant)), *mean])
  heads = ["variant", "mean of last", "lowest", "highest"]
  return table(title(name), heads, rows, sortable=False)


def data(found: Ablation, budget: int, point: int) -> dict[str, Any]:
  """Makes what page.js draws: bands over the seeds of each variant."""
  lines = sum(len(by_variant) for by_variant in found.curves.values())
  points = max(10, min(120, budget // (2 * point) // max(1, lines)))
  panels = []
  for name, by_variant in found.curves.items():
    there = {i: of for i, of in sorted(by_variant.items()) if any(len(c.x) for c in of)}
    bands = [{"method": i, **band(of, points)} for i, of in there.items()]
    panels.append({"title": title(name), "log": is_log(bands), "runs": [], "bands": bands})
  names = [named(outcome.variant) for outcome in found.variants]
  return {"methods": names, "runs": [], "panels": panels}


def failures(found: Ablation) -> Child:
  """Lists the runs in which something was not finite."""
  bad = [row for row in found.results.rows if row["failed"]]
  if not bad:
    return tag("p", "No run has failed.")
  rows = [[text(named(r["variant"])), number(r["seed"]), text(r["failed"])] for r in bad]
  return table("Runs that failed; no estimate counts them", ["variant", "seed", "what"], rows)
