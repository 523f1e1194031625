"""What folders of runs hold, as plain data; what is damaged is left out, and said."""

import contextlib
import itertools
import math
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.files import read_json
from gan_jax.run.evaluation.cards import FOLDER, Card, protocol_hash, read_card
from gan_jax.run.results.comparing import names_of
from gan_jax.run.results.listing import BETTER, Listed, alike, look
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training.diagnostics import Warning_, diagnose
from gan_jax.run.training.rollback import read_rollbacks

SEED = "seed"  # the key of a config in which runs of one method differ


class Run(NamedTuple):
  """A run, as a page shows it.

  Attributes:
    name: of its folder, with as much before it as tells it from the others.
    listed: state, progress, scores and config.
    method: name of the runs that differ from it in their seed alone.
    color: place of its method among all, which gives it its colour.
    rows: of metrics.jsonl.
    cards: of all its checkpoints that were scored.
    pictures: {round: file} of samples, in order.
    warnings: its warnings.
    machine: what it ran on, and versions; {} if it does not say.
    seconds: that it has taken; NaN if it does not say.
    notes: what of it could not be read.
  """

  name: str
  listed: Listed
  method: str
  color: int
  rows: Sequence[Mapping[str, Any]]
  cards: Sequence[Card]
  pictures: Mapping[int, pathlib.Path]
  warnings: Sequence[Warning_]
  machine: Mapping[str, Any]
  seconds: float
  notes: Sequence[str]

  @property
  def seed(self) -> Any:
    """The seed of its config."""
    return self.listed.config.get(SEED)


def runs(paths: Sequence[pathlib.Path]) -> list[Run]:
  """Gathers runs.

  Args:
    paths: their folders.

  Returns:
    A run of each.

  Raises:
    ValueError: a folder's config is damaged.
  """
  found = [_run(path, name) for path, name in zip(paths, names(paths), strict=True)]
  methods = _methods(found)
  places = {method: i for i, method in enumerate(dict.fromkeys(methods))}
  return [r._replace(method=m, color=places[m]) for r, m in zip(found, methods, strict=True)]


def _run(path: pathlib.Path, name: str) -> Run:
  listed = look(path)
  if listed.state == "damaged":
    raise ValueError(listed.note)
  notes: list[str] = []
  rows, summary = _rows(path, listed, notes), _summary(path, notes)
  cards = _cards(path, notes)
  pictures = _pictures(path)
  if rows and not pictures:
    notes.append("there are no pictures in samples/")
  machine = summary.get("machine") or (cards[0].software if cards else {})
  machine = machine if isinstance(machine, Mapping) else {}
  seconds = rows[-1].get("seconds", math.nan) if rows else math.nan
  warnings = _warnings(path, rows, listed, summary)
  return Run(name, listed, name, 0, rows, cards, pictures, warnings, machine, float(seconds), notes)


def _rows(path: pathlib.Path, listed: Listed, notes: list[str]) -> list[dict[str, Any]]:
  rows, file = read_rows(path), path / "metrics.jsonl"
  lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
  damaged = sum(1 for line in lines if line.strip()) - len(rows)
  damaged -= damaged > 0 and listed.state == "running"  # the row that is being written
  if not file.is_file():
    notes.append("there is no metrics.jsonl, so nothing is known of its rounds")
  elif damaged:
    notes.append(f"metrics.jsonl: {damaged} of {len(lines)} lines are damaged, and left out")
  return sorted(rows, key=lambda row: row["round"])


def _summary(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
  try:
    return read_json(path / "summary.json") if (path / "summary.json").is_file() else {}
  except ValueError as error:
    notes.append(str(error).splitlines()[0])
    return {}


def _cards(path: pathlib.Path, notes: list[str]) -> list[Card]:
  cards = []
  files = sorted((path / FOLDER).glob("*.json"), key=lambda file: -file.stat().st_mtime)
  for file in files:
    try:
      cards.append(read_card(file))
    except ValueError as error:
      notes.append(str(error).splitlines()[0])
  return cards


def _pictures(path: pathlib.Path) -> dict[int, pathlib.Path]:
  files = sorted((path / "samples").glob("*.png"))
  return {int(file.stem): file for file in files if re.fullmatch(r"[0-9]{1,12}", file.stem)}


def _warnings(
  path: pathlib.Path, rows: Sequence[Mapping[str, Any]], listed: Listed, summary: Mapping[str, Any]
) -> list[Warning_]:
  """Finds what went wrong, with why the run ended early and what it went back for."""
  found = list(diagnose(rows, listed.total))
  if "stopped" in summary:
    told = [w for w in summary.get("warnings", []) if isinstance(w, dict)]
    last = {key: str(told[-1].get(key, "")) for key in ("monitor", "remedy")} if told else {}
    monitor, remedy = last.get("monitor", "stopped"), last.get("remedy", "")
    found.append(Warning_(listed.played, monitor, str(summary["stopped"]), remedy))
  return [*found, *_rollbacks(path)]


def _rollbacks(path: pathlib.Path) -> list[Warning_]:
  with contextlib.suppress(ValueError, KeyError, TypeError):  # a damaged file
    return [
      Warning_(int(back["round"]), "rollback", str(back["seen"]), "a lower learning rate")
      for back in read_rollbacks(path)
    ]
  return []


def names(paths: Sequence[pathlib.Path]) -> list[str]:
  """Names folders by their last parts, as many as tell them apart."""
  parts = [pathlib.Path(os.path.abspath(path)).parts for path in paths]
  for depth in range(1, max(map(len, parts), default=1) + 1):
    found = ["/".join(part[-depth:]) for part in parts]
    if len(set(found)) == len(found):
      break
  return found


def _methods(found: Sequence[Run]) -> list[str]:
  """Names runs whose configs differ in the seed alone, by what their names begin with alike.

  Where that does not tell methods apart, what differs in their configs does.
  """
  key = lambda run: repr(sorted((k, repr(v)) for k, v in run.listed.config.items() if k != SEED))
  groups: dict[str, list[str]] = {}
  for run in found:
    groups.setdefault(key(run), []).append(run.name)
  names = [_begins(members) for members in groups.values()]
  if len(set(names)) < len(names):  # they end alike, and not begin
    configs = {key(run): run.listed.config for run in found}
    first = [members[0] for members in groups.values()]
    names = names_of([[configs[group]] for group in groups], first)
  labels = dict(zip(groups, names, strict=True))
  return [labels[key(run)] for run in found]


def _begins(members: Sequence[str]) -> str:
  """Takes what the names of runs begin with alike."""
  alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*members, strict=False))
  start = "".join(letters[0] for letters in alike) if len(members) > 1 else members[0]
  return re.sub(r"[-_ ./]*(seed)?[-_ ./]*$", "", start) or ", ".join(members)


