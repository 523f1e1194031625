"""Folders of runs as training leaves them, made by hand: small, and in any state."""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.files import plain, write_json
from gan_jax.plots.png import save_png
from gan_jax.run.config import default_config
from gan_jax.run.config.stored import config_values
from gan_jax.run.evaluation.cards.card import Card, protocol_hash
from gan_jax.run.evaluation.cards.files import write_card

BETTER = {"modes": "max", "kl": "min"}
MADE = {
  "version": 1,
  "evaluator": "mixture",
  "backbone": None,
  "metrics": {},
  "real": {"data": "ring8", "count": 2000},
  "fake": {"count": 500},
  "ema": True,
  "checkpoint": "last",
}
MACHINE = {"python": "3.11", "jax": "0.10.2", "processor": "a processor", "devices": "1 x cpu"}


def made_card(draws: Sequence[float] = (0.1, 0.2), round: int = 400, **made: Any) -> Card:
  """Makes a card whose draws of kl are given."""
  scores = {"modes": [8.0] * len(draws), "kl": list(draws)}
  run = {"round": round, "draws": list(range(1, len(draws) + 1)), "seed": 0, "floor": {"kl": 0.01}}
  return Card(scores, BETTER, {**MADE, **made}, run, MACHINE)


def made_run(
  folder: pathlib.Path,
  *,
  seed: int = 0,
  kl: float = 0.1,
  rounds: int = 400,
  played: int | None = None,
  pictures: Sequence[int] = (200, 400),
  cards: Sequence[Card] | None = None,
  rows: Mapping[str, Any] | None = None,
  stopped: str = "",
  **config: Any,
) -> pathlib.Path:
  """Makes the folder of a run on `ring8`.

  Args:
    folder: to be made.
    seed, rounds: of its config.
    kl: its last score.
    played: rounds so far; all of them by default.
    pictures: rounds at which samples were drawn.
    cards: of its checkpoints; by default that of the last if all rounds are played.
    rows: further columns.
    stopped: why it failed.
    **config: other values of top-level keys.

  Returns:
    The folder.
  """
  folder.mkdir(parents=True)
  played = rounds if played is None else played
  values = config_values(default_config())
  values |= {"data": "ring8", "seed": seed, "rounds": rounds, **config}
  example = {"shape": [2], "num_classes": None, "pixel_range": None}
  write_json(folder / "config.json", {"config": values, "example": example})
  lines = [_row(round, kl, rows or {}) for round in range(20, played + 1, 20)]
  (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  for i, round in enumerate(pictures):
    (folder / "samples").mkdir(exist_ok=True)
    save_png(folder / f"samples/{round:08d}.png", np.full((40, 40, 1), 50 * i % 256, np.uint8))
  if stopped:
    write_json(folder / "summary.json", {"rounds": played, "stopped": stopped})
  elif played == rounds:
    scores = {"kl": {"last": kl, "best": kl / 2, "best_round": 200}}
    write_json(folder / "summary.json", {"rounds": played, "scores": scores, "machine": MACHINE})
    cards = [made_card((kl, kl * 1.1), rounds)] if cards is None else cards
  for card in cards or ():
    write_card(folder / "cards" / f"{card.run['round']:08d}-{protocol_hash(card)}.json", card)
  return folder


def _row(round: int, kl: float, more: Mapping[str, Any]) -> dict[str, Any]:
  row = {"round": round, "discriminator/loss": 1.3, "generator/loss": 0.7 + math.sin(round / 50)}
  row |= {"D_real": 0.5, "D_fake": 0.5, "seconds": round / 10}
  if round % 100 == 0:
    row |= {"score/modes": 8.0, "score/kl": kl * 400 / round}
    row |= {"evaluation": float(int(protocol_hash(made_card()), 16))}
  return {**row, **more}


def made_ablation(
  folder: pathlib.Path,
  *,
  losses: Sequence[str] = ("non_saturating", "hinge", "wasserstein"),
  penalties: Mapping[str, Mapping[str, Any]] | None = None,
  seeds: Sequence[int] = (0, 1, 2),
  missing: int = 0,
  points: int = 5,
) -> pathlib.Path:
  """Makes the folder of an ablation of losses and penalties, by their KL.

  Args:
    folder: to be made.
    losses: of one axis.
    penalties: of the other: {label: changes}.
    seeds: of each variant. That of the last loss without a penalty fails in the first of them.
    missing: runs that have not been played yet, the last ones.
    points: of each curve.

  Returns:
    The folder.
  """
  folder.mkdir(parents=True)
  penalties = {"none": {}, "r1": {"regularizers.r1": 0.1}} if penalties is None else penalties
  base = {**config_values(default_config()), "data": "ring8", "k": 2}
  plan = {
    "name": folder.name,
    "axes": {"loss": list(losses), "penalty": list(penalties)},
    "baseline": {"loss": losses[0], "penalty": next(iter(penalties))},
    "seeds": list(seeds),
    "rounds": 100,
    "score": "kl",
    "better": {"modes": "max", "kl": "min"},
    "collapse": "modes<4",
    "base": base,
    "machine": MACHINE,
  }
  write_json(folder / "ablation.json", plan)
  rows = [
    _run_of_ablation(losses.index(loss), (loss, label), changes, seed, points)
    for loss in losses
    for label, changes in penalties.items()
    for seed in seeds
  ]
  rows[-len(seeds) * len(penalties)]["failed"] = "V was nan in round 7"
  lines = [json.dumps(plain(row)) for row in rows[: len(rows) - missing]]
  (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))
  return folder


def _run_of_ablation(
  at: int, labels: tuple[str, str], changes: Mapping[str, Any], seed: int, points: int
) -> dict[str, Any]:
  kl = (1 + 0.01 * seed) / (1 + at) + 0.1 * bool(changes)
  rounds = [100.0 * (i + 1) / points for i in range(points)]
  curve = {"round": rounds, "kl": [kl * 100 / x for x in rounds], "modes": [8.0] * points}
  curve |= {"V": [-1.4] * points, "discriminator/loss": [1.4] * points}
  return {
    "variant": dict(zip(("loss", "penalty"), labels, strict=True)),
    "changes": {"loss": labels[0], **changes},
    "seed": seed,
    "rounds": 100,
    "images": 6400,
    "scores": {
      "modes": {"last": 8.0, "best": 8.0, "best_round": 20},
      "kl": {"last": kl, "best": kl, "best_round": 100},
    },
    "failed": None,
    "collapsed": False,
    "seconds": 1.0,
    "curve": curve,
  }
