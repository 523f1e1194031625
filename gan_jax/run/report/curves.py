"""Metrics of runs over their rounds: curves of few enough points for a page, and their charts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.game.kinds.sides.monitors import MONITOR
from gan_jax.plots.lines import finite
from gan_jax.run.report.markup import Markup, tag
from gan_jax.run.report.records import RunRecord
from gan_jax.run.report.tables import number, swatch, table, text, title
from gan_jax.run.results.rows import NO_CURVES, SCORE

POINTS = 240  # of a curve: about one for each pixel of its picture
LOG = (1e2, 1e9)  # largest over smallest value between which an axis is logarithmic
DRAWN = (1e-12, 1e15)  # sizes of values that uPlot can put ticks at; beyond, the table has them
DERIVED = {"images", "seconds", "rounds_per_second", "images_per_second", "rollbacks"}
PLAY = (
  *("D_real", "D_fake", "V", "V_gap", "accuracy"),
  *("distance", "logits_real", "logits_fake", "margin"),
)
# Values at the distribution of the data; losses whose logits are no log-odds have none of these.
EQUILIBRIUM = {
  "D_real": ("½", 0.5),
  "D_fake": ("½", 0.5),
  "V": ("-log 4", -math.log(4)),
  "V_gap": ("0", 0.0),
}


class Curve(NamedTuple):
  """Values over rounds.

  Attributes:
    x: rounds [n].
    y: values [n], finite.
  """

  x: np.ndarray
  y: np.ndarray


class Panel(NamedTuple):
  """One metric of all runs.

  Attributes:
    name: name of the metric.
    kind: "score", "play" or "monitor".
    curves: {index of a run: its curve}.
  """

  name: str
  kind: str
  curves: Mapping[int, Curve]


def panels(records: Sequence[RunRecord]) -> list[Panel]:
  """Builds the panels of all metrics: scores, then play, then monitors."""
  names = set[str]().union(*(row for run in records for row in run.rows))
  names -= NO_CURVES | DERIVED | {"round"}
  built = []
  for name in sorted(names, key=lambda name: _order(name, records)):
    curves = {i: Curve(*finite(run.rows, name)) for i, run in enumerate(records)}
    curves = {i: curve for i, curve in curves.items() if len(curve.x)}
    built.append(Panel(name, _kind(name), curves))
  return [panel for panel in built if any(len(c.x) > 1 for c in panel.curves.values())]


def _kind(name: str) -> str:
  return "score" if name.startswith(SCORE) else "monitor" if name.startswith(MONITOR) else "play"


def _order(name: str, records: Sequence[RunRecord]) -> tuple[int, bool, int, str]:
  kind = ("score", "play", "monitor").index(_kind(name))
  first = [*(f"{SCORE}{score}" for run in records for score in run.summary.scores), *PLAY]
  place = first.index(name) if name in first else len(first)
  return kind, not name.endswith("/loss"), place, name


def drawable(curve: Curve) -> Curve:
  """Drops values that are absurdly large; absurdly small ones are 0."""
  fits = np.abs(curve.y) < DRAWN[1]
  y = np.where(np.abs(curve.y) < DRAWN[0], 0.0, curve.y)
  return Curve(curve.x[fits], y[fits])


def thin(curve: Curve, points: int) -> Curve:
  """Returns the lowest and the highest of neighbouring points, so that no peak is lost."""
  if len(curve.x) <= points:
    return curve
  parts = np.array_split(np.arange(len(curve.x)), max(1, (points - 2) // 2))
  extremes = {0, len(curve.x) - 1}
  for part in parts:
    extremes |= {int(part[np.argmin(curve.y[part])]), int(part[np.argmax(curve.y[part])])}
  at = np.array(sorted(extremes))
  return Curve(curve.x[at], curve.y[at])


def band(curves: Sequence[Curve], points: int) -> dict[str, list[Any]]:
  """Computes the mean, the lowest and the highest of curves over neighbouring rounds.

  Args:
    curves: curves of the seeds of one method.
    points: most points of the band.

  Returns:
    {"x", "y", "low", "high"}; where only some of the seeds were measured, of those.
  """
  rounds = np.unique(np.concatenate([curve.x for curve in curves]))
  sides: dict[str, list[Any]] = {"x": [], "y": [], "low": [], "high": []}
  for part in np.array_split(rounds, min(points, len(rounds))):
    inside = [c.y[(c.x >= part[0]) & (c.x <= part[-1])] for c in curves]
    inside = [y for y in inside if len(y)]
    sides["x"].append(int(part[-1]))
    sides["y"].append(short(np.mean([y.mean() for y in inside])))
    sides["low"].append(short(min(y.min() for y in inside)))
    sides["high"].append(short(max(y.max() for y in inside)))
  return sides


def is_log(curves: Sequence[Mapping[str, Any]]) -> bool:
  """Returns whether small values would be invisible beside large ones on a linear axis."""
  values = [y for curve in curves for y in curve["y"]]
  if not values or min(values) < DRAWN[0]:
    return False
  return LOG[0] < max(values) / min(values) < LOG[1]


def drawn(
  panel: Panel, groups: Mapping[str, Sequence[int]], points: int = POINTS
) -> dict[str, Any]:
  """Builds the data of a panel for page.js.

  Args:
    panel: the metric.
    groups: {method: indices of its runs}.
    points: most points of a curve.

  Returns:
    {"title", "log", "line", "runs": [{"run", "x", "y"}], "bands": [{"method", "x", "y", ...}]};
    bands only where a method has several runs.
  """
  curves_of = {i: drawable(curve) for i, curve in panel.curves.items()}
  thinned = {i: thin(curve, points) for i, curve in curves_of.items()}
  runs = [{"run": i, "x": x.tolist(), "y": [*map(short, y)]} for i, (x, y) in thinned.items()]
  bands = []
  if any(len(members) > 1 for members in groups.values()):
    for method, members in enumerate(groups.values()):
      curves = [curves_of[i] for i in members if i in curves_of]
      if any(len(curve.x) for curve in curves):
        bands.append({"method": method, **band(curves, points // 2)})
  return {
    "title": title(panel.name),
    "log": is_log(runs),
    "line": EQUILIBRIUM[panel.name][1] if panel.name in EQUILIBRIUM else None,
    "runs": runs,
    "bands": bands,
  }


def short(value: Any) -> float:
  """Rounds to four digits, which is more than a picture shows."""
  return float(f"{float(value):.4g}")


# --- charts ---------------------------------------------------------------------------------------


def chart(panel: Panel, place: int, records: Sequence[RunRecord]) -> Markup:
  """Builds the chart of a panel, whose curves are at a place in the page's data."""
  dashed = f"{EQUILIBRIUM[panel.name][0]}, at equilibrium" if panel.name in EQUILIBRIUM else ""
  return figure(title(panel.name), place, _values(panel, records), dashed)


