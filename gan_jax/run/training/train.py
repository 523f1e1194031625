"""The only loop: play rounds, tell how it goes, keep what must not be lost.

It knows no loss, no network and no data set. Rounds are played several at a time in one dispatch;
what a dispatch measured is fetched while the next one runs.
"""

import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from gan_jax import parallel
from gan_jax.data import Batches
from gan_jax.game.core import Game, State, init, minibatches, play_round
from gan_jax.game.random import fixed, make_key
from gan_jax.parallel.mesh import AXES
from gan_jax.run.config import switches
from gan_jax.run.experiment import Experiment
from gan_jax.run.results.same_run import other_arrays, other_switches, start_over, write_config
from gan_jax.run.training.checkpoint import BEST, Checkpoints, Look, OtherGameError
from gan_jax.run.training.interruption import (
  GRACE,
  Interrupted,
  Interruption,
  interruptible,
  interruption,
)
from gan_jax.run.training.lock import hold
from gan_jax.run.training.logger import Logger, NullLogger, is_due, should_log, write_stopped
from gan_jax.run.training.metrics_buffer import MetricsBuffer, NotFiniteError
from gan_jax.run.training.rollback import read_rollbacks, record_rollback, reseed

_LOG = logging.getLogger(__name__)

Dispatch = Callable[[State, int], tuple[State, Mapping[str, jax.Array]]]
Compiling = Callable[[int], contextlib.AbstractContextManager[Any]]


def rounds_player(
  game: Game,
  batches: Batches,
  mesh: Mesh,
  start: int = 0,
  compiling: Compiling = contextlib.nullcontext,
) -> Dispatch:
  """Compiles several rounds into one dispatch: (state, how many) -> (state, metrics [how many]).

  Data that fit are sampled on the devices, inside the program; others are read ahead on the host,
  by each process its own rows.

  Args:
    game: the game.
    batches: its data.
    mesh: devices to share the work, of `parallel.make_mesh`.
    start: the round that streamed data start from.
    compiling: makes the context in which the program of so many rounds is compiled, which is when
      so many are first asked for.

  Returns:
    A function that donates the state it is given, sharded as by `parallel.state_sharding`.
  """
  n = max(1, minibatches(game))
  rounds = rounds_program(game, batches, mesh)
  mine = dataclasses.replace(
    batches, process_index=jax.process_index(), process_count=jax.process_count()
  )
  stream = iter(()) if batches.resident else mine.stream(start * n)
  programs: dict[int, Any] = {}

  def read(length: int) -> Any:
    if batches.resident:
      return None
    return parallel.split(_stack(stream, length, n), mesh, axis=2)

  def play(state: State, length: int) -> tuple[State, Mapping[str, jax.Array]]:
    raw = read(length)
    if length not in programs:
      with compiling(length):
        lowered = rounds.play.lower(state, rounds.table, raw, length)
        programs[length] = interruptible(lowered.compile)
    return programs[length](state, rounds.table, raw)

  return play


class Rounds(NamedTuple):
  """Several rounds in one program.

  Attributes:
    play: jitted (state, table, raw, how many) -> (state, metrics [how many]); raw are the leaves
      [how many, n, B, ...] of streamed data, None of others.
    table: data that stay on the devices, {} of streamed ones.
    like: shapes of the state, and where they lie.
  """

  play: Any
  table: Mapping[str, jax.Array]
  like: State


def rounds_program(game: Game, batches: Batches, mesh: Mesh) -> Rounds:
  """Makes the program of `rounds_player`; arguments as there."""
  n = max(1, minibatches(game))
  put = parallel.replicate if batches.source.draw else parallel.put_table
  table = put(batches.arrays, mesh)
  make = _batch_maker(batches, mesh, table)
  sharded = parallel.shard_game(game, mesh)
  like = parallel.abstract_state(lambda: init(game, make_key(0), batches.spec(n)), mesh)
  places = jax.tree.map(lambda x: x.sharding, like)

  def play(state: State, table: Any, raw: Any, length: int) -> tuple[State, Mapping[str, Any]]:
    def one(state: State, raw: Any) -> tuple[State, Mapping[str, Any]]:
      t = state.round.astype(jnp.uint32) * n + jnp.arange(n, dtype=jnp.uint32)
      state, metrics = play_round(sharded, state, make(table, raw, t))
      return jax.lax.with_sharding_constraint(state, places), metrics

    return jax.lax.scan(one, state, raw, length=length)

  compiled = jax.jit(
    play,
    static_argnums=3,
    donate_argnums=0,
    in_shardings=(
      places,
      jax.tree.map(lambda x: x.sharding, table),
      parallel.batch_sharding(mesh, axis=2),
    ),
    out_shardings=(places, parallel.replicated(mesh)),
  )
  return Rounds(compiled, table, like)


