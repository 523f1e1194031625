"""The log of a run while it trains: rows, warnings, pictures, scores and their cards."""

import contextlib
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from gan_jax import plots
from gan_jax.data import take
from gan_jax.files import read_json
from gan_jax.game.core import State, images_a_round
from gan_jax.run.evaluation.cards import (
  TRAINING_DRAW,
  Card,
  drop_cards_after,
  protocol_hash,
  save_card,
)
from gan_jax.run.evaluation.evaluate import Evaluator
from gan_jax.run.evaluation.held_out import held_out_probe
from gan_jax.run.evaluation.sampling import Sampler, by_class
from gan_jax.run.evaluation.scoring import card_of, chosen_by, drawn_from
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.rows import (
  Progress,
  Writer,
  last_and_best,
  machine,
  read_rows,
  save_png,
  write_json,
)
from gan_jax.run.training.diagnostics import Rows, Warning_, diagnose
from gan_jax.run.training.history import History
from gan_jax.run.training.rollback import read_rollbacks


class Logger:
  """Logs what is due at a round: rows, pictures, scores, the progress line."""

  def __init__(
    self,
    experiment: Experiment,
    workdir: pathlib.Path,
    first: int,
    mesh: Mesh,
    immediately: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
  ):
    """Opens the files of a run.

    Args:
      experiment: the run's.
      workdir: its folder.
      first: the round it goes on from; what was logged of later ones is dropped.
      mesh: devices that share the work.
      at_once: makes the context of what takes long and may be interrupted at any place.
    """
    self._experiment, self._workdir, self._first = experiment, workdir, first
    self._immediately = immediately
    self._rollbacks = read_rollbacks(workdir)
    self._sampler = Sampler(experiment.game, experiment.example)
    self._images_a_round = images_a_round(experiment.game, experiment.config.batch_size)
    self._writer = Writer(workdir, first)
    self._progress = Progress(experiment.config.rounds, first)
    self._probe = held_out_probe(experiment.game, experiment.batches, experiment.held_out, mesh)
    drop_cards_after(workdir, after=first)
    rows = read_rows(workdir)
    self._before = float(rows[-1].get("seconds", 0)) if rows else 0.0
    self._history = History(rows, experiment.config.rounds)
    self._evaluator: Evaluator | None = None
    self._evaluation = 0  # a number of how scores are made
    self._best: Mapping[str, float] | None = None
    self._start = self._clock = time.monotonic()
    self._last = first
    self._logged = False

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    self._progress.close()
    self._writer.close()

  def already_logged(self, round: int) -> bool:
    """Checks whether a run that goes on from here had logged the round before it was stopped."""
    return round == self._history.last

  def log(self, round: int, state: State, metrics: Mapping[str, float]) -> bool:
    """Logs a round; returns whether its scores are the best so far, where several are made.

    The row comes when all else is done: a round that has its row has been logged.
    """
    config, measured = self._experiment.config, time.monotonic()
    clock = self._clock
    with contextlib.nullcontext() if self._logged else self._aside():  # the first compiles it
      probed = self._probe(state)
    row = {
      **metrics,
      **probed,
      "images": int(state.images),
      "seconds": self._before + time.monotonic() - self._start,
    }
    if round > self._last:
      pace = (round - self._last) / (measured - clock)
      row |= {"rounds_per_second": pace, "images_per_second": pace * self._images_a_round}
    if self._rollbacks:
      row["rollbacks"] = len(self._rollbacks)
    if is_due(config.evaluate_every, round, config.rounds):
      with self._immediately():
        row |= {f"score/{name}": value for name, value in self._score(state).items()}
      row["evaluation"] = self._evaluation
    drawn = is_due(config.sample_every, round, config.rounds)
    if drawn:
      self._writer.picture(round, self._picture(state))
    self._writer.row(round, row)
    self._progress.show(round, row)
    for warning in self._history.add({"round": round, **row}):
      self._progress.say(str(warning))
    if drawn and (curves := plots.history(self._history.rows())) is not None:
      save_png(self._workdir / "curves.png", curves)
    self._last, self._clock = round, time.monotonic()  # what was done here is not training
    self._logged = True
    return self._is_best(row)

  def prepare(self) -> Evaluator:
    """Builds the evaluator, so that one that cannot be built is known before rounds are played."""
    if self._evaluator is None:
      self._progress.say("preparing the evaluator (once for a data set, then it is cached)")
      with self._aside():
        self._evaluator = self._experiment.evaluator()
      self._evaluation = int(protocol_hash(self._card(self._evaluator, "last")), 16)
      before = best_row(self._scored(read_rows(self._workdir)), self._evaluator)
      self._best = _headline(before, self._evaluator) if before else None
    return self._evaluator

  @contextlib.contextmanager
  def compiling(self, rounds: int) -> Iterator[None]:
    """Logs that so many rounds are being compiled, and how long it took."""
    self._progress.say(f"compiling {rounds} round{'s' * (rounds > 1)} in one program ...")
    began = time.monotonic()
    with self._aside():
      yield
    self._progress.say(f"compiled in {time.monotonic() - began:.1f} s")

  @contextlib.contextmanager
  def _aside(self) -> Iterator[None]:
    """Does what is no training, and may be interrupted; its time is left out of the pace."""
    began = time.monotonic()
    with self._immediately():
      yield
    seconds = time.monotonic() - began
    self._clock += seconds
    self._progress.leave_out(seconds)

  def _card(self, evaluator: Evaluator, rule: str, *rows: Mapping[str, Any]) -> Card:
    """Makes the card of a row's scores; without a row, one that says how they are made."""
    names = {name: f"score/{name}" for name in evaluator.better}
    draws = [{name: float(r[key]) for name, key in names.items() if key in r} for r in rows]
    round = rows[0]["round"] if rows else 0
    chosen = None
    if rule == "best":
      chosen = chosen_by(self._experiment, self._experiment.config, evaluator)
    seeds = [TRAINING_DRAW]
    images = int(rows[0]["images"]) if rows else None
    return card_of(
      self._experiment, evaluator, draws, rule, round, seeds, images=images, chosen=chosen
    )

  def _score(self, state: State) -> Mapping[str, float]:
    evaluator = self.prepare()
    return evaluator(*drawn_from(self._experiment, self._sampler, state))

  def _is_best(self, row: Mapping[str, float]) -> bool:
    """Tells whether a row has better scores than any before, where several are made."""
    if self._evaluator is None or not self._experiment.config.evaluate_every:
      return False
    scores = _headline(row, self._evaluator)
    is_best = self._evaluator.improves(scores, self._best)
    self._best = scores if is_best else self._best
    return is_best

  def _picture(self, state: State) -> np.ndarray:
    n = self._experiment.config.num_samples
    classes = self._experiment.example.num_classes
    labels = None if classes is None else by_class(n, classes)
    x = self._sampler(state, n, seed=self._experiment.config.seed, labels=labels)
    source = self._experiment.batches.source
    return plots.picture(x, real=take(source, n)["x"] if source.size is None else None)

  def summary(self) -> dict[str, Any]:
    """Writes summary.json and returns what it says; a run that had ended already keeps its own."""
    rows, path = read_rows(self._workdir), self._workdir / "summary.json"
    kept = {}
    with contextlib.suppress(OSError, ValueError):
      kept = read_json(path)
    if not self._logged and kept.get("rounds") == self._last:
      self._progress.say(f"{self._workdir} has played its {self._last} rounds already")
      return kept
    evaluator = self.prepare()
    found = {
      "rounds": self._last,
      "images": int(rows[-1]["images"]) if rows else 0,
      "wall_seconds": self._before + time.monotonic() - self._start,
      "scores": last_and_best(self._scored(rows), evaluator.better),
      "card": {**evaluator.card, **self._card(evaluator, "last").protocol},
      "warnings": [warning._asdict() for warning in diagnose(rows)],
      "rollbacks": self._rollbacks,
      "final": rows[-1] if rows else {},
      "machine": machine(),
    }
    write_json(path, found)
    self._write_cards(rows, evaluator)
    return found

  def _scored(self, rows: Rows) -> Rows:
    """Picks the rows that were scored as the config has it now; old ones do not say how."""
    alike = lambda row: row.get("evaluation", self._evaluation) == self._evaluation
    return [row for row in rows if alike(row) and any(key.startswith("score/") for key in row)]

  def _write_cards(self, rows: Rows, evaluator: Evaluator) -> None:
    """Writes the cards of the last scores and, where training looked for them, of the best."""
    scored = self._scored(rows)
    chosen = {"last": scored[-1] if scored else None, "best": best_row(scored, evaluator)}
    if not self._experiment.config.evaluate_every:
      del chosen["best"]
    for rule, row in chosen.items():
      if row is not None:
        save_card(self._card(evaluator, rule, row), self._workdir)


