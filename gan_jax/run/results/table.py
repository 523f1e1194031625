"""Tables in a terminal or a file: text in columns, runs in lines, and what configs differ in."""

import os
import pathlib
import time
from collections.abc import Container, Mapping, Sequence
from typing import Any

from gan_jax.run.results.listing import RunSummary
from gan_jax.run.results.naming import differing, values_of

LEAST_NAME, SCORE = 12, 34  # least columns of a name, and columns left for scores if names are long


def align(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
  """Formats rows of cells as lines with aligned columns, two spaces apart.

  Args:
    rows: [rows][columns] cells.
    right: places of the columns that are aligned to the right.

  Returns:
    [rows] lines without trailing spaces.
  """
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  cell = lambda i, text: text.rjust(widths[i]) if i in right else text.ljust(widths[i])
  return ["  ".join(cell(i, text) for i, text in enumerate(row)).rstrip() for row in rows]


def table(
  summaries: Sequence[RunSummary],
  below: str | pathlib.Path,
  *,
  first: str = "",
  width: int | None = None,
  now: float | None = None,
) -> str:
  """Formats runs as a table for a terminal.

  Args:
    summaries: runs and ablations, in order.
    below: folder that their names are relative to.
    first: score to show first.
    width: columns of the terminal; None for no limit.
    now: time that ages are counted to, in seconds since the epoch; by default the present.

  Returns:
    A line for each, and one that counts them.
  """
  now = time.time() if now is None else now
  if not summaries:
    return "no run was found"
  rows = [["run", "state", "rounds", "age", "scores"]]
  for run in summaries:
    age, scores = format_age(now - run.changed), format_scores(run, first)
    end = "  ".join(filter(None, (run.note, scores)))
    rows.append([_name(run.path, below), run.state, _progress(run), age, end])
  if width is not None:
    others = sum(max(len(row[i]) for row in rows) for i in (1, 2, 3))
    rows = [[_end(row[0], max(LEAST_NAME, width - others - SCORE)), *row[1:]] for row in rows]
  lines = [_cut(line, width) for line in align(rows, right=(2, 3))]
  states = [run.state for run in summaries]
  counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
  return "\n".join([*lines, f"{len(summaries)} in all: {counts}"])


def format_scores(run: RunSummary, first: str = "") -> str:
  """Formats the scores of a run, last and, where there is one, best."""
  names = sorted(run.scores, key=lambda name: name != first.removeprefix("best:"))
  return "  ".join(_score(name, run.scores[name]) for name in names)


def _score(name: str, score: Mapping[str, Any]) -> str:
  last, best = score["last"], score.get("best", score["last"])
  return f"{name} {float(last):.4g}" + (f" (best {float(best):.4g})" if best != last else "")


def _progress(run: RunSummary) -> str:
  unit = "" if run.unit == "rounds" else f" {run.unit}"
  return f"{run.played:,}/{'?' if run.total is None else f'{run.total:,}'}{unit}"


def _name(path: pathlib.Path, below: str | pathlib.Path) -> str:
  name = os.path.relpath(path, below)
  return path.resolve().name if name == "." else name


def _end(name: str, width: int) -> str:
  return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"


def _cut(line: str, width: int | None) -> str:
  return line if width is None or len(line) <= width else line[: width - 1] + "…"


def format_age(seconds: float) -> str:
  """Formats an age in its largest unit."""
  for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
    if seconds >= size:
      return f"{seconds / size:.0f} {unit}"
  return "now" if seconds >= 0 else ""


def config_differences(*methods: Sequence[Mapping[str, Any] | None], names: Sequence[str]) -> str:
  """Formats a table of the keys in which the configs of methods differ.

  Args:
    *methods: [runs] configs of each method, as of `naming.config_of`.
    names: names of the methods.

  Returns:
    A row for each key, with all values that a method has.
  """
  for name, configs in zip(names, methods, strict=True):
    if None in configs:
      return f"the config of {name} is not known: a score card away from its run has none"
  rows = [[key, *(", ".join(values_of(m, key)) for m in methods)] for key in differing(methods)]
  if not rows:
    return "their configs are the same"
  rows.insert(0, ["configs differ in", *names])
  return "\n".join(align(rows, right=range(1, len(names))))
