"""An ablation as text: the grid that fills while it runs, and the table of what it has found."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from gan_jax.run.ablation.plan import Labels, Member, said
from gan_jax.run.ablation.results import (
  APART,
  LEVEL,
  TOO_FEW,
  Estimate,
  Outcome,
  Results,
  marginals,
  outcomes,
)

WAITS = "·"
NAMED = 4  # choices that cannot be told apart from the baseline are named up to so many


class Board:
  """A grid of variants that fills: the first axis down, the others across.

  In a terminal it moves; elsewhere each program that has ended is one line.
  """

  def __init__(self, results: Results, runs: Sequence[Member], stream: TextIO | None = None):
    """Starts.

    Args:
      results: with the rows of earlier starts.
      runs: all there are to be.
      stream: where to; standard error by default.
    """
    self._stream = stream or sys.stderr
    self._score = results.plan["score"]
    self._runs, self._began, self._height = runs, time.monotonic(), 0
    self._done: dict[str, list[Mapping[str, Any]]] = {}
    self._share: dict[str, float] = {}
    for row in results.rows:
      self._done.setdefault(said(row["variant"]), []).append(row)
    self._first = sum(map(len, self._done.values()))

  def __call__(
    self, runs: Sequence[Member], round: int, rows: Sequence[Mapping[str, Any]] | None
  ) -> None:
    """Shows how runs of one program stand."""
    for one in runs:
      self._share[one.name] = round / one.config.rounds
    for row in rows or ():
      self._done.setdefault(said(row["variant"]), []).append(row)
    if self._stream.isatty():
      self._draw()
    elif rows:
      print(self._line(runs, rows), file=self._stream, flush=True)

  def _line(self, runs: Sequence[Member], rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(one.name for one in runs))
    values = [float(row["scores"][self._score]["last"]) for row in rows if not row["failed"]]
    mean = f"{self._score} {sum(values) / len(values):.4g}" if values else "all failed"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{self._progress()}  {names[0]}{more}: {mean}, {len(rows)} runs"

  def _progress(self) -> str:
    done = sum(map(len, self._done.values()))
    spent, played = time.monotonic() - self._began, done - self._first
    left = f"{minutes(spent / played * (len(self._runs) - done))} left" if played else "..."
    return f"{done}/{len(self._runs)} runs, {minutes(spent)}, {left}"

  def _draw(self) -> None:
    """Draws the grid over the one before."""
    lines = [*self._grid(), self._progress()]
    up = f"\x1b[{self._height}F" if self._height else ""
    print(up + "".join(f"\x1b[2K{line}\n" for line in lines), end="", file=self._stream, flush=True)
    self._height = len(lines)

  def _grid(self) -> list[str]:
    labels = [one.labels for one in self._runs]
    down, across = _unique(_first(x) for x in labels), _unique(_others(x) for x in labels)
    cells = {(_first(x), _others(x)): self._cell(said(x)) for x in labels}
    body = [[name, *(cells.get((name, other), "") for other in across)] for name in down]
    return aligned([["", *across], *body])

  def _cell(self, name: str) -> str:
    if rows := self._done.get(name):
      values = [float(r["scores"][self._score]["last"]) for r in rows if not r["failed"]]
      return f"{sum(values) / len(values):.4g}" if values else "failed"
    share = self._share.get(name)
    return WAITS if share is None else f"{share:.0%}"


def table(results: Results, score: str | None = None) -> str:
  """Says what an ablation has found.

  Args:
    results: of its runs.
    score: by which; None for its own.

  Returns:
    A row for each variant and, of several axes, for each choice; then what they say.
  """
  score = score or results.plan["score"]
  ways = {"max": "more", "min": "less"}
  parts = [_rows(outcomes(results, score), score)]
  parts += [_rows(found, f"{score} over all else") for found in marginals(results, score).values()]
  seeds = len(results.plan["seeds"])
  parts.append(
    f"{ways[results.plan['better'][score]]} {score} is better; {seeds} seeds, ± the standard error,"
    f" [95% bootstrap interval]; last score. p of the paired t-test over seeds, after Holm's"
    f" correction for the comparisons of each table; at {LEVEL} or more: {APART}"
  )
  return "\n\n".join([*parts, "\n".join(conclusions(results, score))])


def conclusions(results: Results, score: str | None = None) -> list[str]:
  """Draws one sentence from each axis, and one on what failed.

  Args:
    results: of the runs.
    score: by which; None for the plan's own.

  Returns:
    Sentences.
  """
  score = score or results.plan["score"]
  found = marginals(results, score) or {
    axis: outcomes(results, score) for axis in results.plan["axes"]
  }
  told = [_sentence(axis, judged, results.plan["baseline"][axis]) for axis, judged in found.items()]
  bad = [o for o in outcomes(results, score) if o.collapsed]
  if bad:
    worst = sorted(bad, key=lambda o: -o.collapsed / max(o.runs, 1))[:5]
    most = "; ".join(f"{said(o.variant)} {o.collapsed} of {o.runs}" for o in worst)
    runs, lost = len(results.rows), sum(o.collapsed for o in bad)
    told.append(f"collapsed or failed: {lost} of {runs} runs; most of all {most}.")
  return told


def _sentence(axis: str, judged: Sequence[Outcome], base: str) -> str:
  """Says which choices of an axis differ from the baseline's."""
  named = lambda verdict: [
    f"{o.variant[axis]} ({o.difference:+.3g})" for o in judged if o.verdict == verdict
  ]
  parts = [
    f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {verdict}"
    for verdict in ("better", "worse")
    if (names := named(verdict))
  ]
  if alike := named(APART):
    those = ", ".join(alike) if len(alike) <= NAMED else f"the other {len(alike)}"
    parts.append(f"{those} {APART}" if parts else "nothing can be told apart")
  waits = "nothing to compare yet"
  if any(o.verdict == TOO_FEW for o in judged):
    waits = f"{TOO_FEW}, and two can be compared: add some to --config.seeds"
  return f"{axis}, beside {base}: {'; '.join(parts) or waits}."


def _rows(found: Sequence[Outcome], score: str) -> str:
  axes = list(found[0].variant)
  head = [*axes, score, "", "best", "collapsed", "difference", "p", "verdict"]
  body = [
    [
      *outcome.variant.values(),
      *_cells(outcome.last),
      f"{outcome.best.mean:.4g}",
      f"{outcome.collapsed}/{outcome.runs}",
      "" if outcome.difference is None else f"{outcome.difference:+.3g}",
      "" if outcome.p is None else f"{outcome.p:.2g}",
      outcome.verdict,
    ]
    for outcome in found
  ]
  return "\n".join(aligned([head, *body]))


def _cells(estimate: Estimate) -> tuple[str, str]:
  if math.isnan(estimate.mean):
    return "", ""
  if math.isnan(estimate.error):
    return f"{estimate.mean:.4g}", ""
  return (
    f"{estimate.mean:.4g} ± {estimate.error:.2g}",
    f"[{estimate.low:.4g}, {estimate.high:.4g}]",
  )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
  """Aligns the cells of a table, the first column to the left."""
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  line = lambda row: "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
  return [line(row).rstrip() for row in rows]


def _first(labels: Labels) -> str:
  return next(iter(labels.values()))


def _others(labels: Labels) -> str:
  return ", ".join(list(labels.values())[1:]) or "score"


def _unique(names: Any) -> list[str]:
  return list(dict.fromkeys(names))


def minutes(seconds: float) -> str:
  """Writes a time as minutes and seconds."""
  whole, rest = divmod(round(seconds), 60)
  return f"{whole}:{rest:02d}"
