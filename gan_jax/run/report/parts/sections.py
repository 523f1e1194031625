"""The parts of a page on runs in words: what ran, warnings, configs, commands, machines."""

import math
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.run.ablation.results import Results
from gan_jax.run.config.register import read_source
from gan_jax.run.config.stored import SEED, config_values, read_config
from gan_jax.run.report.markup import Child, Markup, tag
from gan_jax.run.report.parts.samples import Thumbnails
from gan_jax.run.report.records import RunRecord
from gan_jax.run.report.reproduce import ablation_file, commands, config_file, file_name
from gan_jax.run.report.tables import Cell, format_number, number, swatch, table, text, title
from gan_jax.run.results.naming import differing
from gan_jax.run.results.table import format_scores

HELP = "loss=hinge k=5 -failed"


def section(id: str, heading: str, *children: Child) -> Markup:
  """Builds a part of the page, which the menu links to."""
  return tag("section", tag("h2", heading), *children, id=id)


# --- runs -----------------------------------------------------------------------------------------


def runs(records: Sequence[RunRecord]) -> Any:
  """Builds the table of runs; its filter hides runs in all of the page."""
  names = list(dict.fromkeys(name for run in records for name in run.summary.scores))
  ends = ("warnings", "time", "machine")
  heads = ["run", "state", "rounds", "data", "loss", "seed", *map(title, names), *ends]
  caption = "Scores are the last while training, with the best where it was another"
  rows = [_row(run, names) for run in records]
  return [_filter(len(records)), table(caption, heads, rows, runs=range(len(records)))]


def _filter(runs: int) -> Markup:
  field = {"type": "search", "id": "filter", "autocomplete": "off", "aria_describedby": "help"}
  return tag(
    "div",
    tag("label", "Filter runs ", tag("input", placeholder="words, or key=value", **field)),
    tag("output", f"{runs} of {runs} runs", id="filter-count", aria_live="polite"),
    tag("small", "Hides runs in all of the page. ", tag("code", HELP), " and so on.", id="help"),
    class_="controls",
  )


def _row(run: RunRecord, names: Sequence[str]) -> list[Cell]:
  config, summary = run.summary.config, run.summary
  total = summary.total or 0
  progress = f"{format_number(summary.played)} of {format_number(total)}"
  machine = [str(run.machine[key]) for key in ("processor", "devices") if key in run.machine]
  return [
    Cell([swatch(run.color), run.name], run.name),
    Cell(tag("span", summary.state, class_=f"state {summary.state}"), summary.state),
    number(summary.played, progress if summary.played != total else None),
    text(config.get("data", "")),
    text(config.get("loss", "")),
    number(run.seed) if isinstance(run.seed, int) else text(run.seed),
    *(_last_and_best(summary.scores.get(name, {})) for name in names),
    number(len(run.warnings)),
    number(run.seconds, duration(run.seconds)),
    text(", ".join(machine)),
  ]


def _last_and_best(score: Mapping[str, Any]) -> Cell:
  if "last" not in score:
    return number(None)
  last, best = float(score["last"]), float(score.get("best", score["last"]))
  if best == last or math.isnan(best):
    return number(last)
  return number(last, [format_number(last), tag("small", f" best {format_number(best)}")])


def duration(seconds: float) -> str:
  """Formats a time in its largest unit."""
  if not math.isfinite(seconds):
    return "–"
  if seconds < 100:
    return f"{seconds:.0f} s"
  return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


# --- warnings -------------------------------------------------------------------------------------


def warnings(records: Sequence[RunRecord], pictures: Sequence[Thumbnails]) -> Any:
  """Builds the table of warnings, and the list of what could not be read."""
  pairs = [(i, warning) for i, run in enumerate(records) for warning in run.warnings]
  rows = [
    [text(records[i].name), number(w.round), *map(text, (w.monitor.replace("_", " "), *w[2:]))]
    for i, w in pairs
  ]
  heads = ["run", "round", "what", "seen", "what is known to help"]
  notes = [
    tag("li", tag("b", run.name), f": {note}", data_run=i)
    for i, (run, of_run) in enumerate(zip(records, pictures, strict=True))
    for note in [*run.notes, *of_run.notes]
  ]
  return [
    table("Warnings", heads, rows, runs=[i for i, _ in pairs], class_="wordy")
    if rows
    else tag("p", f"None of {len(records)} runs has failed in a way that is looked for."),
    [tag("h3", "What could not be read or shown"), tag("ul", notes)] if notes else None,
  ]


