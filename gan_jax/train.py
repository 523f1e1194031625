"""The only loop: play rounds, tell how it goes, keep what must not be lost.

It knows no loss, no network and no data set. Rounds are played several at a time in one dispatch;
what a dispatch measured is fetched while the next one runs.
"""

import contextlib
import json
import math
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax import report
from gan_jax.cards import keep_card
from gan_jax.checkpoint import BEST, Checkpoints
from gan_jax.data import Batches, take
from gan_jax.diagnostics import (
  GRADIENT,
  Alarm,
  Rows,
  diagnose,
  held_out_probe,
  not_finite,
  summarise,
)
from gan_jax.evaluate import Evaluator
from gan_jax.experiment import Experiment
from gan_jax.game import Game, State, init, minibatches, play_round
from gan_jax.parallel import data_mesh, replicate, split
from gan_jax.runs import write_config
from gan_jax.sampling import Sampler, by_class
from gan_jax.scoring import card_of, sample_function

Dispatch = Callable[[State, int], tuple[State, Mapping[str, jax.Array]]]


class NotFiniteError(FloatingPointError):
  """A loss or gradient became NaN or infinite; `alarm` says which, and when."""

  def __init__(self, alarm: Alarm):
    super().__init__(
      f"{alarm.seen}: training has stopped, and what was saved is from before. Try {alarm.remedy}"
    )
    self.alarm = alarm


def rounds_player(game: Game, batches: Batches, mesh: Mesh, start: int = 0) -> Dispatch:
  """Compiles several rounds into one dispatch: (state, how many) -> (state, metrics [how many]).

  Data that fit are sampled on the device, inside the program; others are read ahead on the host.

  Args:
    game: the game.
    batches: its data.
    mesh: devices to share the work.
    start: the round that streamed data start from.

  Returns:
    A function that donates the state it is given.
  """
  n = minibatches(game)

  def play(state: State, arrays: Any, raw: Any, length: int) -> tuple[State, Mapping[str, Any]]:
    def one(state: State, raw: Any) -> tuple[State, Mapping[str, Any]]:
      t = state.round.astype(jnp.uint32) * n + jnp.arange(n, dtype=jnp.uint32)
      if raw is None:
        batch = jax.vmap(lambda t: batches.at(arrays, t))(t)
      else:
        batch = jax.vmap(batches.finish)(raw, t)
      return play_round(game, state, split(batch, mesh, axis=1))

    return jax.lax.scan(one, state, raw, length=length)

  compiled = jax.jit(play, static_argnums=3, donate_argnums=0)
  if batches.resident:
    arrays = replicate(batches.arrays, mesh)
    return lambda state, length: compiled(state, arrays, None, length)
  stream = batches.stream(start * n)
  return lambda state, length: compiled(
    state, {}, split(_stack(stream, length, n), mesh, axis=2), length
  )


def _stack(stream: Iterator[Mapping[str, np.ndarray]], length: int, n: int) -> Any:
  """Takes the minibatches of so many rounds: leaves [length, n, B, ...]."""
  taken = [next(stream) for _ in range(length * n)]
  return jax.tree.map(lambda *x: np.stack(x).reshape(length, n, *x[0].shape), *taken)


EVENTS = ("log_every", "sample_every", "evaluate_every", "checkpoint_every")


def _next_stop(config: ml_collections.ConfigDict, round: int) -> int:
  """Finds where the dispatch from `round` ends: at its full length, or where something is due."""
  steps = [config[key] for key in EVENTS if config[key]]
  due = [round - round % step + step for step in steps]
  return min(round + config.rounds_per_call, config.rounds, *due)


