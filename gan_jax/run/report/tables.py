"""Tables that can be sorted, estimates drawn as strips beside their numbers; colours and words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.game.kinds.sides.monitors import MONITOR
from gan_jax.run.report.markup import Child, Markup, tag
from gan_jax.run.results.rows import SCORE

NUMBER = "number"  # class of a cell
LENGTH = 1000  # of a strip, in its own units; dots keep their size however wide it is shown


class Cell(NamedTuple):
  """A cell of a table.

  Attributes:
    shown: content.
    value: number or text to sort by; None comes last.
    class_: class of its style.
  """

  shown: Child
  value: Any = None
  class_: str | None = None


def number(value: Any, shown: Child = None) -> Cell:
  """Builds a cell of a number; a dash of None, and NaN as text."""
  if value is None or math.isnan(float(value)):
    return Cell("–" if value is None else "nan", None, NUMBER)
  return Cell(format_number(value) if shown is None else shown, float(value), NUMBER)


def text(value: Any) -> Cell:
  """Builds a cell of text."""
  return Cell(str(value), str(value))


def format_number(value: Any) -> str:
  """Formats a number in four digits, a count in all of them."""
  return f"{value:,}" if type(value) is int else f"{float(value):.4g}"


def table(
  caption: str,
  heads: Sequence[Child],
  rows: Sequence[Sequence[Cell]],
  *,
  runs: Sequence[int] | None = None,
  searches: Sequence[str] | None = None,
  sortable: bool = True,
  foot: Markup | None = None,
  **attributes: Any,
) -> Markup:
  """Builds a table, in a frame that scrolls where it is wider than the page.

  Args:
    caption: title, also read by screen readers.
    heads: [columns] heads.
    rows: [rows][columns] cells; the first of a row is its head.
    runs: [rows] index of a run, for the filter of the page.
    searches: [rows] text that the filter of this table searches beside the cells.
    sortable: whether the heads are buttons that sort.
    foot: last row, which is not sorted.
    **attributes: attributes of the table.
  """
  head = lambda h: tag("th", tag("button", h, type="button") if sortable and h else h, scope="col")
  body = [
    tag(
      "tr",
      *(_cell(cell, i == 0, sortable) for i, cell in enumerate(row)),
      data_run=None if runs is None else runs[at],
      data_search=None if searches is None else searches[at],
    )
    for at, row in enumerate(rows)
  ]
  inner = tag(
    "table",
    tag("caption", caption),
    tag("thead", tag("tr", map(head, heads))),
    tag("tbody", body),
    tag("tfoot", foot) if foot else None,
    data_sortable=sortable,
    **attributes,
  )
  return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _cell(cell: Cell, first: bool, sortable: bool) -> Markup:
  value = None if cell.value is None or not sortable else str(cell.value)
  name, scope = ("th", "row") if first else ("td", None)
  class_ = None if cell.class_ == NUMBER and not sortable else cell.class_
  return tag(name, cell.shown, scope=scope, class_=class_, data_value=value)


# --- strips ---------------------------------------------------------------------------------------


class Axis(NamedTuple):
  """The range of a strip."""

  low: float
  high: float

  def at(self, value: float) -> float:
    """Computes the place of a value on a strip."""
    return LENGTH * min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def axis(values: Sequence[float]) -> Axis | None:
  """Computes the range of all finite values, from 0 if that is near; None without any."""
  finite = [value for value in values if math.isfinite(value)]
  if not finite:
    return None
  low, high = min(finite), max(finite)
  if 0 < low < high / 2:
    low = 0.0
  margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
  return Axis(low - (margin if low else 0.0), high + margin)


def strip(
  axis: Axis,
  mean: float,
  low: float,
  high: float,
  dots: Sequence[float] = (),
  line: float | None = None,
  class_: str = "",
) -> Markup:
  """Draws an estimate: a dot with its interval, single runs as small dots, a line of reference.

  It is hidden from screen readers: the numbers stand beside it.
  """
  dot = lambda value, y, kind: tag("path", d=f"M{axis.at(value):.1f} {y}h.01", class_=kind)
  finite = all(map(math.isfinite, (mean, low, high)))
  return tag(
    "svg",
    None if line is None else tag("path", d=f"M{axis.at(line):.1f} 0v24", class_="reference"),
    [dot(value, 12, "seed") for value in dots if math.isfinite(value)],
    tag("path", d=f"M{axis.at(low):.1f} 12H{axis.at(high):.1f}", class_="interval")
    if finite and high > low
    else None,
    dot(mean, 12, "mean") if finite else None,
    viewBox=f"0 0 {LENGTH} 24",
    preserveAspectRatio="none",
    aria_hidden="true",
    class_=f"strip {class_}".strip(),
  )


def scale(axis: Axis | None, rest: int) -> Markup | None:
  """Builds the row below strips: the ends and the middle of their range, and the rest empty."""
  if axis is None:
    return None
  ticks = (axis.low, (axis.low + axis.high) / 2, axis.high)
  drawn = tag("span", [tag("span", f"{tick:.3g}") for tick in ticks], class_="scale")
  return tag("tr", tag("td"), tag("td", drawn, class_="drawing"), tag("td", colspan=rest))


# --- colours --------------------------------------------------------------------------------------

COLORS, DASHES = 7, 3


def colored(i: int) -> str:
  """Returns the classes of the i-th method: its colour, and the dashes of its line."""
  return f"c{i % COLORS} d{i // COLORS % DASHES}"


def swatch(i: int) -> Markup:
  """Draws a piece of a method's line."""
  line = tag("path", d="M0 6h24")
  return tag("svg", line, class_=f"swatch {colored(i)}", viewBox="0 0 24 12", aria_hidden="true")


# --- words ----------------------------------------------------------------------------------------

DIRECTIONS = {"min": "lower", "max": "higher", "none": "neither way"}
_TITLES = {"D_real": "D(x)", "D_fake": "D(G(z))", "V": "V(D, G)", "V_gap": "V(D, G) + log 4"}
_WORDS = {"frechet": "Fréchet", "kl": "KL", "auc": "AUC", "mmd": "MMD", "ms": "MS", "ssim": "SSIM"}


def title(name: str) -> str:
  """Formats the name of a metric for readers."""
  plain = name.removeprefix(SCORE).removeprefix(MONITOR).replace("/", ": ").replace("_", " ")
  return _TITLES.get(name, " ".join(_WORDS.get(word, word) for word in plain.split(" ")))


def directions(better: Mapping[str, str]) -> str:
  """Formats in which direction each score is better."""
  names = {way: [title(name) for name in better if better[name] == way] for way in DIRECTIONS}
  parts = [f"{DIRECTIONS[way]} for {' and '.join(of)}" for way, of in names.items() if of]
  return f"{capital(', '.join(parts).replace(' for ', ' is better for ', 1))}."


def capital(text: str) -> str:
  """Capitalizes the first letter alone."""
  return text[:1].upper() + text[1:]
