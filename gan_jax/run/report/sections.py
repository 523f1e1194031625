"""The parts of a page that say things of runs: what ran, warnings, configs, commands, machines."""

import math
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.run.ablation.results import Results
from gan_jax.run.config.register import read_source
from gan_jax.run.report.curves import title
from gan_jax.run.report.gather import SEED, Run, differing
from gan_jax.run.report.markup import Child, Markup, tag
from gan_jax.run.report.pictures import Strip
from gan_jax.run.report.reproduce import ablation_file, commands, config_file, file_name
from gan_jax.run.report.tables import Cell, format_number, number, swatch, table, text
from gan_jax.run.results.listing import told_scores
from gan_jax.run.results.runs import config_values, read_config


def section(id: str, heading: str, *children: Child) -> Markup:
  """Makes a part of the page, which the menu leads to."""
  return tag("section", tag("h2", heading), *children, id=id)


# --- what ran -------------------------------------------------------------------------------------


def what_ran(found: Sequence[Run]) -> Any:
  """Lists the runs, to be sorted and filtered; what is hidden here is hidden in all of the page."""
  names = list(dict.fromkeys(name for run in found for name in run.listed.scores))
  ends = ("warnings", "time", "machine")
  heads = ["run", "state", "rounds", "data", "loss", "seed", *map(title, names), *ends]
  caption = "Scores are the last while training, with the best where it was another"
  rows = [_row(run, names) for run in found]
  return [_filter(len(found)), table(caption, heads, rows, runs=range(len(found)))]


def _filter(runs: int) -> Markup:
  field = {"type": "search", "id": "filter", "autocomplete": "off", "aria_describedby": "help"}
  return tag(
    "div",
    tag("label", "Filter runs ", tag("input", placeholder="words, or key=value", **field)),
    tag("output", f"{runs} of {runs} runs", id="filter-count", aria_live="polite"),
    tag("small", "Hides runs in all of the page. ", tag("code", HELP), " and so on.", id="help"),
    class_="controls",
  )


HELP = "loss=hinge k=5 -failed"


def _row(run: Run, names: Sequence[str]) -> list[Cell]:
  config, listed = run.listed.config, run.listed
  total = listed.total or 0
  return [
    Cell([swatch(run.color), run.name], run.name),
    Cell(tag("span", listed.state, class_=f"state {listed.state}"), listed.state),
    number(
      listed.played,
      f"{format_number(listed.played)} of {format_number(total)}"
      if listed.played != total
      else None,
    ),
    text(config.get("data", "")),
    text(config.get("loss", "")),
    number(run.seed) if isinstance(run.seed, int) else text(run.seed),
    *(_last_and_best(listed.scores.get(name, {})) for name in names),
    number(len(run.warnings)),
    number(run.seconds, duration(run.seconds)),
    text(
      ", ".join(str(run.machine[key]) for key in ("processor", "devices") if key in run.machine)
    ),
  ]


def _last_and_best(found: Mapping[str, Any]) -> Cell:
  if "last" not in found:
    return number(None)
  last, best = float(found["last"]), float(found.get("best", found["last"]))
  if best == last or math.isnan(best):
    return number(last)
  return number(last, [format_number(last), tag("small", f" best {format_number(best)}")])


def duration(seconds: float) -> str:
  """Says how long something took."""
  if not math.isfinite(seconds):
    return "–"
  minutes, hours = seconds / 60, seconds / 3600
  return (
    f"{seconds:.0f} s"
    if seconds < 100
    else f"{minutes:.0f} min"
    if minutes < 100
    else f"{hours:.1f} h"
  )


# --- what went wrong ------------------------------------------------------------------------------


