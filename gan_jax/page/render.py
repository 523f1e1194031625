"""A page of runs and ablations: one HTML file that needs nothing else."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gan_jax
from gan_jax.page import ablation, figures, result
from gan_jax.page import sections as part
from gan_jax.page.ablation import Ablation
from gan_jax.page.curves import POINTS, Panel, drawn, panels, title
from gan_jax.page.gather import Run, grouped, scored_alike
from gan_jax.page.markup import Child, Markup, document, tag
from gan_jax.page.pictures import Strip, strips

LIMIT = 5_000_000  # bytes of a page
PICTURES = 2_800_000  # of them for pictures
CURVES = 1_200_000  # and for curves
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


Part = tuple[str, str, Child]  # id, name, content


def page(content: Content) -> str:
  """Renders a page.

  Args:
    content: of it.

  Returns:
    The page.

  Raises:
    ValueError: it would be too large even with few points and no picture.
  """
  found = content.runs
  groups = grouped(found)
  pictures, shown = strips(found, PICTURES), panels(found)
  first = 1 if found else 0  # place of the ablations' data
  parts = [p for i, ab in enumerate(content.ablations, first) for p in _ablation(ab, i, content)]
  parts += _runs(found, groups, pictures, shown) if found else []
  parts.append(("reproduce", "Reproduce", _again(content, groups)))
  machines = [(run.name, run.machine) for run in found]
  machines += [(a.name, a.results.plan.get("machine", {})) for a in content.ablations]
  parts.append(("machines", "Machines", part.machines(machines)))
  sections = [part.section(id, name, inside) for id, name, inside in parts]
  body = tag("div", _head(content, groups, pictures, parts), tag("main", sections), class_="page")
  share = CURVES // (len(content.ablations) + first)
  sets = [_set(found, groups, shown, share)] if found else []
  sets += [ablation.data(a, share, POINT) for a in content.ablations]
  search = [part.search_text(run) for run in found]
  text = document(_title(content, groups), body, {"search": search, "sets": sets})
  if (size := len(text.encode())) > LIMIT:
    raise ValueError(
      f"a page of {len(found) + len(content.ablations)} folders has {size:,} bytes, more than the"
      f" {LIMIT:,} that it may have: report fewer at a time"
    )
  return text


def _ablation(found: Ablation, place: int, content: Content) -> list[Part]:
  """Renders the parts that show an ablation, whose data are at a place in the page's."""
  id = f"ablation-{place}"
  alone = not content.runs and len(content.ablations) == 1
  return [
    (id, "Result" if alone else found.name, ablation.result(found)),
    (
      f"{id}-variants",
      "Variants",
      tag("div", ablation.variants(found, f"{id}-table"), class_="tall"),
    ),
    (f"{id}-curves", "Curves", ablation.curves(found, place)),
    (f"{id}-failures", "Failures", ablation.failures(found)),
  ]


def _runs(
  found: Sequence[Run],
  groups: Mapping[str, Sequence[int]],
  pictures: Sequence[Strip],
  shown: Sequence[Panel],
) -> list[Part]:
  """Renders the parts that show runs."""
  return [
    ("result", "Result", result.results(found, groups, scored_alike(found))),
    ("runs", "Runs", part.what_ran(found)),
    ("samples", "Samples", figures.samples(found, pictures)),
    ("curves", "Curves", _curves(found, groups, shown)),
    ("warnings", "Warnings", part.warnings(found, pictures)),
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


def _curves(
  found: Sequence[Run], groups: Mapping[str, Sequence[int]], shown: Sequence[Panel]
) -> Child:
  """Lays out charts by kind; all take their curves from one set of data."""
  if not shown:
    return tag("p", "No run has two rows yet.")
  charts = [
    (panel.kind, title(panel.name), i, figures.values_of(panel, found))
    for i, panel in enumerate(shown)
  ]
  several = any(len(members) > 1 for members in groups.values())
  return figures.charts(0, list(groups), [True] * len(groups), charts, KINDS, toggle=several)


def _head(
  content: Content,
  groups: Mapping[str, Sequence[int]],
  pictures: Sequence[Strip],
  parts: Sequence[Part],
) -> Markup:
  """Says what this is, and where what is on it."""
  found = content.runs
  alarms = sum(len(run.alarms) for run in found)
  unread = sum(len(run.notes) + len(s.notes) for run, s in zip(found, pictures, strict=True))
  facts = [
    *(_progress(one) for one in content.ablations),
    _counts(found, groups) if found else None,
    tag("a", f" {counted(alarms, 'warning')}.", href="#warnings") if alarms else None,
    " No warnings." if found and not alarms else None,
    tag("a", f" {unread} could not be read.", href="#warnings") if unread else None,
    f" Made {content.made:%Y-%m-%d %H:%M} by gan_jax {gan_jax.__version__}.",
  ]
  menu = [tag("a", name, href=f"#{id}") for id, name, _ in parts]
  return tag(
    "header",
    tag("h1", _title(content, groups)),
    tag("p", facts, class_="lead"),
    tag("nav", menu, aria_label="Parts of the page"),
  )


def _counts(found: Sequence[Run], groups: Mapping[str, Any]) -> str:
  states = [run.listed.state for run in found]
  told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
  return f"{counted(len(found), 'run')} of {counted(len(groups), 'config')}: {told}."


def _progress(found: Ablation) -> str:
  played, total = found.listed.played, found.listed.total or 0
  told = "" if played == total else f", {played:,} played"
  return f"Ablation of {total:,} runs: {found.listed.state}{told}. "


def counted(n: int, what: str) -> str:
  """Says how many of something there are."""
  return f"{n} {what}{'' if n == 1 else 's'}"


def _title(content: Content, groups: Mapping[str, Any]) -> str:
  names = [*(found.name for found in content.ablations), *groups]
  if len(names) <= 3:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
  return f"{names[0]}, {names[1]} and {len(names) - 2} others"


def _set(
  found: Sequence[Run], groups: Mapping[str, Sequence[int]], shown: Sequence[Panel], budget: int
) -> dict[str, Any]:
  """Gathers what page.js draws of runs."""
  curves = sum(len(panel.curves) for panel in shown)
  points = max(20, min(POINTS, budget // POINT // max(1, curves)))
  return {
    "methods": list(groups),
    "runs": [{"name": run.name, "method": run.color} for run in found],
    "panels": [drawn(panel, groups, points) for panel in shown],
  }