def _values(panel: Panel, records: Sequence[RunRecord]) -> Markup:
  rows = []
  for i, (x, y) in panel.curves.items():
    places = (-1, y.argmin(), y.argmax())
    cells = [cell for at in places for cell in (number(float(y[at])), number(int(x[at])))]
    rows.append([text(records[i].name), *cells])
  heads = ["run", "last", "at round", "lowest", "at round", "highest", "at round"]
  return table(title(panel.name), heads, rows, runs=list(panel.curves), sortable=False)


def charts(
  place: int,
  names: Sequence[str],
  shown: int,
  figures: Mapping[str, Sequence[Markup]],
  toggle: bool,
) -> Markup:
  """Builds charts that share a legend; page.js draws into them.

  Args:
    place: place of their data in the page's.
    names: [methods] names.
    shown: number of methods that are shown before a reader asks for others.
    figures: {heading: charts below it}.
    toggle: whether single runs can be shown in place of bands.
  """
  pressed = lambda i: "true" if i < shown else "false"
  legend = [
    tag("button", swatch(i), name, type="button", aria_pressed=pressed(i), data_method=i)
    for i, name in enumerate(names)
  ]
  single = tag("button", "Single runs", type="button", class_="mode", aria_pressed="false")
  note = "Lines are means over seeds, bands go from the lowest to the highest of them."
  grids = [
    (tag("h3", heading), tag("div", below, class_="grid"))
    for heading, below in figures.items()
    if below
  ]
  return tag(
    "div",
    tag("div", legend, class_="legend", role="group", aria_label="Shown in the curves"),
    tag("p", single, " ", tag("span", note, class_="mode-note"), class_="note") if toggle else None,
    grids,
    class_="charts",
    data_set=place,
  )


def figure(name: str, place: int, values: Markup, dashed: str = "") -> Markup:
  """Builds a chart.

  Args:
    name: title.
    place: place of its curves in the page's data.
    values: table of its values.
    dashed: meaning of its dashed line; "" without one.
  """
  label = f"{name} over rounds; arrow keys read its values, and all are in the table below"
  plot = tag("div", class_="plot", tabindex=0, role="img", data_panel=place, aria_label=label)
  key = tag("small", f"dashed: {dashed}") if dashed else None
  details = tag("details", tag("summary", "Values"), values)
  return tag("figure", tag("figcaption", name, key), plot, details, class_="chart")