# --- configs, commands, machines ------------------------------------------------------------------


def configs(records: Sequence[RunRecord], groups: Mapping[str, Sequence[int]]) -> Any:
  """Builds the table of keys in which methods differ, rare values marked, and the shared keys."""
  config_of = {method: records[members[0]].summary.config for method, members in groups.items()}
  keys = differing([[config] for config in config_of.values()])
  rows = []
  for key in keys:
    values = [str(config.get(key, "not set")) for config in config_of.values()]
    usual = max(values, key=values.count)
    cells = [Cell(v if v == usual else tag("mark", v), v) for v in values]
    rows.append([text(key), *cells])
  seeds = [", ".join(str(records[i].seed) for i in members) for members in groups.values()]
  first = records[0].summary.config if records else {}
  shared = {key: first[key] for key in sorted(first.keys() - {*keys, SEED})}
  return [
    table("Where configs differ", ["key", *groups], [*rows, [text(SEED), *map(text, seeds)]]),
    tag("p", "Marked: unlike most of the others.", class_="note") if rows else None,
    tag(
      "details",
      tag("summary", f"{len(shared)} keys that all share"),
      tag("dl", [(tag("dt", key), tag("dd", str(value))) for key, value in shared.items()]),
    ),
  ]


def reproduce(records: Sequence[RunRecord], groups: Mapping[str, Sequence[int]]) -> Any:
  """Builds the config file and the commands of each method."""
  parts = []
  for method, members in groups.items():
    runs = [records[i] for i in members]
    folder = runs[0].summary.path
    file = config_file(method, config_values(read_config(folder)), read_source(folder))
    parts.append(_files(method, commands(runs), file))
  return parts


def reproduce_ablation(name: str, path: pathlib.Path, results: Results) -> Any:
  """Builds the config file and the command of an ablation."""
  command = f"gan_jax ablate --config={file_name(name)} --workdir={shlex.quote(str(path))}"
  return _files(name, [command], ablation_file(results))


def _files(name: str, lines: Sequence[str], file: str) -> Child:
  return [
    tag("h3", name),
    copied(f"Commands of {name}", "\n".join(lines)),
    tag("details", tag("summary", file_name(name)), copied(f"Config file of {name}", file)),
  ]


def copied(label: str, words: str) -> Markup:
  """Builds text with a button that copies it."""
  button = tag("button", "Copy", type="button", class_="copy", aria_label=f"Copy: {label}")
  return tag(
    "div", button, tag("pre", tag("code", words), tabindex=0, aria_label=label), class_="code"
  )


def machines(named: Sequence[tuple[str, Mapping[str, Any]]]) -> Any:
  """Builds the list of machines and versions, each with the names of its runs."""
  kinds: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
  for name, machine in named:
    kinds.setdefault(repr(sorted(machine.items(), key=str)), (machine, []))[1].append(name)
  return [
    tag(
      "div",
      tag("p", "All on:" if len(kinds) == 1 else f"{', '.join(names)}:"),
      tag("dl", [(tag("dt", key), tag("dd", str(value))) for key, value in machine.items()])
      if machine
      else tag("p", "not said: these have not ended"),
    )
    for machine, names in kinds.values()
  ]


def search_text(run: RunRecord) -> str:
  """Returns the text that the filter searches: name, state, scores, and the config."""
  config = [f"{key}={value}" for key, value in run.summary.config.items()]
  words = [run.name, run.method, run.summary.state, format_scores(run.summary), *config]
  return " ".join(words).lower()