def fit(experiment: Experiment, workdir: str | pathlib.Path) -> dict[str, Any]:
  """Trains from the last checkpoint in a folder, or from the start, to the last round.

  Args:
    experiment: what to train.
    workdir: folder of the run: `checkpoints/`, `metrics.jsonl`, TensorBoard events, `samples/`,
      `curves.png`, `config.json`, `summary.json`.

  Returns:
    What `summary.json` says.

  Raises:
    ValueError: if the devices or a checkpoint do not fit the config.
    NotFiniteError: at the first round in which something is NaN or infinite.
    KeyboardInterrupt: after SIGINT or SIGTERM, when the state has been saved.
  """
  workdir = pathlib.Path(workdir)
  config = experiment.config
  mesh = data_mesh(config.batch_size)
  with (
    Checkpoints(workdir / "checkpoints", config.keep_checkpoints) as checkpoints,
    Checkpoints(workdir / BEST, keep=1) as best,
  ):
    state = _start(experiment, checkpoints, mesh)
    write_config(experiment, workdir)
    first = int(state.round)
    best.forget(after=first)
    play = rounds_player(experiment.game, experiment.batches, mesh, first)
    with _Teller(experiment, workdir, first, mesh) as teller, _interruption() as interrupted:
      watch, round = _Watch(), first
      if teller.missed(first):
        teller.tell(first, state, {})
      try:
        while round < config.rounds:
          if interrupted():
            raise KeyboardInterrupt
          stop = _next_stop(config, round)
          state, metrics = play(state, stop - round)
          watch.add(round, metrics)
          round = stop
          if teller.is_due(round) and teller.tell(round, state, watch.row()):
            best.save(state)
          if _is_due(config.checkpoint_every, round, config.rounds):
            watch.latest()
            checkpoints.save(state)
      except NotFiniteError as error:
        teller.stopped(error.alarm)
        raise
      except BaseException:
        if not state.round.is_deleted():  # a dispatch that failed has taken the state with it
          watch.latest()
          checkpoints.save(state)  # what failed can be done again; the rounds are dear
        raise
      return teller.summary()


@contextlib.contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
  """Tells whether SIGINT or SIGTERM came, instead of raising wherever the program is.

  Between a dispatch and its result the state is nowhere, and could not be saved.
  """
  came: list[int] = []

  def note(number: int, frame: Any) -> None:
    if came:
      raise KeyboardInterrupt  # asked twice: at once
    came.append(number)

  if threading.current_thread() is not threading.main_thread():  # others get no signals
    yield lambda: False
    return
  before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield lambda: bool(came)
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


