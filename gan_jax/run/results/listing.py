"""Summaries of the runs and ablations below a folder: state, progress and scores."""

import contextlib
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gan_jax.files import flat, read_json
from gan_jax.run.cli.usage import UsageError
from gan_jax.run.config.aliases import canonical
from gan_jax.run.config.stored import config_values, read_run
from gan_jax.run.evaluation.evaluators.suite import BETTER, score_name
from gan_jax.run.results.rows import read_rows, scored_rounds, scores_of
from gan_jax.run.results.summary import last_and_best
from gan_jax.run.training.saving.lock import is_live

RUN, ABLATION = "config.json", "ablation.json"  # the file that makes a folder one
EXPORTED = "model.safetensors"  # beside a config.json: a folder that `export` wrote, and no run
FAILED = "failed"  # file in a run's folder of a launcher that failed, as `launch/sweep` does


class RunSummary(NamedTuple):
  """Summary of the folder of a run or an ablation.

  Attributes:
    path: the folder.
    state: "running", "done", "stopped", "failed" or "damaged".
    played: rounds of a run, or runs of an ablation, so far.
    total: rounds or runs in the end; None if unknown.
    unit: unit of both, "rounds" or "runs".
    scores: {score: {"last", "best", "best_round"}}, the one that chooses the best checkpoint first.
    config: {dotted key: value}.
    changed: time of the last change, in seconds since the epoch.
    note: reason of a failure or of damage.
    classes: classes of its data, in the order of its pictures; () where it is unconditional.
    not_shown: line on how its pictures differ from its data; "" where they do not.
  """

  path: pathlib.Path
  state: str
  played: int = 0
  total: int | None = None
  unit: str = "rounds"
  scores: Mapping[str, Mapping[str, Any]] = {}
  config: Mapping[str, Any] = {}
  changed: float = math.nan
  note: str = ""
  classes: Sequence[str] = ()
  not_shown: str = ""


def find_runs(folder: str | pathlib.Path) -> list[pathlib.Path]:
  """Returns the folders of runs and ablations below a folder, and itself if it is one.

  Raises:
    FileNotFoundError: there is no such folder.
  """
  if not pathlib.Path(folder).is_dir():
    raise FileNotFoundError(f"there is no folder {folder}")
  runs = []
  for place, inside, files in os.walk(folder):
    if (RUN in files and EXPORTED not in files) or ABLATION in files:
      runs.append(pathlib.Path(place))
      inside.clear()  # a run has checkpoints, which are many folders, and no runs
  return sorted(runs)


def summarise_run(path: pathlib.Path) -> RunSummary:
  """Loads the summary of a run or an ablation; damage is stated in its note."""
  try:
    return _ablation(path) if (path / ABLATION).is_file() else _run(path)
  except (ValueError, OSError) as error:
    return RunSummary(path, "damaged", changed=_changed(path), note=str(error).splitlines()[0])


def _run(path: pathlib.Path) -> RunSummary:
  run_config, example = read_run(path)
  config = flat(config_values(run_config))
  summary = read_json(path / "summary.json") if (path / "summary.json").is_file() else {}
  total, scored = config["rounds"], summary.get("scores")
  played: int = of if type(of := summary.get("rounds")) is int else -1  # without a summary
  if type(total) is not int:
    raise ValueError(f"{path / RUN} is damaged (it has {total!r} rounds); restore it from a copy")
  state, note = "done", ""
  ended = played >= total  # more, where rounds were lowered since
  if (live := is_live(path)) or not ended or "stopped" in summary:
    rows = read_rows(path)
    state, note = _unfinished(path, summary, live)
    played, scored = (
      (rows[-1]["round"] if rows else 0),
      last_and_best(scored_rounds(comparable_rows(rows)), BETTER),
    )
  about = _checked(scored), config, _changed(path), note, example.classes, example.not_shown
  return RunSummary(path, state, played, total, "rounds", *about)


def _checked(scored: Any) -> dict[str, dict[str, Any]]:
  """Drops scores that are no numbers, as others may have written the file."""
  numbers = {}
  for name, score in scored.items() if isinstance(scored, Mapping) else ():
    with contextlib.suppress(ValueError, TypeError, KeyError):
      last, best = float(score["last"]), float(score.get("best", score["last"]))
      numbers[name] = {**score, "last": last, "best": best} if "best" in score else {"last": last}
  return numbers


def _unfinished(path: pathlib.Path, summary: Mapping[str, Any], live: bool) -> tuple[str, str]:
  """Returns the state of a run that has not played all its rounds, and the reason."""
  if live:
    return "running", ""
  if "stopped" in summary:
    return "failed", str(summary["stopped"])
  if (path / FAILED).is_file():
    return "failed", (path / FAILED).read_text(errors="replace")[:200].strip()
  return "stopped", ""


