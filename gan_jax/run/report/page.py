"""A page of runs and ablations: one HTML file that needs nothing else."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gan_jax
from gan_jax.run.report import ablation, figures, result
from gan_jax.run.report import sections as part
from gan_jax.run.report.ablation import Ablation
from gan_jax.run.report.curves import POINTS, Panel, dashed, drawn, panels, title
from gan_jax.run.report.gather import Run, grouped, scored_alike
from gan_jax.run.report.markup import Child, Markup, document, join, tag
from gan_jax.run.report.pictures import Strip, strips

LIMIT = 5_000_000  # bytes of a page
PICTURES = 2_800_000  # of them for pictures
CURVES = 1_200_000  # and for curves
SHARES = (1.0, 0.4, 0.1, 0.02)  # of both that are tried in turn, where all else takes much
SHOWN = 14  # methods whose curves are shown before anybody asks for others
POINT = 24  # bytes of a point, as a run's and as a share of its method's band
KINDS = {"score": "Scores while training", "play": "The game", "monitor": "What monitors see"}


class Content(NamedTuple):
  """What a page shows.

  Attributes:
    runs: the runs.
    ablations: the ablations.
    command: that makes the page.
    made: when it is made.
  """

  runs: Sequence[Run]
  ablations: Sequence[Ablation]
  command: str
  made: datetime.datetime


class View(NamedTuple):
  """Runs as a page has room for them.

  Attributes:
    runs: the runs.
    groups: {method: places of its runs}.
    strips: pictures of each run.
    panels: what they measured.
    points: most points of a curve.
  """

  runs: Sequence[Run]
  groups: Mapping[str, Sequence[int]]
  strips: Sequence[Strip]
  panels: Sequence[Panel]
  points: int

  @property
  def notes(self) -> list[str]:
    """What could not be read or shown, a line each."""
    pairs = zip(self.runs, self.strips, strict=True)
    return [f"{run.name}: {note}" for run, strip in pairs for note in [*run.notes, *strip.notes]]


Part = tuple[str, str, Child]  # id, name, content


def page(content: Content) -> tuple[str, list[str]]:
  """Renders a page.

  Args:
    content: of it.

  Returns:
    The page, and what of the runs could not be read or shown.

  Raises:
    ValueError: it would be too large even with few points and hardly a picture.
  """
  for share in SHARES:
    text, notes = _page(content, share)
    if (size := len(text.encode())) <= LIMIT:
      return text, notes
  raise ValueError(
    f"a page of {len(content.runs) + len(content.ablations)} folders has {size:,} bytes, more than"
    f" the {LIMIT:,} that it may have: report fewer at a time"
  )


def _page(content: Content, share: float) -> tuple[str, list[str]]:
  """Renders a page with so large a share of the pictures and points that it might have."""
  first = 1 if content.runs else 0  # place of the ablations' data in the page's
  budget = int(share * CURVES) // (first + len(content.ablations))
  view = _view(content.runs, int(share * PICTURES), budget)
  parts = [p for i, ab in enumerate(content.ablations, first) for p in _ablation(ab, i, content)]
  parts += _runs(view) if view.runs else []
  parts += [
    ("reproduce", "Reproduce", _again(content, view.groups)),
    ("machines", "Machines", part.machines(_machines(content))),
  ]
  main = tag("main", [part.section(id, name, inside) for id, name, inside in parts])
  sets = [_set(view)] if view.runs else []
  sets += [ablation.data(found, budget, POINT) for found in content.ablations]
  data = {"search": [part.search_text(run) for run in view.runs], "sets": sets}
  body = tag("div", _head(content, view, parts), main, class_="page")
  return document(_title(content, view.groups), body, data), view.notes


def _view(found: Sequence[Run], pictures: int, budget: int) -> View:
  shown = panels(found)
  curves = sum(len(panel.curves) for panel in shown)
  points = max(20, min(POINTS, budget // POINT // max(1, curves)))
  return View(found, grouped(found), strips(found, pictures), shown, points)


def _machines(content: Content) -> list[tuple[str, Mapping[str, Any]]]:
  plans = [(found.name, found.results.plan.get("machine", {})) for found in content.ablations]
  return plans + [(run.name, run.machine) for run in content.runs]


def _ablation(found: Ablation, place: int, content: Content) -> list[Part]:
  """Renders the parts that show an ablation, whose data are at a place in the page's."""
  id = f"ablation-{place}"
  alone = not content.runs and len(content.ablations) == 1
  of = "" if alone else f" of {found.name}"
  return [
    (id, "Result" if alone else found.name, ablation.result(found)),
    (
      f"{id}-variants",
      f"Variants{of}",
      tag("div", ablation.variants(found, f"{id}-table"), class_="tall"),
    ),
    (f"{id}-curves", f"Curves{of}", ablation.curves(found, place)),
    (f"{id}-failures", f"Failures{of}", ablation.failures(found)),
  ]


