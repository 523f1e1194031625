"""The scores of a run while it trains: how they are made, which are the best, and their cards."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

from gan_jax.run.evaluation.cards.card import TRAINING_DRAW, Card, protocol_hash
from gan_jax.run.evaluation.cards.files import save_card
from gan_jax.run.evaluation.scoring import card_of, chosen_by
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.rows import read_rows, scored_rounds, scores_of
from gan_jax.run.results.summary import last_and_best
from gan_jax.run.training.log.diagnostics import Rows


class Scores:
  """The evaluator of a run, and what it has scored so far."""

  def __init__(self, experiment: Experiment, workdir: pathlib.Path):
    """Builds the evaluator, which may train a classifier."""
    self._experiment, self._workdir = experiment, workdir
    self.evaluator = experiment.evaluator()
    self.evaluation = int(protocol_hash(self._card("last")), 16)  # a number of how scores are made
    best = self._best_row(self._current(read_rows(workdir)))
    self._best = self._headline(scores_of(best)) if best else None

  def are_best(self, scores: Mapping[str, float]) -> bool:
    """Checks whether scores are better than any before, where several are made."""
    if not self._experiment.config.evaluate_every:
      return False
    headline = self._headline(scores)
    are_best = self.evaluator.improves(headline, self._best)
    self._best = headline if are_best else self._best
    return are_best

  def summary(self, rows: Rows) -> dict[str, Any]:
    """Returns the last and the best scores of rows, and how they were made."""
    return {
      "scores": last_and_best(scored_rounds(self._current(rows)), self.evaluator.better),
      "card": {**self.evaluator.card, **self._card("last").protocol},
    }

  def write_cards(self, rows: Rows) -> None:
    """Writes the cards of the last scores and, where training looked for them, of the best."""
    scored = self._current(rows)
    chosen = {"last": scored[-1] if scored else None}
    if self._experiment.config.evaluate_every:
      chosen["best"] = self._best_row(scored)
    for checkpoint, row in chosen.items():
      if row is not None:
        save_card(self._card(checkpoint, row), self._workdir)

  def _current(self, rows: Rows) -> Rows:
    """Lists the rows that were scored as the config has it now, or do not say how."""
    is_current = lambda row: row.get("evaluation", self.evaluation) == self.evaluation
    return [row for row in rows if is_current(row) and scores_of(row)]

  def _best_row(self, rows: Rows) -> Mapping[str, Any] | None:
    """Returns the first row with the best scores, by the evaluator's headline."""
    best, at = None, None
    for row in rows:
      headline = self._headline(scores_of(row))
      if self.evaluator.improves(headline, best):
        best, at = headline, row
    return at

  def _headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(scores.get(name, math.nan)) for name in self.evaluator.headline}

  def _card(self, checkpoint: str, row: Mapping[str, Any] | None = None) -> Card:
    """Builds the card of a row's scores; without a row, one of the protocol alone."""
    experiment, evaluator, better = self._experiment, self.evaluator, self.evaluator.better
    scores = scores_of(row or {})
    return card_of(
      experiment,
      evaluator,
      [{k: float(v) for k, v in scores.items() if k in better}] if row else [],
      checkpoint,
      row["round"] if row else 0,
      [TRAINING_DRAW],
      images=int(row["images"]) if row else None,
      chosen=chosen_by(experiment, experiment.config, evaluator) if checkpoint == "best" else None,
    )
