"""The runs of an ablation: played a program's at a time, with a row of each in its folder."""

import json
import pathlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax.cores import cores
from gan_jax.game.core import images_a_round
from gan_jax.run.ablation.plan import (
  Group,
  Member,
  groups,
  has_collapsed,
  key_of,
  members,
  value_at,
)
from gan_jax.run.ablation.results import Results, add_rows, read, read_rows, without, write_plan
from gan_jax.run.config.config import canonical, replaced
from gan_jax.run.config.sections import data
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.evaluation.draws import drawn_from
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator
from gan_jax.run.experiment import Experiment, assemble, load_splits
from gan_jax.run.population import Population, failures, member, play, start
from gan_jax.run.results.summary import last_and_best, machine
from gan_jax.run.training.saving.lock import hold

Rows = list[dict[str, Any]]
# (runs of one program, rounds they have played, their rows once they have ended)
Log = Callable[[Sequence[Member], int, Rows | None], None]


def run(
  asked: ConfigDict, workdir: str | pathlib.Path, make_log: Callable[[Results], Log]
) -> Results:
  """Plays the runs of an ablation that have no row yet.

  Args:
    asked: an `ablation`.
    workdir: folder of the ablation: `ablation.json`, `rows.jsonl`, `lock`.
    make_log: rows so far -> the function that logs progress.

  Returns:
    The results of all runs.

  Raises:
    ValueError: for a variant that cannot be built, data without scores, or a folder of another
      ablation.
    BusyError: if another process uses the folder.
    OSError: if the folder cannot be written to.
  """
  workdir, runs = pathlib.Path(workdir), members(asked)
  with hold(workdir):
    experiments = check(runs)
    write_plan(workdir, _plan(asked, runs[0], experiments[runs[0].name].evaluator()))
    add_rows(workdir, _renamed(read_rows(workdir), runs, asked.collapse))
    before = read(workdir)
    done = set(map(_run_of, before.rows))
    missing = [one for one in runs if (one.key, one.config.rounds) not in done]
    waiting = groups(missing, asked.together)
    # A variant that the file has changed has rows of what it was; they stay until it has others.
    valid = without(before, [(one.labels, one.config.seed) for one in missing])
    log_progress, lock = make_log(valid), threading.Lock()

    def log(*progress: Any) -> None:
      with lock:  # programs are played in threads, and a log is for one at a time
        log_progress(*progress)

    with ThreadPoolExecutor(_threads()) as pool:
      playing = {pool.submit(_play, group, asked, experiments, log): group for group in waiting}
      try:
        for ended in as_completed(playing):
          rows, members_of = ended.result(), playing[ended].members
          add_rows(workdir, rows)
          log(members_of, members_of[0].config.rounds, rows)
      except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
  return read(workdir)


def _renamed(rows: Rows, runs: Sequence[Member], collapse: str) -> Rows:
  """Lists the rows that runs have under labels, or a rule of collapse, that the file has changed.

  A run is known by its changes, so that what an axis or a choice is called is no reason to play it.
  """
  known = {_run_of(row): row for row in rows}
  as_written = {_identity(row["variant"], row["seed"]): row for row in rows}
  renamed = []
  for one in runs:
    if (row := known.get((one.key, one.config.rounds))) is not None:
      own = as_written.get(_identity(one.labels, one.config.seed), row)
      row = own if _run_of(own) == _run_of(row) else row
      last = {name: float(score["last"]) for name, score in row["scores"].items()}
      collapsed = bool(row["failed"]) or has_collapsed(collapse, last)
      new = {**row, "variant": one.labels, "collapsed": collapsed}
      if json.dumps(new) != json.dumps(row):  # the order of the axes too
        renamed.append(new)
  return renamed


def _run_of(row: Mapping[str, Any]) -> tuple[str, int]:
  """Returns the identity of a row's run, and its rounds, which a budget of images can change."""
  return key_of(row["changes"], row["seed"]), row["rounds"]


def _identity(labels: Mapping[str, str], seed: int) -> str:
  return json.dumps([labels, seed], sort_keys=True)


def _threads() -> int:
  """Counts the programs that are played at once.

  One alone leaves cores of a CPU idle, while it is traced and compiled above all. Where there are
  several devices, a program has them all.
  """
  alone = jax.default_backend() == "cpu" and jax.local_device_count() == 1
  return cores() if alone else 1