class _Teller:
  """Tells what is due at a round: rows, pictures, scores, the progress line."""

  def __init__(self, experiment: Experiment, workdir: pathlib.Path, first: int, mesh: Mesh):
    self._experiment, self._workdir, self._first = experiment, workdir, first
    self._sampler = Sampler(experiment.game, experiment.example)
    self._images_a_round = minibatches(experiment.game) * experiment.config.batch_size
    self._writer = report.Writer(workdir, first)
    self._progress = report.Progress(experiment.config.rounds, first)
    if experiment.unscored:
      self._progress.say(f"there will be no scores: {experiment.unscored}")
    self._probe = held_out_probe(experiment.game, experiment.batches, experiment.held_out, mesh)
    rows = report.read_rows(workdir)
    self._before = float(rows[-1].get("seconds", 0)) if rows else 0.0
    self._rows = [row for row in rows if row["round"] <= first]
    self._warned = {alarm.monitor for alarm in diagnose(self._rows, experiment.config.rounds)}
    self._evaluator: Evaluator | None = None
    self._start = self._clock = time.monotonic()
    self._last = first
    self._told = False

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    self._progress.close()
    self._writer.close()

  def is_due(self, round: int) -> bool:
    """Tells whether there is anything to tell at this round."""
    config = self._experiment.config
    keys = ("log_every", "sample_every", "evaluate_every")
    return any(_is_due(config[key], round, config.rounds) for key in keys)

  def missed(self, round: int) -> bool:
    """Tells whether a run that goes on from here was stopped before it could tell."""
    told = {row["round"] for row in report.read_rows(self._workdir)}
    return 0 < round == self._experiment.config.rounds and round not in told

  def tell(self, round: int, state: State, metrics: Mapping[str, float]) -> bool:
    """Tells it; returns whether its scores are the best so far, of several."""
    config = self._experiment.config
    row = {
      **metrics,
      **self._probe(state),
      "images": round * self._images_a_round,
      "seconds": self._before + time.monotonic() - self._start,
    }
    if round > self._last:
      pace = (round - self._last) / (time.monotonic() - self._clock)
      row |= {"rounds_per_second": pace, "images_per_second": pace * self._images_a_round}
    if _is_due(config.evaluate_every, round, config.rounds):
      row |= {f"score/{name}": value for name, value in self._score(state).items()}
    self._writer.row(round, row)
    self._progress.show(round, row)
    self._rows.append({"round": round, **row})
    self._warn()
    if _is_due(config.sample_every, round, config.rounds):
      self._writer.picture(round, self._picture(state))
      if (drawn := report.curves(report.read_rows(self._workdir))) is not None:
        report.save_png(self._workdir / "curves.png", drawn)
    self._last, self._clock = round, time.monotonic()  # what was done here is not training
    self._told = True
    return self._is_best()

  def _warn(self) -> None:
    """Says what has gone wrong since the last row."""
    for alarm in diagnose(self._rows, self._experiment.config.rounds):
      if alarm.monitor not in self._warned:
        self._progress.say(str(alarm))
        self._warned.add(alarm.monitor)

  def _score(self, state: State) -> Mapping[str, float]:
    if self._evaluator is None:
      if not self._experiment.unscored:
        self._progress.say("preparing the evaluator (once for a data set, then it is cached)")
      self._evaluator = self._experiment.evaluator()
    draw = sample_function(self._experiment, self._sampler, state)
    return self._evaluator(draw)

  def _is_best(self) -> bool:
    """Tells whether the last row has better scores than any before, where several are made."""
    if self._evaluator is None or not self._experiment.config.evaluate_every:
      return False
    return best_row(self._rows, self._evaluator) is self._rows[-1]

  def _picture(self, state: State) -> np.ndarray:
    n = self._experiment.config.num_samples
    classes = self._experiment.example.num_classes
    labels = None if classes is None else by_class(n, classes)
    x = self._sampler(state, n, seed=self._experiment.config.seed, labels=labels)
    source = self._experiment.batches.source
    return report.picture(x, real=take(source, n)["x"] if source.size is None else None)

  def summary(self) -> dict[str, Any]:
    """Writes summary.json and returns what it says; a run that had ended already keeps its own."""
    rows, path = report.read_rows(self._workdir), self._workdir / "summary.json"
    kept = {}
    with contextlib.suppress(OSError, ValueError):
      kept = json.loads(path.read_text())
    if not self._told and kept.get("rounds") == self._last:
      self._progress.say(f"{self._workdir} has played its {self._last} rounds already")
      return kept
    self._evaluator = self._evaluator or self._experiment.evaluator()
    found = {
      "rounds": self._last,
      "images": self._last * self._images_a_round,
      "wall_seconds": self._before + time.monotonic() - self._start,
      "scores": report.scores(rows, self._evaluator.better),
      "card": {**self._evaluator.card, "ema": bool(self._experiment.game.averages)},
      "warnings": [alarm._asdict() for alarm in diagnose(rows)],
      "final": rows[-1] if rows else {},
      "machine": report.machine(),
    }
    report.write_json(path, found)
    self._write_cards(rows, self._evaluator)
    return found

  def _write_cards(self, rows: Rows, evaluator: Evaluator) -> None:
    """Writes the cards of the last scores and, where training looked for them, of the best."""
    names = {name: f"score/{name}" for name in evaluator.better}
    scored = [row for row in rows if any(key in row for key in names.values())]
    chosen = {"last": scored[-1] if scored else None, "best": best_row(scored, evaluator)}
    if not self._experiment.config.evaluate_every:
      del chosen["best"]
    for rule, row in chosen.items():
      if row is not None:
        found = {name: float(row[key]) for name, key in names.items() if key in row}
        card = card_of(self._experiment, evaluator, [found], rule, row["round"], seeds=[0])
        keep_card(card, self._workdir)

  def stopped(self, alarm: Alarm) -> None:
    """Writes a summary of a run that cannot go on."""
    rows = report.read_rows(self._workdir)
    found = {
      "rounds": self._last,
      "stopped": alarm.seen,
      "warnings": [found._asdict() for found in (*diagnose(rows), alarm)],
      "final": rows[-1] if rows else {},
      "machine": report.machine(),
    }
    report.write_json(self._workdir / "summary.json", found)