class NullLogger:
  """Logs nothing, in a process other than the first."""

  def __init__(self, *_: Any):
    """Takes the arguments of `Logger`."""

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    pass

  def already_logged(self, round: int) -> bool:
    """Returns False: the first process knows."""
    return False

  def prepare(self) -> None:
    """Prepares nothing."""

  def compiling(self, rounds: int) -> contextlib.AbstractContextManager[None]:
    """Returns a context that does nothing."""
    return contextlib.nullcontext()

  def log(self, round: int, state: State, metrics: Mapping[str, float]) -> bool:
    """Logs nothing."""
    return False

  def summary(self) -> dict[str, Any]:
    """Returns an empty summary."""
    return {}


def should_log(config: ConfigDict, round: int) -> bool:
  """Checks whether a row, a picture or an evaluation is due at this round."""
  keys = ("log_every", "sample_every", "evaluate_every")
  return any(is_due(config[key], round, config.rounds) for key in keys)


def best_row(rows: Rows, evaluator: Evaluator) -> Mapping[str, Any] | None:
  """Finds the first row with the best scores, by the evaluator's headline."""
  best, at = None, None
  for row in rows:
    found = _headline(row, evaluator)
    if evaluator.improves(found, best):
      best, at = found, row
  return at


def _headline(row: Mapping[str, Any], evaluator: Evaluator) -> dict[str, float]:
  return {name: float(row.get(f"score/{name}", math.nan)) for name in evaluator.headline}


def is_due(every: int, round: int, last: int) -> bool:
  """Checks whether an event of every so many rounds, and of the last one, is due at this one."""
  return round == last or (every > 0 and round % every == 0)


def write_stopped(workdir: pathlib.Path, warning: Warning_) -> None:
  """Writes the summary of a run that cannot go on."""
  rows = read_rows(workdir)
  found = {
    "rounds": rows[-1]["round"] if rows else 0,
    "stopped": warning.seen,
    "warnings": [found._asdict() for found in (*diagnose(rows), warning)],
    "rollbacks": read_rollbacks(workdir),
    "final": rows[-1] if rows else {},
    "machine": machine(),
  }
  write_json(workdir / "summary.json", found)
