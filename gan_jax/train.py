"""The only loop: play rounds, tell how it goes, keep what must not be lost.

It knows no loss, no network and no data set. Rounds are played several at a time in one dispatch;
what a dispatch measured is fetched while the next one runs.
"""

import contextlib
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.checkpoint import BEST, Checkpoints
from gan_jax.data import Batches
from gan_jax.diagnostics import GRADIENT, Alarm, not_finite, summarise
from gan_jax.experiment import Experiment
from gan_jax.game import Game, State, init, minibatches, play_round
from gan_jax.parallel import data_mesh, replicate, split
from gan_jax.runs import write_config
from gan_jax.teller import Teller, is_due

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
    with Teller(experiment, workdir, first, mesh) as teller, _interruption() as interrupted:
      watch, round = _Watch(), first
      if first < config.rounds:
        teller.prepare()
      elif teller.missed(first) and teller.tell(first, state, {}):
        best.save(state)
      try:
        while round < config.rounds:
          if interrupted():
            raise KeyboardInterrupt
          stop = _next_stop(config, round)
          state, metrics = play(state, stop - round)
          watch.add(round, metrics)
          round = stop
          if teller.has_to_tell(round) and teller.tell(round, state, watch.row()):
            best.save(state)
          if is_due(config.checkpoint_every, round, config.rounds):
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
