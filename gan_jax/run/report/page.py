"""A page of runs and ablations: one HTML file that needs nothing else."""

import datetime
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gan_jax
from gan_jax.files import atomic_write, check_writable
from gan_jax.run.cli.usage import UsageError
from gan_jax.run.report.ablation import Ablation, read_ablation
from gan_jax.run.report.curves import POINTS, Panel, chart, charts, drawn, panels
from gan_jax.run.report.markup import Child, Markup, document, join, tag
from gan_jax.run.report.parts import ablation, sections
from gan_jax.run.report.parts.samples import Thumbnails, samples, thumbnails
from gan_jax.run.report.parts.scores import cards, results
from gan_jax.run.report.records import RunRecord, comparable_groups, grouped, read_records
from gan_jax.run.report.reproduce import report_command
from gan_jax.run.results import sweeps
from gan_jax.run.results.listing import ABLATION, RUN, find_runs

LIMIT = 5_000_000  # bytes of a page
PICTURES = 2_800_000  # of them for pictures
CURVES = 1_200_000  # and for curves
SHARES = (1.0, 0.4, 0.1, 0.02)  # of both that are tried in turn, where all else takes much
SHOWN = 14  # methods whose curves are shown before a reader asks for others
POINT = 24  # bytes of a point, as a run's and as a share of its method's band
KINDS = {"score": "Scores while training", "play": "The game", "monitor": "What monitors see"}


def write(paths: Sequence[str | pathlib.Path], out: str | pathlib.Path) -> list[str]:
  """Writes a page of runs and ablations.

  Args:
    paths: their folders; that of a sweep stands for its runs.
    out: file of the page, a name in .html.

  Returns:
    Lines on what could not be read or shown.

  Raises:
    FileNotFoundError: there is no run in one of the folders.
    ValueError: a run's config is damaged; one is named twice; `out` cannot be written, or the page
      would be too large.
  """
  named, out = [pathlib.Path(path) for path in paths], pathlib.Path(out)
  folders, notes = sweeps.expanded(named)
  _check(folders, out)
  ablations = [folder for folder in folders if (folder / ABLATION).is_file()]
  content = Content(
    read_records([folder for folder in folders if folder not in ablations]),
    [read_ablation(folder) for folder in ablations],
    report_command(named, out),
    datetime.datetime.now(),
  )
  text, unread = page(content)
  with atomic_write(out) as temporary:
    temporary.write_text(text, encoding="utf-8")
  return [*notes, *unread]


def _check(folders: Sequence[pathlib.Path], out: pathlib.Path) -> None:
  """Checks, before any work, that each folder has a run and that the page can be written."""
  if not folders:
    raise UsageError("expected gan_jax report RUN [RUN...] --out=report.html: folders of runs")
  for folder in folders:
    if not any((folder / file).is_file() for file in (RUN, ABLATION)):
      inside = find_runs(folder)[:3] if folder.is_dir() else []
      hint = f"; there are runs below it, such as {inside[0]}" if inside else ""
      raise FileNotFoundError(
        f"no run in {folder}: expected a folder with {RUN} or {ABLATION}{hint}"
      )
  if len({folder.resolve() for folder in folders}) < len(folders):
    raise UsageError("one of the folders is named twice, which would count its run as two")
  if out.suffix.lower() != ".html":
    raise UsageError(f"--out={out}: the page is HTML; expected a name in .html")
  check_writable("--out", out)


class Content(NamedTuple):
  """The content of a page.

  Attributes:
    runs: records of the runs.
    ablations: the ablations.
    command: command that writes the page again.
    time: date of the page.
  """

  runs: Sequence[RunRecord]
  ablations: Sequence[Ablation]
  command: str
  time: datetime.datetime


class View(NamedTuple):
  """Runs as a page has room for them.

  Attributes:
    runs: records of the runs.
    groups: {method: indices of its runs}.
    pictures: [runs] pictures.
    panels: their metrics.
    points: most points of a curve.
  """

  runs: Sequence[RunRecord]
  groups: Mapping[str, Sequence[int]]
  pictures: Sequence[Thumbnails]
  panels: Sequence[Panel]
  points: int

  @property
  def notes(self) -> list[str]:
    """Lines on what could not be read or shown."""
    pairs = zip(self.runs, self.pictures, strict=True)
    return [f"{run.name}: {note}" for run, of_run in pairs for note in [*run.notes, *of_run.notes]]


Part = tuple[str, str, Child]  # id, name, content


