"""A generator's weights in a folder as model hubs have it: safetensors, config, score card."""

import pathlib
import re
from typing import Any

import numpy as np

from gan_jax.files import atomic_write, flat, write_json
from gan_jax.run.config.roles import PLACE
from gan_jax.run.config.stored import read_fields
from gan_jax.run.evaluation.cards.card import Card
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
  """Reads the newest score card of a run's checkpoint; None if it has none of this generator.

  Cards of the raw networks are not of the averaged ones, and those of truncated latents of neither.
  """

  def is_own(card: Card) -> bool:
    protocol = card.protocol
    averaged = protocol.get("ema", generator.averaged) == generator.averaged
    return card.run.get("round") == round and averaged and not protocol.get("truncation")

  round, cards = int(run.state.round), map(read_card, card_files(run.folder.workdir))
  return next(filter(is_own, cards), None)


def _description(run: Run) -> dict[str, Any]:
  """Reads what a run's folder says of it, but for where data lie on this machine."""
  fields = read_fields(run.folder.workdir)
  folders = {key.partition(".")[2] for key in PLACE}
  options = {k: v for k, v in fields["config"]["data_options"].items() if k not in folders}
  named = {"data": without_folder(fields["config"]["data"]), "data_options": options}
  return {"config": {**fields["config"], **named}, "example": fields["example"]}


def without_folder(data: str) -> str:
  """Returns the name of data without the folder above that they lie in on this machine."""
  return re.sub(r"(?<=:)[~/][^:]*/(?=[^/:])", "", data)