# --- what may be compared -------------------------------------------------------------------------


class Alike(NamedTuple):
  """Runs whose last checkpoints were scored in the same way.

  Attributes:
    digest: of how (see `gan_jax.run.evaluation.cards.digest`).
    made: how; {} if no card says it.
    floor: what real examples score, where a card says it.
    better: {score: "min", "max" or "none"}, the one that chooses the best checkpoint first.
    values: {score: {index of a run: its mean over draws}}.
  """

  protocol_hash: str
  made: Mapping[str, Any]
  floor: Mapping[str, Any]
  better: Mapping[str, str]
  values: Mapping[str, Mapping[int, float]]


def scored_alike(found: Sequence[Run]) -> list[Alike]:
  """Sorts runs by how their last checkpoints were scored.

  A run may have been scored in several ways; ways are left out that say nothing of a run that
  others do not say of more runs.

  Args:
    found: the runs.

  Returns:
    A value for each way, that of most runs first.
  """
  ways: dict[str, dict[int, Card | None]] = {}
  for i, run in enumerate(found):
    last = [card for card in run.cards if card.protocol["checkpoint"] == "last"]
    newest = max((card.run.get("round", 0) for card in last), default=0)
    for card in last:
      if card.run.get("round", 0) == newest and run.listed.state != "running":
        ways.setdefault(protocol_hash(card), {}).setdefault(i, card)
    if (way := _way(run)) and i not in ways.get(way, {}):
      ways.setdefault(way, {})[i] = None
  kept: list[Alike] = []
  covered: set[int] = set()
  for way, members in sorted(ways.items(), key=lambda item: -len(item[1])):
    found_alike = _alike(way, members, found)
    if found_alike.values and not set(members) <= covered:
      covered |= set(members)
      kept.append(found_alike)
  return kept


def _way(run: Run) -> str:
  """Tells how the last rows of a run were scored: rows have the digest of their cards."""
  rows = alike(run.rows)
  number = rows[-1].get("evaluation") if rows else None
  return f"{int(number):08x}" if number and math.isfinite(number) else ""


def _alike(way: str, members: Mapping[int, Card | None], found: Sequence[Run]) -> Alike:
  cards = [card for card in members.values() if card is not None]
  values: dict[str, dict[int, float]] = {}
  for i, card in members.items():
    last = found[i].listed.scores
    scores = (
      {name: float(score["last"]) for name, score in last.items()}
      if card is None
      else {name: card.mean(name) for name, draws in card.scores.items() if draws}
    )
    for name, value in scores.items():
      values.setdefault(name, {})[i] = value
  better = dict(cards[0].better) if cards else {}
  ways = {name: better.get(name, BETTER.get(name)) for name in values}
  known = {name: way if way in ("min", "max") else "none" for name, way in ways.items()}
  floor = cards[0].run.get("floor", {}) if cards else {}
  floor = floor if isinstance(floor, Mapping) else {}
  return Alike(way, cards[0].protocol if cards else {}, floor, known, values)


def grouped(found: Sequence[Run]) -> dict[str, list[int]]:
  """Lists the runs of each method, in order: {method: indices}."""
  groups: dict[str, list[int]] = {}
  for i, run in enumerate(found):
    groups.setdefault(run.method, []).append(i)
  return groups


def differing(found: Sequence[Run]) -> tuple[list[str], list[str]]:
  """Sorts the keys of configs into those in which runs differ, and those in which all agree."""
  keys = sorted(set(itertools.chain.from_iterable(run.listed.config for run in found)))
  values = {key: {repr(run.listed.config.get(key)) for run in found} for key in keys}
  return [k for k in keys if len(values[k]) > 1], [k for k in keys if len(values[k]) == 1]
