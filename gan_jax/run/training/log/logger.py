"""The log of a run while it trains: rows, warnings, pictures, scores and their cards."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from jax.sharding import Mesh

from gan_jax import plots
from gan_jax.data import take
from gan_jax.files import read_json, write_json
from gan_jax.game.core import State, images_a_round
from gan_jax.plots.png import save_png
from gan_jax.run.evaluation.cards.files import drop_cards_after
from gan_jax.run.evaluation.draws import drawn_from
from gan_jax.run.evaluation.held_out import held_out_probe
from gan_jax.run.evaluation.sampling import by_class
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.rows import SCORE, Row, Writer, read_rows, scores_of
from gan_jax.run.results.summary import machine
from gan_jax.run.training.hooks import Every, Moment, is_due
from gan_jax.run.training.log.detectors import Warning_
from gan_jax.run.training.log.diagnostics import diagnose
from gan_jax.run.training.log.history import History
from gan_jax.run.training.log.progress import Progress
from gan_jax.run.training.log.scores import Scores
from gan_jax.run.training.saving.rollback import read_rollbacks


class Logger:
  """Logs what is due at a round: rows, pictures, scores, the progress line."""

  def __init__(
    self,
    experiment: Experiment,
    workdir: pathlib.Path,
    first: int,
    mesh: Mesh,
    hooks: Sequence[Every] = (),
    immediately: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
  ):
    """Opens the files of a run.

    Args:
      experiment: the run's.
      workdir: folder of the run.
      first: the round it goes on from; the log of later ones is dropped.
      mesh: devices that share the work.
      hooks: actions beside those of the config.
      immediately: returns a context for long work that may be interrupted anywhere.
    """
    self._experiment, self._workdir, self._first = experiment, workdir, first
    self._immediately = immediately
    config = experiment.config
    self._hooks = (
      Every(config.evaluate_every, self._evaluate),
      Every(config.sample_every, self._draw_samples),
      *hooks,
    )
    self._rollbacks = read_rollbacks(workdir)
    self._sampler = experiment.sampler()
    self._images_a_round = images_a_round(experiment.game, config.batch_size)
    self._writer = Writer(workdir, first)
    self._progress = Progress(config.rounds, experiment.game.headline, first)
    self._probe = held_out_probe(experiment.game, experiment.batches, experiment.held_out, mesh)
    drop_cards_after(workdir, after=first)
    rows = read_rows(workdir)
    self._before = float(rows[-1].get("seconds", 0)) if rows else 0.0
    self._history = History(rows, config.rounds)
    self._scores: Scores | None = None
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
    moment = Moment(round, self._experiment.config.rounds, state, self._row(round, state, metrics))
    for hook in self._hooks:
      if hook.rounds is None or is_due(hook.rounds, round, moment.last):
        hook.action(moment)
    columns = moment.row.columns()
    self._writer.row(round, columns)
    self._progress.show(round, columns)
    for warning in self._history.add({"round": round, **columns}):
      self._progress.say(str(warning))
    if is_due(self._experiment.config.sample_every, round, moment.last):
      self._draw_curves()
    self._last, self._clock = round, time.monotonic()  # what was done here is not training
    self._logged = True
    return self._scores is not None and self._scores.are_best(moment.row.scores)

  def _row(self, round: int, state: State, metrics: Mapping[str, float]) -> Row:
    """Measures a round."""
    measured, clock = time.monotonic(), self._clock
    with contextlib.nullcontext() if self._logged else self._aside():  # the first compiles it
      probed = self._probe(state)
    progress = {
      "images": int(state.images),
      "seconds": self._before + time.monotonic() - self._start,
    }
    if round > self._last:
      pace = (round - self._last) / (measured - clock)
      progress |= {"rounds_per_second": pace, "images_per_second": pace * self._images_a_round}
    if self._rollbacks:
      progress["rollbacks"] = len(self._rollbacks)
    return Row({**metrics, **probed}, progress)

  def _evaluate(self, moment: Moment) -> None:
    """Scores the state, as the config has it."""
    with self._immediately():
      scores = self.prepare()
      samples = drawn_from(self._experiment, self._sampler, moment.state)
      moment.row.scores.update(scores.evaluator(*samples))
    moment.row.evaluation = scores.evaluation

  def _draw_samples(self, moment: Moment) -> None:
    if self._experiment.game.samplers:
      self._writer.picture(moment.round, self._picture(moment.state))

  def _picture(self, state: State) -> np.ndarray:
    """Draws samples; of points, the data beside them."""
    experiment = self._experiment
    n, example = experiment.config.num_samples, self._sampler.example
    if self._sampler.translates:
      inputs = self._sampler.latents(max(1, n // 4), experiment.config.seed)
      steps = self._sampler.translations(state, inputs)
      return plots.sequences([*map(self._sampler.shown, steps)])
    source = experiment.batches.source
    labels = None if example.num_classes is None else by_class(n, example.num_classes)
    if example.condition_dim is not None:
      labels = take(source, min(n, source.size or n))["y"]
      n = len(labels)
    x = self._sampler(state, n, seed=experiment.config.seed, labels=labels)
    x = self._sampler.shown(x)
    return plots.picture(x, real=take(source, n)["x"] if source.size is None else None)

  def _draw_curves(self) -> None:
    rows = self._history.rows()
    scores = {name: f"{SCORE}{name}" for row in rows for name in scores_of(row)}
    if (curves := plots.history(rows, dict(sorted(scores.items())))) is not None:
      save_png(self._workdir / "curves.png", curves)

  def prepare(self) -> Scores:
    """Builds the evaluator, if it has not been, and reads what was scored before."""
    if self._scores is None:
      with self._aside():
        self._scores = Scores(self._experiment, self._workdir)
    return self._scores

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
    """Returns a context for work that is no training: its time is left out of the pace."""
    began = time.monotonic()
    with self._immediately():
      yield
    seconds = time.monotonic() - began
    self._clock += seconds
    self._progress.leave_out(seconds)

  def summary(self) -> dict[str, Any]:
    """Writes and returns summary.json; a run that had ended already keeps its own."""
    rows, path = read_rows(self._workdir), self._workdir / "summary.json"
    old = {}
    with contextlib.suppress(OSError, ValueError):
      old = read_json(path)
    if not self._logged and old.get("rounds") == self._last:
      self._progress.say(f"{self._workdir} has played its {self._last} rounds already")
      return old
    scores = self.prepare()
    summary = {
      "rounds": self._last,
      "images": int(rows[-1]["images"]) if rows else 0,
      "wall_seconds": self._before + time.monotonic() - self._start,
      **scores.summary(rows),
      "warnings": [warning._asdict() for warning in diagnose(rows)],
      "rollbacks": self._rollbacks,
      "final": rows[-1] if rows else {},
      "machine": machine(),
    }
    write_json(path, summary)
    scores.write_cards(rows)
    return summary


def write_stopped(workdir: pathlib.Path, warning: Warning_) -> None:
  """Writes the summary of a run that cannot go on."""
  rows = read_rows(workdir)
  summary = {
    "rounds": rows[-1]["round"] if rows else 0,
    "stopped": warning.seen,
    "warnings": [each._asdict() for each in (*diagnose(rows), warning)],
    "rollbacks": read_rollbacks(workdir),
    "final": rows[-1] if rows else {},
    "machine": machine(),
  }
  write_json(workdir / "summary.json", summary)
