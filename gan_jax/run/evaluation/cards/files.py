"""Score cards in files: each in the folder of its run, with the draws that were kept before."""

import pathlib
from collections.abc import Iterable, Sequence

from gan_jax.files import read_json, write_json
from gan_jax.run.evaluation.cards.card import TRAINING_DRAW, VERSION, Card, protocol_hash

FOLDER = "cards"  # in a run's
_KEYS = ("scores", "better", "made", "run", "software")  # of a card's fields in its file


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
  choices = [_by_protocol(path) for path in map(pathlib.Path, paths)]
  common = [key for key in choices[0] if all(key in cards for cards in choices)] if choices else []
  return [cards[common[0]] if common else next(iter(cards.values())) for cards in choices]


def card_files(workdir: pathlib.Path) -> list[pathlib.Path]:
  """Returns the files of a run's cards, the newest first."""
  return sorted((workdir / FOLDER).glob("*.json"), key=lambda file: -file.stat().st_mtime)


def last_cards(cards: Iterable[Card]) -> list[Card]:
  """Returns the cards of the last checkpoint among those of a run."""
  last = [card for card in cards if card.protocol["checkpoint"] == "last"]
  newest = max((card.run.get("round", 0) for card in last), default=0)
  return [card for card in last if card.run.get("round", 0) == newest]


def _by_protocol(path: pathlib.Path) -> dict[str, Card]:
  """Reads a card, or those of a run's last checkpoint: {hash of the protocol: the newest card}."""
  cards = last_cards(map(read_card, card_files(path))) if path.is_dir() else [read_card(path)]
  if not cards:
    raise FileNotFoundError(
      f"{path} has no card of its last checkpoint: gan_jax evaluate --workdir={path} makes one"
    )
  newest: dict[str, Card] = {}
  for card in cards:
    newest.setdefault(protocol_hash(card), card)
  return newest


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
