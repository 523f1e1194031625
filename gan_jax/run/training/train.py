"""The only loop: play rounds, tell how it goes, keep what must not be lost.

It knows no loss, no network and no data set. Rounds are played several at a time in one dispatch;
what a dispatch measured is fetched while the next one runs.
"""

import contextlib
import logging
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
from jax.sharding import Mesh

from gan_jax import parallel
from gan_jax.game.core import State
from gan_jax.game.random import fixed
from gan_jax.metrics.features.cache import print_message
from gan_jax.run.config import switches
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.same_run import (
  check_same_run,
  check_same_switches,
  other_switches,
  start_over,
  write_config,
)
from gan_jax.run.training.hooks import Every, check_hooks, is_due, next_stop
from gan_jax.run.training.interruption import GRACE, Interrupted, Interruption, interruption
from gan_jax.run.training.log.logger import Logger, write_stopped
from gan_jax.run.training.log.metrics_buffer import MetricsBuffer, NotFiniteError
from gan_jax.run.training.rounds import make_dispatch
from gan_jax.run.training.saving.checkpoint import BEST, Checkpoints
from gan_jax.run.training.saving.lock import hold
from gan_jax.run.training.saving.rollback import read_rollbacks, record_rollback, reseed
from gan_jax.run.training.start import NOTE_OPTIMIZERS, optimizers_of, start

_LOG = logging.getLogger(__name__)


@fixed
def fit(
  experiment: Experiment,
  workdir: str | pathlib.Path,
  *,
  hooks: Sequence[Every] = (),
  grace_seconds: float = GRACE,
  allow_config_change: bool = False,
) -> dict[str, Any]:
  """Trains from the last checkpoint in a folder, or from the start, to the last round.

  Args:
    experiment: experiment to train.
    workdir: folder of the run: `checkpoints/`, `metrics.jsonl`, TensorBoard events, `samples/`,
      `curves.png`, `config.json`, `summary.json`, `lock`.
    hooks: actions beside those of the config; the first process takes them, before it writes the
      row of their round, and again for a round that is played again after a stop.
    grace_seconds: seconds in which to save and end after SIGINT or SIGTERM.
    allow_config_change: whether a run may go on under another config, on other data, or with other
      switches of JAX than it was started with.

  Returns:
    The contents of `summary.json`.

  Raises:
    BusyError: if another run uses the folder.
    ValueError: if a hook is not an `Every`, the run was started with another config, the devices or
      a checkpoint do not fit the config, or JAX forbids transfers.
    NotFiniteError: when something is NaN or infinite, and has been too often if config.on_nan is
      "rollback".
    OSError: if the folder cannot be written to, or there is no file of weights that scores need.
    Interrupted: after SIGINT or SIGTERM, when the state has been saved.
  """
  workdir, config = pathlib.Path(workdir), experiment.config
  switches.check()
  check_hooks(hooks)
  check_same_run(experiment, workdir, allow=allow_config_change)
  check_same_switches(workdir, allow=allow_config_change)
  if parallel.is_first():
    _warn_of_switches(workdir)
  alone = hold(workdir) if parallel.is_first() else contextlib.nullcontext()
  with interruption(grace_seconds) as interrupted, alone:
    begin = lambda: _begin(experiment, workdir) if parallel.is_first() else None
    parallel.run_on_all_or_fail(begin)
    rollbacks = read_rollbacks(workdir)
    while True:
      try:
        return _play(experiment, workdir, hooks, interrupted, len(rollbacks))
      except NotFiniteError as error:
        if config.on_nan == "stop" or len(rollbacks) >= config.max_rollbacks:
          if parallel.is_first():
            write_stopped(workdir, error.warning)
          raise
        numbers = error.warning.seen
        _LOG.warning("%s: going back to the last checkpoint, and on with other noise", numbers)
        rollbacks = record_rollback(workdir, error.warning, rollbacks)


def _begin(experiment: Experiment, workdir: pathlib.Path) -> None:
  """Checks that scores can be made, and clears the folder of a start under another config."""
  experiment.suited(experiment.config).check_file()
  start_over(experiment, workdir)


def _warn_of_switches(workdir: pathlib.Path) -> None:
  """Warns of changes since a run was started on which its numbers depend."""
  for key, same in (("switches", "other numbers"), ("made_with", "other rounding")):
    if other := other_switches(workdir, key):
      _LOG.warning("the run in %s goes on with %s than before:\n%s", workdir, same, other)