def warnings(found: Sequence[Run], strips: Sequence[Strip]) -> Any:
  """Shows what went wrong in runs, and what of them could not be read."""
  warnings = [(i, warning) for i, run in enumerate(found) for warning in run.warnings]
  rows = [
    [
      text(found[i].name),
      number(a.round),
      text(a.monitor.replace("_", " ")),
      text(a.seen),
      text(a.remedy),
    ]
    for i, a in warnings
  ]
  heads = ["run", "round", "what", "seen", "what is known to help"]
  notes = [
    tag("li", tag("b", run.name), f": {note}", data_run=i)
    for i, (run, strip) in enumerate(zip(found, strips, strict=True))
    for note in [*run.notes, *strip.notes]
  ]
  return [
    table("Warnings", heads, rows, runs=[i for i, _ in warnings], class_="wordy")
    if rows
    else tag("p", f"None of {len(found)} runs has failed in a way that is looked for."),
    [tag("h3", "What could not be read or shown"), tag("ul", notes)] if notes else None,
  ]


# --- configs, commands, machines ------------------------------------------------------------------


def configs(found: Sequence[Run], groups: Mapping[str, Sequence[int]]) -> Any:
  """Shows in what methods differ, marked where one is not like most; and what all share."""
  differ, same = differing([found[members[0]] for members in groups.values()])
  differ = [key for key in differ if key != SEED]
  config_of = lambda method: found[groups[method][0]].listed.config
  rows = []
  for key in differ:
    values = [config_of(method).get(key, "not set") for method in groups]
    usual = max(values, key=lambda value: sum(repr(v) == repr(value) for v in values))
    cell = lambda value, usual=usual: Cell(
      tag("mark", str(value)) if repr(value) != repr(usual) else str(value), str(value)
    )
    rows.append([text(key), *map(cell, values)])
  seeds = [", ".join(str(found[i].seed) for i in members) for members in groups.values()]
  shared = {key: found[0].listed.config.get(key) for key in same if key != SEED} if found else {}
  return [
    table("Where configs differ", ["key", *groups], [*rows, [text(SEED), *map(text, seeds)]]),
    tag("p", "Marked: unlike most of the others.", class_="note") if rows else None,
    tag(
      "details",
      tag("summary", f"{len(shared)} keys that all share"),
      tag("dl", [(tag("dt", key), tag("dd", str(value))) for key, value in shared.items()]),
    ),
  ]


def again(found: Sequence[Run], groups: Mapping[str, Sequence[int]]) -> Any:
  """Gives a config file and commands for each method."""
  parts = []
  for method, members in groups.items():
    runs = [found[i] for i in members]
    config = config_values(read_config(runs[0].listed.path))
    file = config_file(method, config, read_source(runs[0].listed.path))
    parts.append(_again(method, commands(runs), file))
  return parts


def ablation_again(name: str, path: pathlib.Path, results: Results) -> Any:
  """Gives the config file and the command of an ablation."""
  command = f"gan_jax ablate --config={file_name(name)} --workdir={shlex.quote(str(path))}"
  return _again(name, [command], ablation_file(results))


def _again(name: str, lines: Sequence[str], file: str) -> Child:
  return [
    tag("h3", name),
    copied(f"Commands of {name}", "\n".join(lines)),
    tag("details", tag("summary", file_name(name)), copied(f"Config file of {name}", file)),
  ]


def copied(label: str, words: str) -> Markup:
  """Shows text with a button that copies it."""
  button = tag("button", "Copy", type="button", class_="copy", aria_label=f"Copy: {label}")
  return tag(
    "div", button, tag("pre", tag("code", words), tabindex=0, aria_label=label), class_="code"
  )


def machines(named: Sequence[tuple[str, Mapping[str, Any]]]) -> Any:
  """Shows what was run on which machine, and with which versions."""
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


def search_text(run: Run) -> str:
  """Lists what the filter looks at: name, state, scores, and each key of the config."""
  config = [f"{key}={value}" for key, value in run.listed.config.items()]
  return " ".join(
    [run.name, run.method, run.listed.state, told_scores(run.listed), *config]
  ).lower()