def comparable_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
  """Returns the rows with the protocol of the last scored one; others are not comparable."""
  scored = [row for row in rows if scores_of(row)]
  return [row for row in scored if row.get("evaluation") == scored[-1].get("evaluation")]


def _ablation(path: pathlib.Path) -> RunSummary:
  """Loads the summary of an ablation: its runs, and the score of its best variant."""
  from gan_jax.run.ablation.outcomes import outcomes
  from gan_jax.run.ablation.results import read

  results = read(path)
  try:
    plan, rows = results.plan, results.rows
    total = math.prod(map(len, plan["axes"].values())) * len(plan["seeds"])
    better = plan["better"][plan["score"]]
    last = [o.last.mean for o in outcomes(results) if math.isfinite(o.last.mean)]
    best = (max if better == "max" else min)(last, default=math.nan)
    scores = {plan["score"]: {"last": best}} if last else {}
    failed = sum(bool(row["failed"]) for row in rows)
    config = {"name": plan["name"], **flat(plan["base"])}
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise ValueError(f"{path / ABLATION} or its rows are damaged ({error!r})") from error
  state = "running" if is_live(path) else "done" if len(rows) >= total else "stopped"
  note = f"{failed} of its runs failed" if failed else ""
  changed = _changed(path)
  return RunSummary(path, state, len(rows), total, "runs", scores, config, changed, note)


def _changed(path: pathlib.Path) -> float:
  """Returns the time of a folder's last change, in seconds since the epoch."""
  for name in ("metrics.jsonl", "rows.jsonl", RUN, ABLATION):
    if (path / name).is_file():
      return (path / name).stat().st_mtime
  return math.nan


# --- selection and order --------------------------------------------------------------------------


def filter_runs(summaries: Sequence[RunSummary], wanted: Mapping[str, str]) -> list[RunSummary]:
  """Returns the runs and ablations with a state and values of the config.

  Args:
    summaries: runs and ablations.
    wanted: {"state" or dotted key of the config: value as printed}.

  Raises:
    ValueError: no run has a key.
  """
  wanted = {key: str(canonical(key, value)) for key, value in wanted.items()}
  known = {"state"}.union(*(run.config for run in summaries))
  for key in wanted:
    if summaries and key not in known:
      near = sorted(name for name in known if key.split(".")[-1] in name) or sorted(known)
      raise UsageError(f"--filter: no run has the key {key!r}; there are: {', '.join(near)}")
  value = lambda run, key: str(run.state if key == "state" else run.config.get(key))
  return [run for run in summaries if all(value(run, k) == v for k, v in wanted.items())]


def sort_runs(summaries: Sequence[RunSummary], key: str) -> list[RunSummary]:
  """Returns the runs sorted by a score, the best first, or by another key, the least first.

  Args:
    summaries: runs and ablations.
    key: "name", "state", "progress", "age", a score, "best:SCORE", or a key of the config; after a
      minus the other way round. Runs without it come last.

  Raises:
    ValueError: no run has such a key.
  """
  name, flipped = key.removeprefix("-"), key.startswith("-")
  name = f"best:{score_of(name)}" if name.startswith("best:") else score_name(name)
  values = [_value(run, name) for run in summaries]
  if summaries and all(value is None for value in values):
    names = sorted({score for run in summaries for score in run.scores})
    raise UsageError(
      f"--sort: no run has {key.removeprefix('-')!r}; expected name, state, progress, age, a key of"
      f" the config, or a score, last or best:SCORE: {', '.join(names) or 'there is none yet'}"
    )
  pairs = list(zip(values, summaries, strict=True))
  there = [pair for pair in pairs if pair[0] is not None]
  backwards = flipped != (BETTER.get(name.removeprefix("best:")) == "max")
  there.sort(key=lambda pair: pair[0] or (), reverse=backwards)
  return [run for _, run in [*there, *(pair for pair in pairs if pair[0] is None)]]


def score_of(key: str) -> str:
  """Returns the score in a key to sort by."""
  return score_name(key.removeprefix("-").removeprefix("best:"))


def _value(run: RunSummary, name: str) -> tuple[bool, float, str] | None:
  """Returns the value that a run is sorted by, numbers before text; None if it has none, or NaN."""
  facts = {
    "name": str(run.path),
    "state": run.state,
    "progress": run.played / run.total if run.total else 0.0,
    "age": -run.changed,
  }
  score = run.scores.get(name.removeprefix("best:"), {})
  number = score.get("best" if name.startswith("best:") else "last")
  value = facts.get(name, run.config.get(name) if number is None else float(number))
  if isinstance(value, int | float):
    return None if math.isnan(value) else (False, float(value), "")
  return None if value is None else (True, 0.0, str(value))