def _runs(view: View) -> list[Part]:
  """Renders the parts that show runs."""
  found, groups = view.runs, view.groups
  return [
    ("result", "Result", result.results(found, groups, scored_alike(found))),
    ("runs", "Runs", part.what_ran(found)),
    ("samples", "Samples", figures.samples(found, view.strips)),
    ("curves", "Curves", _curves(view)),
    ("warnings", "Warnings", part.warnings(found, view.strips)),
    ("cards", "Score cards", result.cards(found)),
    ("configs", "Configs", part.configs(found, groups)),
  ]


def _again(content: Content, groups: Mapping[str, Sequence[int]]) -> Child:
  """Gives commands and config files for all of the page."""
  return [
    [
      part.ablation_again(found.name, found.listed.path, found.results)
      for found in content.ablations
    ],
    part.again(content.runs, groups),
    tag("h3", "This page"),
    part.copied("Command of this page", content.command),
  ]


def _curves(view: View) -> Child:
  """Lays out charts by kind; all take their curves from one set of data."""
  if not view.panels:
    return tag("p", "No run has two rows yet.")
  charts = [
    figures.Chart(
      panel.kind, title(panel.name), i, figures.values_of(panel, view.runs), dashed(panel.name)
    )
    for i, panel in enumerate(view.panels)
  ]
  several = any(len(members) > 1 for members in view.groups.values())
  shown = [i < SHOWN for i in range(len(view.groups))]
  longest = max(len(curve.x) for panel in view.panels for curve in panel.curves.values())
  left = f"Of longer curves the highest and lowest of neighbours are drawn, {view.points} points."
  return [
    figures.charts(0, list(view.groups), shown, charts, KINDS, toggle=several),
    tag("p", left, class_="note") if longest > view.points else None,
  ]


def _head(content: Content, view: View, parts: Sequence[Part]) -> Markup:
  """Says what this is, and where what is on it."""
  found = view.runs
  warnings, unread = sum(len(run.warnings) for run in found), len(view.notes)
  link = lambda words: tag("a", words, href="#warnings")
  facts = [
    *(_progress(one) for one in content.ablations),
    *([_counts(found, view.groups)] if found else ()),
    *(
      [link(f"{counted(warnings, 'warning')}.")] if warnings else ["No warnings."] if found else ()
    ),
    *([link(f"{unread} could not be read or shown.")] if unread else ()),
    f"Made {content.made:%Y-%m-%d %H:%M} by gan_jax {gan_jax.__version__}.",
  ]
  menu = [tag("a", name, href=f"#{id}") for id, name, _ in parts]
  return tag(
    "header",
    tag("h1", _title(content, view.groups)),
    tag("p", join(facts, " "), class_="lead"),
    tag("nav", menu, aria_label="Parts of the page"),
  )


def _counts(found: Sequence[Run], groups: Mapping[str, Any]) -> str:
  states = [run.listed.state for run in found]
  told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
  return f"{counted(len(found), 'run')} of {counted(len(groups), 'config')}: {told}."


def _progress(found: Ablation) -> str:
  played, total = found.listed.played, found.listed.total or 0
  told = "" if played == total else f", {played:,} played"
  return f"Ablation {found.name}: {total:,} runs, {found.listed.state}{told}."


def counted(n: int, what: str) -> str:
  """Says how many of something there are."""
  return f"{n} {what}{'' if n == 1 else 's'}"


def _title(content: Content, groups: Mapping[str, Any]) -> str:
  names = [*(found.name for found in content.ablations), *groups]
  if len(names) <= 3:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
  return f"{names[0]}, {names[1]} and {len(names) - 2} others"


def _set(view: View) -> dict[str, Any]:
  """Gathers what page.js draws of runs."""
  return {
    "methods": list(view.groups),
    "runs": [{"name": run.name, "method": run.color} for run in view.runs],
    "panels": [drawn(panel, view.groups, view.points) for panel in view.panels],
  }
