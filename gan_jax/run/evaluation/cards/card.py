"""Score cards: scores with the protocol by which they were computed.

A card holds the scores of one checkpoint, for one or several draws, and their protocol: all that
they depend on. Two cards are compared only if their protocols are equal; nothing else decides.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_jax.run.results.summary import machine

if TYPE_CHECKING:
  from gan_jax.run.evaluation.evaluators.evaluator import Evaluator


VERSION = 2  # of a card's fields, and of how scores are computed
TRAINING_DRAW = 0  # seed of the samples that are scored while training; later draws are others
BESIDE = ("floor", "notes", "classes")  # facts of an evaluator that are no part of the protocol
RUNNING = "running statistics, averaged where parameters are"  # of batch norm
ELSEWHERE = "made elsewhere"  # the checkpoint of images that came without a run


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
    error = standard_error(self.scores[name])
    return None if math.isnan(error) else error


def standard_error(values: np.ndarray | Sequence[float]) -> float:
  """Computes the standard error of a mean; NaN of one value, or where one is not finite."""
  if len(values) < 2 or not np.isfinite(values).all():
    return math.nan
  return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def format_mean(values: np.ndarray | Sequence[float]) -> str:
  """Formats a mean with its standard error, where it has one."""
  error = standard_error(values)
  return f"{np.mean(values):.4g}" + ("" if math.isnan(error) else f" ± {error:.2g}")


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
  scores = "  ".join(f"{name} {format_mean(x)}" for name, x in card.scores.items()) or "no scores"
  protocol, run = card.protocol, card.run
  draws = max(map(len, card.scores.values()), default=0)
  real = protocol.get("real") or {}
  how = [
    f"{protocol['checkpoint']}, round {run['round']}" if "round" in run else protocol["checkpoint"],
    _backbone(protocol.get("backbone")),
    f"{format_value(protocol['fake'].get('count', 0))} fakes x {draws}",
    " ".join(format_value(real[key]) for key in ("data", "split", "count") if key in real),
    _WEIGHTS[protocol.get("ema")],
    f"truncation {protocol['truncation']:g}" if protocol.get("truncation") is not None else "",
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


def protocol_hash(card: Card) -> str:
  """Computes the hash of a card's protocol, eight hexadecimal digits: equal ones are comparable."""
  text = json.dumps(card.protocol, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def format_value(value: Any) -> str:
  """Formats a value of a card for readers."""
  if value is None:
    return "not said"
  return f"{value:,}" if type(value) is int else str(value)