def _play(
  experiment: Experiment,
  workdir: pathlib.Path,
  hooks: Sequence[Every],
  interrupted: Interruption,
  rollbacks: int,
) -> dict[str, Any]:
  """Plays from the last checkpoint to the last round, and returns the summary."""
  config, thread = experiment.config, ThreadPoolExecutor(max_workers=1)
  mesh = parallel.make_mesh(config.batch_size, **config.mesh)
  keep = config.keep_checkpoints, config.keep_every
  with (
    Checkpoints(workdir / "checkpoints", *keep, thread=thread) as checkpoints,
    Checkpoints(workdir / BEST, keep=1, thread=thread) as best,
  ):
    state = reseed(start(experiment, checkpoints, mesh), config.seed, rollbacks)
    first = int(state.round)
    best.forget(after=first)
    if first < config.rounds:
      prepare = lambda: _prepare(experiment, interrupted) if parallel.is_first() else None
      parallel.run_on_all_or_fail(prepare)
    if parallel.is_first():
      write_config(experiment, workdir)
    local = parallel.local_mesh(mesh)
    make_logger = lambda: Logger(experiment, workdir, first, local, hooks, interrupted.immediately)
    with make_logger() if parallel.is_first() else contextlib.nullcontext() as logger:
      loop = _Loop(experiment, state, mesh, hooks, logger, checkpoints, best)
      loop.run(interrupted)
      best.wait()
      checkpoints.wait()
      return parallel.run_on_all_or_fail(lambda: logger.summary() if logger else {})


def _prepare(experiment: Experiment, interrupted: Interruption) -> None:
  """Builds the evaluator, so that one that cannot be built is known before a file is written."""
  print_message("preparing the evaluator (once for a data set, then it is cached)")
  with interrupted.immediately():
    experiment.evaluator()


class _Loop:
  """A run on its way.

  A round is logged before it is saved, and a checkpoint is written when all rounds up to it have
  been found finite: no row is missing before a checkpoint, and rounds after it are played again.
  The next row waits for the check of the save before it; the end waits for writing.
  """

  def __init__(
    self,
    experiment: Experiment,
    state: State,
    mesh: Mesh,
    hooks: Sequence[Every],
    logger: Logger | None,  # of the first process
    checkpoints: Checkpoints,
    best: Checkpoints,
  ):
    self._config, self._mesh, self._logger = experiment.config, mesh, logger
    self._checkpoints, self._best = checkpoints, best
    self._state, self._round = state, int(state.round)
    self._first, self._last = self._round, self._config.rounds
    config = self._config
    self._row_periods = [config.log_every, config.sample_every, config.evaluate_every]
    self._row_periods += [hook.rounds for hook in hooks if hook.rounds is not None]
    is_saved = self._first in checkpoints.rounds()
    self._buffer = MetricsBuffer(
      experiment.game.monitored, checkpoints.notes(self._first) if is_saved else None
    )
    compiling = logger.compiling if logger else contextlib.nullcontext
    self._dispatch = make_dispatch(
      experiment.game, experiment.batches, mesh, self._first, compiling
    )

  def run(self, interrupted: Interruption) -> None:
    """Plays to the last round; what ends it before is raised when what can be has been saved."""
    try:
      self._resume()
      while self._round < self._last:
        if interrupted():
          raise parallel.mark_collective(Interrupted(f"stopped at round {self._round}"))
        self._advance()
    except NotFiniteError as error:
      # All processes find it at this place, with a dispatch on its way in which each needs the
      # others: where one leaves in the middle of it, Gloo may abort the rest.
      jax.block_until_ready(self._state)
      parallel.mark_collective(error)
      raise
    except BaseException as error:
      # A dispatch that failed has taken the state with it; alone a process cannot save.
      is_here = self._round > self._first and not self._state.round.is_deleted()
      if parallel.is_collective(error) and is_here:
        self._save(self._checkpoints)  # what failed can be done again; the rounds are dear
      raise

  def _resume(self) -> None:
    """Reads the scores so far, and logs the first round if the run was stopped while it did."""
    logger = self._logger
    if self._first < self._last:
      parallel.run_on_all_or_fail(lambda: logger and logger.prepare())
    if parallel.any_process(logger is not None and logger.already_logged(self._first)):
      self._buffer.reset()
    elif self._first and self._is_due(*self._row_periods):
      self._log()

  def _advance(self) -> None:
    """Plays a dispatch, and does what is due where it ends."""
    self._best.check()
    self._checkpoints.check()
    config, start = self._config, self._round
    periods = (*self._row_periods, config.checkpoint_every)
    stop = next_stop(start, config.rounds_per_call, self._last, *periods)
    self._state, metrics = self._dispatch(self._state, stop - start)
    self._buffer.add(start, metrics)
    self._round = stop
    if self._is_due(*self._row_periods):
      self._log()
    if self._is_due(config.checkpoint_every):
      self._save(self._checkpoints)

  def _is_due(self, *periods: int) -> bool:
    return any(is_due(rounds, self._round, self._last) for rounds in periods)

  def _log(self) -> None:
    self._best.inspected()
    self._checkpoints.inspected()
    metrics, mine = self._buffer.summary(), parallel.local(self._state, self._mesh)
    logger = self._logger
    log = lambda: logger and logger.log(self._round, mine, metrics)
    is_best = parallel.run_on_all_or_fail(log)
    self._buffer.reset()
    if parallel.any_process(bool(is_best)):
      self._save(self._best)

  def _save(self, checkpoints: Checkpoints) -> None:
    """Saves the state, which has to be finite, with the notes that a run goes on with."""
    check, notes = self._buffer.finite_check(), {NOTE_OPTIMIZERS: optimizers_of(self._config)}
    checkpoints.save(self._state, lambda leaves: {**check(leaves), **notes})
