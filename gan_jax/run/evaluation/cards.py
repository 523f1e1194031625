"""Score cards: scores with the protocol by which they were computed.

A card holds the scores of one checkpoint, for one or several draws, and their protocol: all that
they depend on. Two cards are compared only if their protocols are equal; nothing else decides.
"""

import hashlib
import json
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.files import read_json, write_json
from gan_jax.run.results.summary import machine

if TYPE_CHECKING:
  from gan_jax.run.evaluation.evaluate import Evaluator

VERSION = 2  # of a card's fields, and of how scores are computed
FOLDER = "cards"  # in a run's
TRAINING_DRAW = 0  # seed of the samples that are scored while training; later draws are others
BESIDE = ("floor", "notes", "classes")  # facts of an evaluator that are no part of the protocol
ELSEWHERE = "made elsewhere"  # the checkpoint of images that came without a run
_KEYS = ("scores", "better", "made", "run", "software")  # of a card's fields in its file


class Card(NamedTuple):
  """Scores and their protocol.

  Attributes:
    scores: {name: values, one for each draw of samples}.
    better: {name: "min", "max", or "none" where neither is}.
    protocol: all that must be equal in two cards that are compared; `made` in the file.
    run: checkpoint, run and seeds of the draws; or the images.
    software: versions and hardware.
  """

  scores: dict[str, list[float]]
  better: dict[str, str]
  protocol: dict[str, Any]
  run: dict[str, Any]
  software: dict[str, Any]

  def mean(self, name: str) -> float:
    """Computes the mean of a score over draws."""
    return float(np.mean(self.scores[name]))

  def error(self, name: str) -> float | None:
    """Computes the standard error of the mean over draws; None of one draw, or infinities."""
    values = self.scores[name]
    if len(values) < 2 or not np.isfinite(values).all():
      return None
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def make_card(
  evaluator: "Evaluator",
  draws: Sequence[Mapping[str, float]],
  *,
  checkpoint: str,
  sampled: Mapping[str, Any],
  run: Mapping[str, Any],
) -> Card:
  """Builds the card of a checkpoint.

  Args:
    evaluator: the evaluator that computed the scores.
    draws: scores of each draw.
    checkpoint: choice of the checkpoint: "last", "best", "asked for"; or `ELSEWHERE`.
    sampled: options of sampling: ema, truncation, batch norm.
    run: config, seed, round, and the seeds of the draws; or the images.

  Returns:
    The card.
  """
  how = {key: value for key, value in evaluator.card.items() if key not in BESIDE}
  how["fake"] = {key: value for key, value in how.get("fake", {}).items() if key != "seed"}
  protocol = {"version": VERSION, **how, **sampled, "checkpoint": checkpoint}
  about = dict(run) | {key: evaluator.card[key] for key in BESIDE if key in evaluator.card}
  names = draws[0] if draws else ()
  scores = {name: [float(draw.get(name, math.nan)) for draw in draws] for name in names}
  better = {name: evaluator.better[name] for name in scores}
  # As it will be read again: tuples are lists there.
  return Card(scores, better, json.loads(json.dumps(protocol)), about, machine())


def format_card(card: Card) -> str:
  """Formats a card as one line."""
  scores = "  ".join(f"{name} {_shown(card, name)}" for name in card.scores) or "no scores"
  protocol, run = card.protocol, card.run
  draws = max(map(len, card.scores.values()), default=0)
  real = protocol.get("real") or {}
  how = [
    f"{protocol['checkpoint']}, round {run['round']}" if "round" in run else protocol["checkpoint"],
    _backbone(protocol.get("backbone")),
    f"{format_value(protocol['fake'].get('count', 0))} fakes x {draws}",
    " ".join(format_value(real[key]) for key in ("data", "split", "count") if key in real),
    _WEIGHTS[protocol.get("ema")],
    f"latents within {protocol['truncation']:g}" if protocol.get("truncation") else "",
    protocol.get("note", ""),
    f"card {protocol_hash(card)}",
  ]
  return f"{scores}  ({'; '.join(part for part in how if part)})"


_WEIGHTS = {True: "averaged weights", False: "raw weights", None: ""}


def _backbone(backbone: Mapping[str, Any] | None) -> str:
  if not backbone:
    return ""
  checksum = backbone.get("sha256")
  return f"{backbone['name']}{f' {checksum[:8]}' if checksum else ''}"


def _shown(card: Card, name: str) -> str:
  error = card.error(name)
  return f"{card.mean(name):.4g}" + (f" ± {error:.2g}" if error is not None else "")


