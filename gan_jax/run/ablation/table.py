"""An ablation as text: its matrix, live while it runs, and the table of its results."""

import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from gan_jax.run.ablation.outcomes import (
  APART,
  TOO_FEW,
  Estimate,
  Outcome,
  marginals,
  outcomes,
)
from gan_jax.run.ablation.results import Results, arrange, variant_name
from gan_jax.run.results.significance import LEVEL, format_p
from gan_jax.run.results.table import align

if TYPE_CHECKING:
  from gan_jax.run.ablation.plan import Member

NAMED = 4  # most choices that are named where they cannot be told apart from the baseline


class Board:
  """The matrix of an ablation while its runs are played.

  In a terminal it is redrawn; elsewhere each program that has ended is one line.
  """

  def __init__(self, results: Results, runs: Sequence["Member"], stream: TextIO | None = None):
    """Starts from the rows of earlier starts.

    Args:
      results: plan, and rows of earlier starts.
      runs: all runs of the plan.
      stream: output; standard error by default.
    """
    self._stream = stream or sys.stderr
    self._score = results.plan["score"]
    self._runs, self._began, self._height = runs, time.monotonic(), 0
    self._done: dict[str, list[Mapping[str, Any]]] = {}
    self._share: dict[str, float] = {}
    self._first = len(results.rows)
    self._add(results.rows)

  def __call__(
    self, runs: Sequence["Member"], round: int, rows: Sequence[Mapping[str, Any]] | None
  ) -> None:
    """Shows the progress of the runs of one program."""
    for run in runs:
      self._share[run.name] = round / run.config.rounds
    self._add(rows or ())
    if self._stream.isatty():
      self._draw()
    elif rows:
      print(self._line(runs, rows), file=self._stream, flush=True)

  def _add(self, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
      self._done.setdefault(variant_name(row["variant"]), []).append(row)

  def _line(self, runs: Sequence["Member"], rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(run.name for run in runs))
    mean = self._mean(rows)
    score = f"{self._score} {mean:.4g}" if mean is not None else "all failed"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{self._progress()}  {names[0]}{more}: {score}, {len(rows)} runs"

  def _progress(self) -> str:
    done = sum(map(len, self._done.values()))
    spent, played = time.monotonic() - self._began, done - self._first
    rest = f"{minutes(spent / played * (len(self._runs) - done))} left" if played else "..."
    return f"{done}/{len(self._runs)} runs, {minutes(spent)}, {rest}"

  def _draw(self) -> None:
    """Redraws the matrix in place, cut to the size of the terminal."""
    columns, height = shutil.get_terminal_size()
    lines = [line[: columns - 1] for line in [*self._matrix(), self._progress()][1 - height :]]
    up = f"\x1b[{self._height}F" if self._height else ""
    print(up + "".join(f"\x1b[2K{line}\n" for line in lines), end="", file=self._stream, flush=True)
    self._height = len(lines)

  def _matrix(self) -> list[str]:
    rows, columns, cells = arrange((run.labels, self._cell(run.name)) for run in self._runs)
    heads = [column or "score" for column in columns]
    return align(
      [["", *heads], *([row, *(cells.get((row, c), "") for c in columns)] for row in rows)]
    )

  def _cell(self, name: str) -> str:
    if rows := self._done.get(name):
      mean = self._mean(rows)
      return "failed" if mean is None else f"{mean:.4g}"
    share = self._share.get(name)
    return "·" if share is None else f"{share:.0%}"

  def _mean(self, rows: Sequence[Mapping[str, Any]]) -> float | None:
    values = [float(row["scores"][self._score]["last"]) for row in rows if not row["failed"]]
    return sum(values) / len(values) if values else None


def table(results: Results, score: str | None = None) -> str:
  """Formats the results of an ablation.

  Args:
    results: plan and rows.
    score: name of the score; None for the plan's own.

  Returns:
    A row for each variant and, of several axes, for each choice; then the conclusions.
  """
  score = score or results.plan["score"]
  better = {"max": "more", "min": "less"}[results.plan["better"][score]]
  parts = [_rows(outcomes(results, score), score)]
  parts += [
    _rows(choices, f"{score} over all else") for choices in marginals(results, score).values()
  ]
  seeds = len(results.plan["seeds"])
  parts.append(
    f"{better} {score} is better; {seeds} seeds, ± the standard error,"
    f" [95% bootstrap interval]; last score. p of the paired t-test over seeds, after Holm's"
    f" correction for the comparisons of each table; at {LEVEL} or more: {APART}"
  )
  return "\n\n".join([*parts, "\n".join(conclusions(results, score))])


def conclusions(results: Results, score: str | None = None) -> list[str]:
  """Formats a sentence on each axis, and one on failures.

  Args:
    results: plan and rows.
    score: name of the score; None for the plan's own.
  """
  score = score or results.plan["score"]
  variants = outcomes(results, score)
  axes = marginals(results, score) or dict.fromkeys(results.plan["axes"], variants)
  sentences = [
    _sentence(axis, choices, results.plan["baseline"][axis]) for axis, choices in axes.items()
  ]
  if collapsed := [outcome for outcome in variants if outcome.collapsed]:
    worst = sorted(collapsed, key=lambda o: -o.collapsed / max(o.runs, 1))[:5]
    most = "; ".join(f"{variant_name(o.variant)} {o.collapsed} of {o.runs}" for o in worst)
    count = sum(o.collapsed for o in collapsed)
    sentences.append(
      f"collapsed or failed: {count} of {len(results.rows)} runs; most of all {most}."
    )
  return sentences


def _sentence(axis: str, choices: Sequence[Outcome], baseline: str) -> str:
  """Formats which choices of an axis differ from the baseline's."""
  with_verdict = lambda verdict: [
    f"{o.variant[axis]} ({o.difference:+.3g})" for o in choices if o.verdict == verdict
  ]
  parts = [
    f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {verdict}"
    for verdict in ("better", "worse")
    if (names := with_verdict(verdict))
  ]
  if same := with_verdict(APART):
    those = ", ".join(same) if len(same) <= NAMED else f"the other {len(same)}"
    parts.append(f"{those} {APART}" if parts else "nothing can be told apart")
  waits = "nothing to compare yet"
  if any(o.verdict == TOO_FEW for o in choices):
    waits = f"{TOO_FEW}, and two can be compared: add some to --config.seeds"
  return f"{axis}, beside {baseline}: {'; '.join(parts) or waits}."


def _rows(variants: Sequence[Outcome], score: str) -> str:
  heads = [*variants[0].variant, score, "", "best", "collapsed", "difference", "p", "verdict"]
  rows = [
    [
      *outcome.variant.values(),
      *_cells(outcome.last),
      f"{outcome.best.mean:.4g}",
      f"{outcome.collapsed}/{outcome.runs}",
      "" if outcome.difference is None else f"{outcome.difference:+.3g}",
      "" if outcome.p is None else format_p(outcome.p),
      outcome.verdict,
    ]
    for outcome in variants
  ]
  return "\n".join(align([heads, *rows]))


def _cells(estimate: Estimate) -> tuple[str, str]:
  if math.isnan(estimate.mean):
    return "", ""
  if math.isnan(estimate.error):
    return f"{estimate.mean:.4g}", ""
  interval = f"[{estimate.low:.4g}, {estimate.high:.4g}]"
  return f"{estimate.mean:.4g} ± {estimate.error:.2g}", interval


def minutes(seconds: float) -> str:
  """Formats a time as minutes and seconds."""
  whole, rest = divmod(round(seconds), 60)
  return f"{whole}:{rest:02d}"