def best_row(rows: Rows, evaluator: Evaluator) -> Mapping[str, Any] | None:
  """Finds the first row with the best scores, by the evaluator's headline."""
  best, at = None, None
  for row in rows:
    found = {name: float(row.get(f"score/{name}", math.nan)) for name in evaluator.headline}
    if evaluator.improves(found, best):
      best, at = found, row
  return at


def _start(experiment: Experiment, checkpoints: Checkpoints, mesh: Mesh) -> State:
  """Restores the last checkpoint, or makes the first state."""
  config, example = experiment.config, experiment.example
  spec = example.batch(max(1, minibatches(experiment.game)), config.batch_size)
  make = lambda: init(experiment.game, jax.random.key(config.seed), spec)
  everywhere = NamedSharding(mesh, PartitionSpec())
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), jax.eval_shape(make)
  )
  state = checkpoints.restore(like, repair=True)
  return replicate(make(), mesh) if state is None else state


def _is_due(every: int, round: int, last: int) -> bool:
  return round == last or (every > 0 and round % every == 0)


class _Watch:
  """Fetches metrics one dispatch late, so that the devices never wait, and stops at NaN."""

  def __init__(self) -> None:
    self._waiting: tuple[int, Mapping[str, jax.Array]] | None = None
    self._last: dict[str, float] = {}
    self._watched: list[Mapping[str, np.ndarray]] = []  # what monitors saw since the last row

  def add(self, first: int, metrics: Mapping[str, jax.Array]) -> None:
    """Takes the metrics of a dispatch that starts at round `first`; checks the one before."""
    self.latest()
    self._waiting = (first, metrics)

  def latest(self) -> dict[str, float]:
    """Waits for the dispatch that was added last; returns its last round."""
    if self._waiting is None:
      return self._last
    (first, metrics), self._waiting = jax.device_get(self._waiting), None
    _check_finite(first, {k: x for k, x in metrics.items() if not _is_monitor(k)})
    self._watched.append({k: x for k, x in metrics.items() if _is_monitor(k) or k == GRADIENT})
    self._last = {name: float(x[-1]) for name, x in metrics.items() if not _is_monitor(name)}
    return self._last

  def row(self) -> dict[str, float]:
    """Returns the last round, with what the monitors saw in all rounds since the row before."""
    last, watched, self._watched = self.latest(), self._watched, []
    if not watched:
      return last
    return last | summarise({k: np.concatenate([x[k] for x in watched]) for k in watched[0]})


def _is_monitor(name: str) -> bool:
  """Tells a number that judges a run, and must never end it, from those that it is made of."""
  return name.startswith("monitor/")


def _check_finite(first: int, metrics: Mapping[str, np.ndarray]) -> None:
  """Raises NotFiniteError at the first round, of those from `first` on, that is not finite."""
  names = sorted(metrics, key=_causes_first)
  finite = np.stack([np.isfinite(metrics[name]) for name in names])
  if not finite.all():
    at = int(np.argmin(finite.all(0)))
    name = names[int(np.argmin(finite[:, at]))]
    raise NotFiniteError(not_finite(first + at + 1, name, float(metrics[name][at])))


def _causes_first(name: str) -> tuple[bool, bool, str]:
  """Orders metrics so that a term comes before the sums and measurements it would spoil."""
  return name.endswith("/gradient_norm"), "/" not in name or name.endswith("/loss"), name
