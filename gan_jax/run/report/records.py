"""Records of runs: all that their folders hold, as plain data; damage is left out, and noted."""

import contextlib
import itertools
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.files import read_json
from gan_jax.run.config.stored import SEED, without_seed
from gan_jax.run.evaluation.cards.card import Card, protocol_hash
from gan_jax.run.evaluation.cards.files import card_files, last_cards, read_card
from gan_jax.run.evaluation.evaluators.suite import BETTER
from gan_jax.run.results.listing import RunSummary, comparable_rows, summarise_run
from gan_jax.run.results.naming import names, names_of
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training.log.detectors import Warning_
from gan_jax.run.training.log.diagnostics import diagnose
from gan_jax.run.training.saving.rollback import read_rollbacks


class RunRecord(NamedTuple):
  """The contents of a run's folder.

  Attributes:
    name: last parts of the folder's path, as many as are needed for different names.
    summary: state, progress, scores and config.
    method: name of the runs that differ from it in their seed alone.
    color: place of its method among all.
    rows: rows of metrics.jsonl.
    cards: score cards of all its checkpoints.
    pictures: {round: file} of samples, in order.
    warnings: its warnings.
    machine: hardware and versions; {} if unknown.
    seconds: time of training; NaN if unknown.
    notes: lines on what could not be read.
  """

  name: str
  summary: RunSummary
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
    return self.summary.config.get(SEED)


def read_records(paths: Sequence[pathlib.Path]) -> list[RunRecord]:
  """Loads the records of runs.

  Args:
    paths: folders of the runs.

  Raises:
    ValueError: a folder's config is damaged.
  """
  records = [_record(path, name) for path, name in zip(paths, names(paths), strict=True)]
  methods = _methods(records)
  places = {method: i for i, method in enumerate(dict.fromkeys(methods))}
  return [r._replace(method=m, color=places[m]) for r, m in zip(records, methods, strict=True)]


def _record(path: pathlib.Path, name: str) -> RunRecord:
  summary = summarise_run(path)
  if summary.state == "damaged":
    raise ValueError(summary.note)
  notes: list[str] = []
  rows, end, cards = _rows(path, summary, notes), _end(path, notes), _cards(path, notes)
  pictures = _pictures(path)
  if rows and not pictures:
    notes.append("there are no pictures in samples/")
  machine = end.get("machine") or (cards[0].software if cards else {})
  machine = machine if isinstance(machine, Mapping) else {}
  seconds = float(rows[-1].get("seconds", math.nan)) if rows else math.nan
  warnings = _warnings(path, rows, summary, end)
  return RunRecord(name, summary, name, 0, rows, cards, pictures, warnings, machine, seconds, notes)


def _rows(path: pathlib.Path, summary: RunSummary, notes: list[str]) -> list[dict[str, Any]]:
  rows, file = read_rows(path), path / "metrics.jsonl"
  lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
  damaged = sum(1 for line in lines if line.strip()) - len(rows)
  damaged -= damaged > 0 and summary.state == "running"  # the row that is being written
  if not file.is_file():
    notes.append("there is no metrics.jsonl, so nothing is known of its rounds")
  elif damaged:
    notes.append(f"metrics.jsonl: {damaged} of {len(lines)} lines are damaged, and left out")
  return sorted(rows, key=lambda row: row["round"])


def _end(path: pathlib.Path, notes: list[str]) -> dict[str, Any]:
  """Loads summary.json, which a run writes at its end."""
  try:
    return read_json(path / "summary.json") if (path / "summary.json").is_file() else {}
  except ValueError as error:
    notes.append(str(error).splitlines()[0])
    return {}


def _cards(path: pathlib.Path, notes: list[str]) -> list[Card]:
  cards = []
  for file in card_files(path):
    try:
      cards.append(read_card(file))
    except ValueError as error:
      notes.append(str(error).splitlines()[0])
  return cards


def _pictures(path: pathlib.Path) -> dict[int, pathlib.Path]:
  files = sorted((path / "samples").glob("*.png"))
  return {int(file.stem): file for file in files if re.fullmatch(r"[0-9]{1,12}", file.stem)}


def _warnings(
  path: pathlib.Path, rows: Sequence[Mapping[str, Any]], summary: RunSummary, end: Mapping[str, Any]
) -> list[Warning_]:
  """Computes the warnings of a run, with the reason of its early end and its rollbacks."""
  warnings = list(diagnose(rows, summary.total))
  if "stopped" in end:
    saved = [warning for warning in end.get("warnings", []) if isinstance(warning, dict)]
    last = {key: str(saved[-1].get(key, "")) for key in ("monitor", "remedy")} if saved else {}
    monitor, remedy = last.get("monitor", "stopped"), last.get("remedy", "")
    warnings.append(Warning_(summary.played, monitor, str(end["stopped"]), remedy))
  with contextlib.suppress(ValueError, KeyError, TypeError):  # a damaged file
    warnings += [
      Warning_(int(back["round"]), "rollback", str(back["seen"]), "a lower learning rate")
      for back in read_rollbacks(path)
    ]
  return warnings