def protocol_hash(card: Card) -> str:
  """Computes the hash of a card's protocol, eight hexadecimal digits: equal ones are comparable."""
  text = json.dumps(card.protocol, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


# --- files ----------------------------------------------------------------------------------------


def card_path(card: Card, workdir: str | pathlib.Path) -> pathlib.Path:
  """Returns the file of a card in the folder of its run, named by round and protocol."""
  return pathlib.Path(workdir) / FOLDER / f"{card.run['round']:08d}-{protocol_hash(card)}.json"


def save_card(card: Card, workdir: str | pathlib.Path) -> tuple[Card, pathlib.Path]:
  """Writes a card into the folder of its run, with the draws that were kept there before.

  Args:
    card: the card.
    workdir: folder of the run.

  Returns:
    The card, with the draws of other seeds of a card of the same round, run and protocol; its file.
  """
  path = card_path(card, workdir)
  if path.is_file():
    card = _joined(read_card(path), card)
  write_card(path, card)
  return card, path


def write_card(path: str | pathlib.Path, card: Card) -> None:
  """Writes a card, headed by means and errors."""
  summary = {name: {"mean": card.mean(name), "error": card.error(name)} for name in card.scores}
  write_json(path, {"summary": summary, **dict(zip(_KEYS, card, strict=True))})


def has_card(card: Card, workdir: str | pathlib.Path) -> bool:
  """Returns whether a run's folder has a card of this round and run with all these draws."""
  path = card_path(card, workdir)
  if not path.is_file():
    return False
  saved = read_card(path)
  return _same_run(saved, card) and set(card.run["draws"]) <= set(saved.run["draws"])


def _joined(old: Card, new: Card) -> Card:
  """Joins to a card the draws of an older one of the same run that have other seeds.

  The draw of training is left out beside others: the best checkpoint was chosen by it, so that it
  looks too good, and the last may be the best.
  """
  if set(old.scores) != set(new.scores) or not _same_run(old, new):
    return new
  draws = {  # by seed, the values of each score
    seed: {name: values[i] for name, values in card.scores.items()}
    for card in (old, new)
    for i, seed in enumerate(card.run["draws"])
  }
  if len(draws) > 1:
    draws.pop(TRAINING_DRAW, None)
  seeds = sorted(draws)
  scores = {name: [draws[seed][name] for seed in seeds] for name in new.scores}
  return new._replace(scores=scores, run={**new.run, "draws": seeds})


def drop_cards_after(workdir: str | pathlib.Path, after: int) -> None:
  """Deletes the cards of rounds after one, which a run that goes on from there plays again."""
  for path in (pathlib.Path(workdir) / FOLDER).glob("*.json"):
    round = path.name.split("-")[0]
    if round.isdecimal() and int(round) > after:
      path.unlink()


def read_cards(paths: Sequence[str | pathlib.Path]) -> list[Card]:
  """Reads cards that are to be compared.

  A folder of a run stands for its last checkpoint. Of several cards of that, the newest of a
  protocol that all folders have in common is read, and without one each folder's newest card.

  Args:
    paths: files, or folders of runs.

  Returns:
    A card of each.

  Raises:
    FileNotFoundError: there is none.
    ValueError: a file is no card, or a damaged one.
  """
  of = lambda path: _last_cards(path) if path.is_dir() else _by_protocol([read_card(path)])
  choices = [of(path) for path in map(pathlib.Path, paths)]
  common = [key for key in choices[0] if all(key in cards for cards in choices)] if choices else []
  return [cards[common[0]] if common else next(iter(cards.values())) for cards in choices]


def _last_cards(workdir: pathlib.Path) -> dict[str, Card]:
  """Reads the cards of a run's last checkpoint: {hash of the protocol: card}, the newest first."""
  files = sorted(
    (workdir / FOLDER).glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True
  )
  cards = [card for card in map(read_card, files) if card.protocol["checkpoint"] == "last"]
  if not cards:
    raise FileNotFoundError(
      f"{workdir} has no card of its last checkpoint: gan_jax evaluate --workdir={workdir} makes"
      " one"
    )
  newest = max(card.run.get("round", 0) for card in cards)
  return _by_protocol(card for card in cards if card.run.get("round", 0) == newest)


def _by_protocol(cards: Iterable[Card]) -> dict[str, Card]:
  first: dict[str, Card] = {}
  for card in cards:
    first.setdefault(protocol_hash(card), card)
  return first


def read_card(path: str | pathlib.Path) -> Card:
  """Reads a card from its file.

  Raises:
    FileNotFoundError: there is none.
    ValueError: the file is no card, or a damaged one.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f"there is no card {path}: expected a run's folder, or a file in cards/"
    )
  try:
    fields = read_json(path)
    card = Card(*(fields[key] for key in _KEYS))
    scores = {name: [float(x) for x in values] for name, values in card.scores.items()}
    if card.protocol["version"] > VERSION:
      raise ValueError(
        f"it is of version {card.protocol['version']}, and this reads up to {VERSION}"
      )
    if type(card.run.get("round", 0)) is not int or not all(
      isinstance(part, dict) for part in card
    ):
      raise ValueError("it does not say of what")
    if not card.better.keys() >= scores.keys() or not isinstance(card.protocol["checkpoint"], str):
      raise ValueError("it does not say how")
    return card._replace(scores=scores)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f"{path} is no score card, or a damaged one ({error})") from error


def _same_run(a: Card, b: Card) -> bool:
  return all(a.run.get(key) == b.run.get(key) for key in ("config", "seed"))


def format_value(value: Any) -> str:
  """Formats a value of a card for readers."""
  if value is None:
    return "not said"
  return f"{value:,}" if type(value) is int else str(value)