def check(runs: Sequence[Member]) -> dict[str, Experiment]:
  """Builds an experiment of each variant, so that nothing is played before all can be.

  Args:
    runs: runs of an ablation.

  Returns:
    Experiments by the names of the variants, each of the seed of its first run, with a game to be
    sampled. Those of the same data share these, and those that are scored alike the evaluator,
    which may be dear to build.

  Raises:
    ValueError: for one that cannot be built, or scored as it is to be; names it.
  """
  built: dict[str, Experiment] = {}
  splits: dict[str, Mapping[str, data.Splits]] = {}  # of many variants, data are in memory once
  evaluators: dict[str, Callable[[], Evaluator]] = {}
  for one in runs:
    if one.name not in built:
      if one.config.start_from:
        raise ValueError(
          f"{one.name}: config.start_from is of runs that train alone, and an ablation plays many"
          " in one program: leave it out, or give each variant to gan_jax train"
        )
      try:
        where = _values(
          one.config, "game", "data", "data_options", "conditional", "condition", "batch_size"
        )
        splits[where] = splits.get(where) or load_splits(one.config)
        experiment = assemble(one.config, splits=splits[where])
        scoring = _values(
          one.config, "data", "data_options", "conditional", "condition", "evaluation", "num_fake"
        )
        evaluator = evaluators.setdefault(scoring, experiment.evaluator)
        # A population builds what it plays: here the teacher of every variant would stay in memory.
        game = build_game(one.config, experiment.example)
        built[one.name] = experiment._replace(game=game, config_game=game, evaluator=evaluator)
      except ValueError as error:
        message = str(error).replace("--config.", "--config.base.")  # where an ablation has the key
        raise ValueError(f"{one.name}: {message}") from error
  return built


def population(group: Group, experiment: Experiment) -> Population:
  """Builds the population of a group from the experiment of its first run."""
  config, example, batches = group.members[0].config, experiment.example, experiment.batches
  return Population(
    lambda numbers: build_game(replaced(config, numbers), example, batches),
    np.array([one.config.seed for one in group.members]),
    {
      name: np.array([float(value_at(one.config, name)) for one in group.members])
      for name in group.numbers
    },
  )


def _values(config: ConfigDict, *keys: str) -> str:
  """Formats the values of some keys of a config."""
  return ConfigDict({key: config[key] for key in keys}).to_json(sort_keys=True)


def _play(group: Group, asked: ConfigDict, built: Mapping[str, Experiment], log: Log) -> Rows:
  """Plays the runs of a group to their end, each independent of the others, and returns rows."""
  began, config = time.monotonic(), group.members[0].config
  experiments = [built[one.name].with_seed(one.config.seed) for one in group.members]
  evaluators = [experiment.evaluator() for experiment in experiments]
  first = experiments[0]
  people, sampler = population(group, first), first.sampler()
  curves: list[dict[str, list[float]]] = [{} for _ in group.members]
  failed: dict[int, str] = {}  # each ends the curves of its run
  every = min(config.evaluate_every or config.rounds, config.rounds)
  log(group.members, 0, None)
  states = start(people, first.batches)
  options = {"rounds": config.rounds, "every": every, "at_once": asked.at_once or None}
  for round, after, metrics in play(people, first.batches, states, **options):
    current, bad = jax.device_get(after), failures(metrics)
    length = len(next(iter(metrics.values())))
    for i, (at, name, value) in bad.items():
      failed.setdefault(i, f"{name} was {value} in round {round - length + at + 1}")
    for i, curve in enumerate(curves):
      if i not in failed:
        samples = drawn_from(experiments[i], sampler, member(current, i))
        means = {name: x[:, i].mean(dtype=np.float64) for name, x in metrics.items()}
        for name, value in {"round": round, **evaluators[i](*samples), **means}.items():
          curve.setdefault(name, []).append(float(value))
    log(group.members, round, None)
  seconds = (time.monotonic() - began) / len(group.members)
  return [
    _row(one, experiments[i], curves[i], failed.get(i), asked.collapse, seconds)
    for i, one in enumerate(group.members)
  ]


def _row(
  one: Member,
  experiment: Experiment,
  curve: dict[str, list[float]],
  failed: str | None,
  collapse: str,
  seconds: float,
) -> dict[str, Any]:
  """Builds the row of a run."""
  better, config = experiment.evaluator().better, one.config
  looks = [
    (int(round), {name: curve[name][i] for name in better if name in curve})
    for i, round in enumerate(curve.get("round", ()))
  ]
  scores = last_and_best(looks, better)
  last = {name: values["last"] for name, values in scores.items()}
  return {
    "variant": one.labels,
    "changes": dict(one.changes),
    "seed": config.seed,
    "rounds": config.rounds,
    "images": config.rounds * images_a_round(experiment.game, config.batch_size),
    "scores": scores,
    "failed": failed,
    "collapsed": bool(failed) or has_collapsed(collapse, last),
    "seconds": seconds,
    "curve": curve,
  }


def _plan(asked: ConfigDict, first: Member, evaluator: Evaluator) -> dict[str, Any]:
  """Builds the plan of an ablation, as it is stored beside its rows."""
  score = asked.score or next(iter(evaluator.headline), "")
  if evaluator.better.get(score, "none") == "none":
    ranked = [name for name, way in evaluator.better.items() if way != "none"]
    raise ValueError(f"config.score is {score!r}: expected one of: {', '.join(ranked)}")
  has_collapsed(asked.collapse, dict.fromkeys(evaluator.better, 0.0))
  return {
    "axes": {name: list(choices) for name, choices in asked.axes},
    "baseline": dict(asked.baseline),
    "seeds": list(asked.seeds),
    "rounds": first.config.rounds,
    "images": asked.images,
    "score": score,
    "better": dict(evaluator.better),
    "collapse": asked.collapse,
    "base": canonical(asked.base).to_dict(),
    "card": evaluator.card,
    "machine": machine(),
  }
