"""A generator's weights in a folder as model hubs have it: safetensors, config, score card."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_jax.files import atomic_write, flat, write_json
from gan_jax.run.config.roles import PLACE
from gan_jax.run.config.stored import read_fields
from gan_jax.run.evaluation.cards.card import RUNNING, Card, protocol_hash
from gan_jax.run.evaluation.cards.files import card_files, read_card, write_card
from gan_jax.run.export.generator import Generator
from gan_jax.run.results.listing import EXPORTED
from gan_jax.run.results.run import Run

WEIGHTS, CONFIG, CARD = EXPORTED, "config.json", "card.json"


def named_weights(generator: Generator) -> dict[str, np.ndarray]:
  """Lists the weights by dotted name, "network.params.Dense_0.kernel", statistics among them."""
  return {name: np.asarray(array, order="C") for name, array in flat(generator.variables).items()}


def write_weights(run: Run, generator: Generator, folder: pathlib.Path) -> list[pathlib.Path]:
  """Writes the weights of a generator into a folder, the config and its newest score card beside.

  Args:
    run: the run that it is of.
    generator: the generator.
    folder: folder to write to.

  Returns:
    The files written; no card of a checkpoint that has none.
  """
  from safetensors.numpy import save

  folder.mkdir(parents=True, exist_ok=True)
  with atomic_write(folder / WEIGHTS) as temporary:
    temporary.write_bytes(save(named_weights(generator), {"round": str(int(run.state.round))}))
  write_json(folder / CONFIG, _description(run))
  written = [folder / WEIGHTS, folder / CONFIG]
  if (card := card_of(run, generator)) is not None:
    write_card(folder / CARD, card)
    written.append(folder / CARD)
  return written


def card_of(run: Run, generator: Generator) -> Card | None:
  """Reads the newest score card of a run's checkpoint, to be published; None if there is none.

  Cards of the raw networks are not of the averaged ones; those of truncated latents, of standing
  statistics and of another sampler are of neither.
  """

  def is_own(card: Card) -> bool:
    protocol = card.protocol
    averaged = protocol.get("ema", generator.averaged) == generator.averaged
    plain = protocol.get("truncation") is None and protocol.get("batch_norm", RUNNING) == RUNNING
    same = protocol.get("sampler") == generator.sampler
    return card.run.get("round") == round and averaged and plain and same

  round, cards = int(run.state.round), map(read_card, card_files(run.folder.workdir))
  card = next(filter(is_own, cards), None)
  return None if card is None else published_card(card)


def published_card(card: Card) -> Card:
  """Builds a card that names data without the folders that they lie in on this machine.

  Its protocol is another, with a hash of its own; `run["original"]` is the hash of the card before.
  """
  protocol, run = without_folders(card.protocol), without_folders(card.run)
  original = {} if protocol == card.protocol else {"original": protocol_hash(card)}
  return card._replace(protocol=protocol, run={**run, **original})


def _description(run: Run) -> dict[str, Any]:
  """Reads what a run's folder says of it, but for where data lie on this machine."""
  fields = read_fields(run.folder.workdir)
  folders = {key.partition(".")[2] for key in PLACE}
  options = {k: v for k, v in fields["config"]["data_options"].items() if k not in folders}
  config = {**fields["config"], "data_options": options}
  return without_folders({"config": config, "example": fields["example"]})


def without_folder(name: str) -> str:
  """Returns the name of data, or of a file, without the folder that it lies in on this machine."""
  return re.sub(r"(?:^|(?<=[:|]))[~/](?:[^:|]*/)?(?=[^/:|])", "", name)


def without_folders(value: Any) -> Any:
  """Applies `without_folder` to every text in nested values."""
  if isinstance(value, str):
    return without_folder(value)
  if isinstance(value, Mapping):
    return {key: without_folders(item) for key, item in value.items()}
  return list(map(without_folders, value)) if isinstance(value, list | tuple) else value
