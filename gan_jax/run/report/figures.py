"""The parts of a page that show pictures of runs: samples over time, and curves."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.data.labels import listed
from gan_jax.run.report.curves import Panel, title
from gan_jax.run.report.gather import Run
from gan_jax.run.report.markup import Markup, tag
from gan_jax.run.report.pictures import Frame, Strip
from gan_jax.run.report.tables import number, swatch, table, text

# --- samples --------------------------------------------------------------------------------------


def samples(found: Sequence[Run], strips: Sequence[Strip]) -> Any:
  """Shows the samples of all runs at one round, which a slider moves; in print, at all of them."""
  rounds = sorted({frame.round for strip in strips for frame in strip.frames})
  if not rounds:
    return tag("p", "No run has pictures of samples.")
  figures = [
    _figure(i, run, strip) for i, (run, strip) in enumerate(zip(found, strips, strict=True))
  ]
  shown, there = (sum(n) for n in zip(*((len(s.frames), s.there) for s in strips), strict=True))
  left = f"{shown} of {there} pictures are on this page; the others are in samples/ of each run."
  return [
    _slider(rounds) if len(rounds) > 1 else None,
    tag("div", figures, class_="samples"),
    tag("p", left, class_="note") if shown < there else None,
  ]


def _slider(rounds: Sequence[int]) -> Markup:
  last, said = len(rounds) - 1, f"{rounds[-1]:,}"
  label = ["Round ", tag("output", said, id="round", for_="slider")]
  steps = {"min": 0, "max": last, "value": last, "data_rounds": " ".join(map(str, rounds))}
  return tag(
    "div",
    tag("button", "Play", type="button", id="play", aria_pressed="false"),
    tag("label", label, for_="slider"),
    tag("input", type="range", id="slider", aria_valuetext=f"round {said}", **steps),
    class_="controls sticky",
  )


def _figure(i: int, run: Run, strip: Strip) -> Markup | None:
  if not strip.frames:
    return None
  return tag(
    "figure",
    tag("figcaption", swatch(run.color), run.name, _classes(run)),
    [_frame(run, frame, last=frame is strip.frames[-1]) for frame in strip.frames],
    data_run=i,
    class_="frames",
  )


def _classes(run: Run) -> Markup | None:
  """Says of which classes samples are, in their order."""
  classes = run.listed.classes
  return tag("small", f" class by class: {listed(classes)[:200]}") if classes else None


def _frame(run: Run, frame: Frame, last: bool) -> Markup:
  alt = f"Samples of {run.name} at round {frame.round:,}"
  size = {"width": frame.width, "height": frame.height}
  picture = tag("img", src=frame.source, alt=alt, decoding="async", **size)
  caption = tag("span", f"round {frame.round:,}")
  return tag("div", picture, caption, class_="frame", data_round=frame.round, data_off=not last)


# --- curves ---------------------------------------------------------------------------------------


class Chart(NamedTuple):
  """A chart.

  Attributes:
    kind: which it is shown among.
    title: of it.
    place: of its curves in the page's data.
    values: what it shows, in numbers.
    dashed: what a dashed line in it means; "" without one.
  """

  kind: str
  title: str
  place: int
  values: Markup
  dashed: str = ""


def charts(
  number: int,
  names: Sequence[str],
  shown: Sequence[bool],
  drawn: Sequence[Chart],
  kinds: Mapping[str, str],
  toggle: bool,
) -> Markup:
  """Lays out charts that share a legend.

  Args:
    number: of their data, in the page's.
    names: of the methods.
    shown: whether each is, before anybody asks for others.
    drawn: the charts.
    kinds: {kind: heading}.
    toggle: whether single runs can be shown in place of bands.

  Returns:
    The charts; page.js draws into them.
  """
  legend = [
    tag("button", swatch(i), name, type="button", aria_pressed=str(on).lower(), data_method=i)
    for i, (name, on) in enumerate(zip(names, shown, strict=True))
  ]
  single = tag("button", "Single runs", type="button", class_="mode", aria_pressed="false")
  band = "Lines are means over seeds, bands go from the lowest to the highest of them."
  grids = [
    (tag("h3", heading), tag("div", figures, class_="grid"))
    for kind, heading in kinds.items()
    if (figures := [_chart(chart) for chart in drawn if chart.kind == kind])
  ]
  return tag(
    "div",
    tag("div", legend, class_="legend", role="group", aria_label="Shown in the curves"),
    tag("p", single, " ", tag("span", band, class_="mode-note"), class_="note") if toggle else None,
    grids,
    class_="charts",
    data_set=number,
  )


def _chart(chart: Chart) -> Markup:
  label = f"{chart.title} over rounds; arrow keys read its values, and all are in the table below"
  plot = tag("div", class_="plot", tabindex=0, role="img", data_panel=chart.place, aria_label=label)
  dashed = tag("small", f"dashed: {chart.dashed}") if chart.dashed else None
  table = tag("details", tag("summary", "Values"), chart.values)
  return tag("figure", tag("figcaption", chart.title, dashed), plot, table, class_="chart")


def values_of(panel: Panel, found: Sequence[Run]) -> Markup:
  """Says in numbers what a chart shows."""
  rows = [
    [
      text(found[i].name),
      number(float(curve.y[-1])),
      number(int(curve.x[-1])),
      number(float(curve.y.min())),
      number(int(curve.x[curve.y.argmin()])),
      number(float(curve.y.max())),
      number(int(curve.x[curve.y.argmax()])),
    ]
    for i, curve in panel.curves.items()
  ]
  heads = ["run", "last", "at round", "lowest", "at round", "highest", "at round"]
  return table(title(panel.name), heads, rows, runs=list(panel.curves), sortable=False)