def _batch_maker(batches: Batches, mesh: Mesh, table: Mapping[str, jax.Array]) -> Callable:
  """Makes batches of (table, raw [n, B, ...] or None, t [n]), each device its own rows.

  Nothing is sent, unless the table is in parts.
  """
  parts = parallel.partition_specs(table)
  take = parallel.take_rows if any(parts.values()) else None
  share = np.uint32(batches.batch_size // mesh.size)

  def make(table: Any, raw: Any, t: jax.Array) -> Any:
    rows = share * jax.lax.axis_index(AXES).astype(jnp.uint32) + jnp.arange(share, dtype=jnp.uint32)
    if raw is None:
      return jax.vmap(lambda t: batches.at(table, t, rows, take))(t)
    return jax.vmap(lambda raw, t: batches.finish(raw, t, rows))(raw, t)

  mine = PartitionSpec(None, AXES)
  given = (parts, mine, PartitionSpec())
  return jax.shard_map(make, mesh=mesh, in_specs=given, out_specs=mine, check_vma=False)


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


@fixed
def fit(
  experiment: Experiment, workdir: str | pathlib.Path, *, grace_seconds: float = GRACE
) -> dict[str, Any]:
  """Trains from the last checkpoint in a folder, or from the start, to the last round.

  Args:
    experiment: what to train.
    workdir: folder of the run: `checkpoints/`, `metrics.jsonl`, TensorBoard events, `samples/`,
      `curves.png`, `config.json`, `summary.json`, `lock`.
    grace_seconds: time in which to save and end after SIGINT or SIGTERM.

  Returns:
    What `summary.json` says.

  Raises:
    BusyError: if another run uses the folder.
    ValueError: if the devices or a checkpoint do not fit the config, or JAX forbids transfers.
    NotFiniteError: when something is NaN or infinite, and has been too often if config.on_nan is
      "rollback".
    OSError: if the folder cannot be written to.
    Interrupted: after SIGINT or SIGTERM, when the state has been saved.
  """
  workdir, config = pathlib.Path(workdir), experiment.config
  switches.check()
  if parallel.is_first():
    _tell_switches(workdir)
  alone = hold(workdir) if parallel.is_first() else contextlib.nullcontext()
  with interruption(grace_seconds) as interrupted, alone:
    begin = lambda: start_over(experiment, workdir) if parallel.is_first() else None
    parallel.run_on_all_or_fail(begin)
    rollbacks = read_rollbacks(workdir)
    while True:
      try:
        return _play(experiment, workdir, interrupted, len(rollbacks))
      except NotFiniteError as error:
        if config.on_nan == "stop" or len(rollbacks) >= config.max_rollbacks:
          if parallel.is_first():
            write_stopped(workdir, error.warning)
          raise
        seen = error.warning.seen
        _LOG.warning("%s: going back to the last checkpoint, and on with other noise", seen)
        rollbacks = record_rollback(workdir, error.warning, rollbacks)


def _tell_switches(workdir: pathlib.Path) -> None:
  """Says what numbers depend on and has changed since a run was started."""
  for key, same in (("switches", "other numbers"), ("made_with", "other rounding")):
    if other := other_switches(workdir, key):
      _LOG.warning("the run in %s goes on with %s than before:\n%s", workdir, same, other)


def _play(
  experiment: Experiment, workdir: pathlib.Path, interrupted: Interruption, rollbacks: int
) -> dict[str, Any]:
  """Plays from the last checkpoint to the last round, and returns the summary.

  A round is logged before it is saved, and a checkpoint is written when all rounds up to it have
  been found finite: no row is missing before a checkpoint, and rounds after it are played again.
  The next row waits for the check of the save before it; the end waits for writing.
  """
  config, thread = experiment.config, ThreadPoolExecutor(max_workers=1)
  mesh = parallel.make_mesh(config.batch_size, **config.mesh)
  with (
    Checkpoints(
      workdir / "checkpoints", config.keep_checkpoints, config.keep_every, thread
    ) as checkpoints,
    Checkpoints(workdir / BEST, keep=1, thread=thread) as best,
  ):
    state = reseed(_start(experiment, checkpoints, mesh), config.seed, rollbacks)
    if parallel.is_first():
      write_config(experiment, workdir)
    round = first = int(state.round)
    best.forget(after=first)
    buffer = MetricsBuffer(checkpoints.notes(first) if first in checkpoints.rounds() else None)
    here = parallel.local_mesh(mesh)
    make_logger = Logger if parallel.is_first() else NullLogger
    with make_logger(experiment, workdir, first, here, interrupted.immediately) as logger:
      play = rounds_player(experiment.game, experiment.batches, mesh, first, logger.compiling)

      def check() -> Look:
        is_finite = buffer.finite_check()
        return lambda leaves: {**is_finite(leaves), OPTIMIZERS: _optimizers(config)}

      def log() -> None:
        best.looked()
        checkpoints.looked()
        row, mine = buffer.summary(), parallel.local(state, mesh)
        is_best = parallel.run_on_all_or_fail(lambda: logger.log(round, mine, row))
        buffer.reset()
        if parallel.any_process(is_best):
          best.save(state, check())

      def save() -> None:
        checkpoints.save(state, check())

      try:
        if first < config.rounds:
          parallel.run_on_all_or_fail(logger.prepare)
        if parallel.any_process(logger.already_logged(first)):
          buffer.reset()
        elif first and should_log(config, first):  # it was stopped while it logged
          log()
        while round < config.rounds:
          if interrupted():
            raise parallel.mark_collective(Interrupted(f"stopped at round {round}"))
          best.check()
          checkpoints.check()
          stop = _next_stop(config, round)
          state, metrics = play(state, stop - round)
          buffer.add(round, metrics)
          round = stop
          if should_log(config, round):
            log()
          if is_due(config.checkpoint_every, round, config.rounds):
            save()
      except NotFiniteError as error:
        # All processes find it at this place, with a dispatch on its way in which each needs the
        # others: where one leaves in the middle of it, Gloo may abort the rest.
        jax.block_until_ready(state)
        parallel.mark_collective(error)
        raise
      except BaseException as error:
        # A dispatch that failed has taken the state with it; alone a process cannot save.
        if parallel.is_collective(error) and round > first and not state.round.is_deleted():
          save()  # what failed can be done again; the rounds are dear
        raise
      best.wait()
      checkpoints.wait()
      return parallel.run_on_all_or_fail(logger.summary)


OPTIMIZERS = "optimizers"  # key of the notes beside a checkpoint: whose state it holds, by player


def _optimizers(config: ml_collections.ConfigDict) -> dict[str, str]:
  return {player: options["name"] for player, options in config.optimizers.items()}


def _check_optimizers(experiment: Experiment, checkpoints: Checkpoints, round: int) -> None:
  """Refuses to read what one optimizer remembers as another's, where both call it the same."""
  saved = checkpoints.notes(round).get(OPTIMIZERS, {})
  for player, name in _optimizers(experiment.config).items():
    was = saved.get(player, name)
    if was != name:
      raise ValueError(
        f"the checkpoint of round {round} in {checkpoints.folder} holds what {was!r} remembers of "
        f"the {player}, and config.optimizers.{player}.name is {name!r}, which would read it as its"
        f" own; go on with --config.optimizers.{player}.name={was}, or start anew in another "
        "--workdir"
      )


def _start(experiment: Experiment, checkpoints: Checkpoints, mesh: Mesh) -> State:
  """Restores the last checkpoint, or makes the first state."""
  config, example = experiment.config, experiment.example
  spec = example.batch(max(1, minibatches(experiment.game)), config.batch_size)
  make = lambda: init(experiment.game, make_key(config.seed), spec)
  like = parallel.abstract_state(make, mesh)
  try:
    state = checkpoints.restore(like, repair=True)
  except OtherGameError as error:
    if not (other := other_arrays(checkpoints.folder.parent, config)):
      raise
    raise OtherGameError(
      f"the run in {checkpoints.folder.parent} cannot go on as another game, whose state has other "
      f"arrays, which --allow_config_change does not make; the configs differ in\n{other}\n"
      "set these as they were, or use another --workdir"
    ) from error
  if state is not None:
    _check_optimizers(experiment, checkpoints, int(state.round))
    return state
  return jax.jit(make, out_shardings=jax.tree.map(lambda x: x.sharding, like))()