def _methods(records: Sequence[RunRecord]) -> list[str]:
  """Returns the method of each run: the common beginning of the names of runs that differ in seed.

  Where methods begin alike, the differences of their configs are their names.
  """
  key = lambda run: repr(sorted((k, repr(v)) for k, v in without_seed(run.summary.config).items()))
  groups: dict[str, list[str]] = {}
  for run in records:
    groups.setdefault(key(run), []).append(run.name)
  labels = [_common_start(members) for members in groups.values()]
  if len(set(labels)) < len(labels):
    configs = {key(run): run.summary.config for run in records}
    first = [members[0] for members in groups.values()]
    labels = names_of([[configs[group]] for group in groups], first)
  name = dict(zip(groups, labels, strict=True))
  return [name[key(run)] for run in records]


def _common_start(members: Sequence[str]) -> str:
  """Returns the common beginning of the names of runs."""
  equal = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*members, strict=False))
  start = "".join(letters[0] for letters in equal) if len(members) > 1 else members[0]
  return re.sub(r"[-_ ./]*(seed)?[-_ ./]*$", "", start) or ", ".join(members)


# --- comparable scores ----------------------------------------------------------------------------


class ComparableGroup(NamedTuple):
  """Runs whose last checkpoints were scored by one protocol.

  Attributes:
    protocol_hash: hash of the protocol (see `gan_jax.run.evaluation.cards.card.protocol_hash`).
    protocol: the protocol; {} without a card.
    floor: scores of real examples, where a card has them.
    better: {score: "min", "max" or "none"}, the one that chooses the best checkpoint first.
    values: {score: {index of a run: its mean over draws}}.
  """

  protocol_hash: str
  protocol: Mapping[str, Any]
  floor: Mapping[str, Any]
  better: Mapping[str, str]
  values: Mapping[str, Mapping[int, float]]


def comparable_groups(records: Sequence[RunRecord]) -> list[ComparableGroup]:
  """Groups runs by the protocols of their last checkpoints' scores, the largest group first.

  A run with several protocols is in several groups; a group is left out if all of its runs are in
  larger ones.
  """
  protocols: dict[str, dict[int, Card | None]] = {}
  for i, run in enumerate(records):
    for card in last_cards(run.cards) if run.summary.state != "running" else ():
      protocols.setdefault(protocol_hash(card), {}).setdefault(i, card)
    if (key := _hash_of_rows(run)) and i not in protocols.get(key, {}):
      protocols.setdefault(key, {})[i] = None
  groups: list[ComparableGroup] = []
  covered: set[int] = set()
  for key, members in sorted(protocols.items(), key=lambda item: -len(item[1])):
    group = _group(key, members, records)
    if group.values and not set(members) <= covered:
      covered |= set(members)
      groups.append(group)
  return groups


def _hash_of_rows(run: RunRecord) -> str:
  """Returns the hash of the protocol of a run's last scored row; "" without one."""
  rows = comparable_rows(run.rows)
  number = rows[-1].get("evaluation") if rows else None
  return f"{int(number):08x}" if number and math.isfinite(number) else ""


def _group(
  key: str, members: Mapping[int, Card | None], records: Sequence[RunRecord]
) -> ComparableGroup:
  cards = [card for card in members.values() if card is not None]
  values: dict[str, dict[int, float]] = {}
  for i, card in members.items():
    scores = (
      {name: float(score["last"]) for name, score in records[i].summary.scores.items()}
      if card is None
      else {name: card.mean(name) for name, draws in card.scores.items() if draws}
    )
    for name, value in scores.items():
      values.setdefault(name, {})[i] = value
  better = BETTER | (cards[0].better if cards else {})
  better = {name: way if (way := better.get(name)) in ("min", "max") else "none" for name in values}
  floor = cards[0].run.get("floor", {}) if cards else {}
  floor = floor if isinstance(floor, Mapping) else {}
  return ComparableGroup(key, cards[0].protocol if cards else {}, floor, better, values)


def grouped(records: Sequence[RunRecord]) -> dict[str, list[int]]:
  """Groups runs by method, in order: {method: indices}."""
  groups: dict[str, list[int]] = {}
  for i, run in enumerate(records):
    groups.setdefault(run.method, []).append(i)
  return groups