def page(content: Content) -> tuple[str, list[str]]:
  """Builds a page.

  Returns:
    The page, and lines on what could not be read or shown.

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
  """Builds a page with a share of the room for pictures and points."""
  first = 1 if content.runs else 0  # place of the ablations' data in the page's
  budget = int(share * CURVES) // (first + len(content.ablations))
  view = _view(content.runs, int(share * PICTURES), budget)
  parts = [p for i, ab in enumerate(content.ablations, first) for p in _ablation(ab, i, content)]
  parts += _runs(view) if view.runs else []
  machines = [(ab.name, ab.results.plan.get("machine", {})) for ab in content.ablations]
  machines += [(run.name, run.machine) for run in content.runs]
  parts += [
    ("reproduce", "Reproduce", _reproduce(content, view.groups)),
    ("machines", "Machines", sections.machines(machines)),
  ]
  main = tag("main", [sections.section(id, name, inside) for id, name, inside in parts])
  sets = [_data(view)] if view.runs else []
  sets += [ablation.data(ab, budget, POINT) for ab in content.ablations]
  data = {"search": [sections.search_text(run) for run in view.runs], "sets": sets}
  body = tag("div", _head(content, view, parts), main, class_="page")
  return document(_title(content, view.groups), body, data), view.notes


def _view(records: Sequence[RunRecord], pictures: int, budget: int) -> View:
  shown = panels(records)
  curves = sum(len(panel.curves) for panel in shown)
  points = max(20, min(POINTS, budget // POINT // max(1, curves)))
  return View(records, grouped(records), thumbnails(records, pictures), shown, points)


def _ablation(ab: Ablation, place: int, content: Content) -> list[Part]:
  """Builds the parts on an ablation, whose data are at a place in the page's."""
  id = f"ablation-{place}"
  alone = not content.runs and len(content.ablations) == 1
  of = "" if alone else f" of {ab.name}"
  variants = tag("div", ablation.variants(ab, f"{id}-table"), class_="tall")
  return [
    (id, "Result" if alone else ab.name, ablation.result(ab)),
    (f"{id}-variants", f"Variants{of}", variants),
    (f"{id}-curves", f"Curves{of}", ablation.curves(ab, place)),
    (f"{id}-failures", f"Failures{of}", ablation.failures(ab)),
  ]


def _runs(view: View) -> list[Part]:
  """Builds the parts on runs."""
  runs, groups = view.runs, view.groups
  return [
    ("result", "Result", results(runs, groups, comparable_groups(runs))),
    ("runs", "Runs", sections.runs(runs)),
    ("samples", "Samples", samples(runs, view.pictures)),
    ("curves", "Curves", _curves(view)),
    ("warnings", "Warnings", sections.warnings(runs, view.pictures)),
    ("cards", "Score cards", cards(runs)),
    ("configs", "Configs", sections.configs(runs, groups)),
  ]


def _reproduce(content: Content, groups: Mapping[str, Sequence[int]]) -> Child:
  """Builds the commands and config files of all of the page."""
  return [
    [sections.reproduce_ablation(ab.name, ab.summary.path, ab.results) for ab in content.ablations],
    sections.reproduce(content.runs, groups),
    tag("h3", "This page"),
    sections.copied("Command of this page", content.command),
  ]


def _curves(view: View) -> Child:
  """Builds charts by kind; all take their curves from one set of data."""
  if not view.panels:
    return tag("p", "No run has two rows yet.")
  figures = {
    heading: [chart(p, i, view.runs) for i, p in enumerate(view.panels) if p.kind == kind]
    for kind, heading in KINDS.items()
  }
  several = any(len(members) > 1 for members in view.groups.values())
  longest = max(len(curve.x) for panel in view.panels for curve in panel.curves.values())
  note = f"Of longer curves the highest and lowest of neighbours are drawn, {view.points} points."
  return [
    charts(0, list(view.groups), SHOWN, figures, toggle=several),
    tag("p", note, class_="note") if longest > view.points else None,
  ]


def _head(content: Content, view: View, parts: Sequence[Part]) -> Markup:
  """Builds the head: title, facts, and a menu of the parts."""
  runs = view.runs
  warnings, unread = sum(len(run.warnings) for run in runs), len(view.notes)
  link = lambda words: tag("a", words, href="#warnings")
  facts = [
    *(_progress(ab) for ab in content.ablations),
    *([_counts(runs, view.groups)] if runs else ()),
    *([link(f"{counted(warnings, 'warning')}.")] if warnings else ["No warnings."] * bool(runs)),
    *([link(f"{unread} could not be read or shown.")] if unread else ()),
    f"Made {content.time:%Y-%m-%d %H:%M} by gan_jax {gan_jax.__version__}.",
  ]
  menu = [tag("a", name, href=f"#{id}") for id, name, _ in parts]
  return tag(
    "header",
    tag("h1", _title(content, view.groups)),
    tag("p", join(facts, " "), class_="lead"),
    tag("nav", menu, aria_label="Parts of the page"),
  )


def _counts(runs: Sequence[RunRecord], groups: Mapping[str, Any]) -> str:
  states = [run.summary.state for run in runs]
  counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
  return f"{counted(len(runs), 'run')} of {counted(len(groups), 'config')}: {counts}."


def _progress(ab: Ablation) -> str:
  played, total = ab.summary.played, ab.summary.total or 0
  progress = "" if played == total else f", {played:,} played"
  return f"Ablation {ab.name}: {total:,} runs, {ab.summary.state}{progress}."


def counted(n: int, noun: str) -> str:
  """Formats a number of things."""
  return f"{n} {noun}{'' if n == 1 else 's'}"


def _title(content: Content, groups: Mapping[str, Any]) -> str:
  names = [*(ab.name for ab in content.ablations), *groups]
  if len(names) <= 3:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
  return f"{names[0]}, {names[1]} and {len(names) - 2} others"


def _data(view: View) -> dict[str, Any]:
  """Builds the data of page.js of runs."""
  return {
    "methods": list(view.groups),
    "runs": [{"name": run.name, "method": run.color} for run in view.runs],
    "panels": [drawn(panel, view.groups, view.points) for panel in view.panels],
  }
