"""What an ablation is to run: variants of a config by seeds, grouped by the program they share.

A file defines `get_config()`, which returns an `ablation`. All of it can be overridden on the
command line: `--config.seeds="(0,1)" --config.base.batch_size=128`.
"""

import functools
import itertools
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import images_a_round
from gan_jax.run.config import aliases
from gan_jax.run.config.config import canonical, free_numbers, known, replaced
from gan_jax.run.evaluation.cards import flat
from gan_jax.run.experiment import build_game
from gan_jax.run.results import rows as report

Labels = dict[str, str]  # of a variant, by axis
_OPERATORS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">": operator.gt}


class Axis(NamedTuple):
  """One thing that is varied.

  Attributes:
    name: of it.
    choices: label -> {dotted key of the config: value}; {} leaves the base as it is.
  """

  name: str
  choices: Mapping[str, Mapping[str, Any]]


def axis(key: str, values: Sequence[Any], name: str | None = None) -> Axis:
  """Makes an axis of the values of one key of the config."""
  return Axis(name or key, {str(value): {key: value} for value in values})


def ablation(
  base: ConfigDict,
  axes: Sequence[Axis],
  *,
  baseline: Mapping[str, str],
  seeds: Sequence[int] = (0, 1, 2, 3, 4),
  score: str = "",
  collapse: str = "",
  rounds: int = 0,
  images: int = 0,
  together: int = 0,
  at_once: int = 0,
) -> ConfigDict:
  """Makes the config of an ablation.

  Args:
    base: the config that is varied.
    axes: what is varied: their grid, or of one axis a list.
    baseline: label by axis of what all is held against.
    seeds: of the runs of each variant. Comparisons are between runs of one seed.
    score: that is judged by; "" for the one that chooses best checkpoints.
    collapse: when a run counts as collapsed, by its last score: "modes<4"; "" for never.
    rounds: of each run; 0 for the base's.
    images: seen by the discriminator in each run, in the place of rounds; 0 for no such budget.
    together: runs in one program at most, of which rows are written when all have ended; 0 for all
      that can be.
    at_once: runs that a device plays at once, the others of its program one after another; 0 for
      all. Convolutions want 1 on a CPU.

  Returns:
    The config.
  """
  return ConfigDict(
    {
      "base": base,
      "axes": tuple(axes),
      "baseline": tuple(baseline.items()),
      "seeds": tuple(seeds),
      "score": score,
      "collapse": collapse,
      "rounds": rounds,
      "images": images,
      "together": together,
      "at_once": at_once,
    }
  ).lock()


class Member(NamedTuple):
  """One run.

  Attributes:
    labels: of its variant, by axis.
    changes: what it has other than the base config, by dotted key.
    config: its own.
  """

  labels: Labels
  changes: Mapping[str, Any]
  config: ConfigDict

  @property
  def name(self) -> str:
    """Names its variant."""
    return said(self.labels)

  @property
  def key(self) -> str:
    """Names it among all runs of its base."""
    return key_of(self.changes, self.config.seed)


def key_of(changes: Mapping[str, Any], seed: int) -> str:
  """Names a run by what it is, so that an axis can be renamed, or get more choices."""
  return json.dumps([report.plain(changes), seed], sort_keys=True)


class Group(NamedTuple):
  """Runs of one program.

  Attributes:
    members: the runs.
    numbers: dotted keys of the config in which they differ, but for the seed.
  """

  members: tuple[Member, ...]
  numbers: tuple[str, ...]


def members(asked: ConfigDict) -> list[Member]:
  """Lists all runs, seed by seed for each variant in the order of the axes.

  Args:
    asked: an `ablation`.

  Returns:
    The runs.

  Raises:
    ValueError: for a key or value that a config cannot have; it names the variant.
  """
  _check(asked)
  found, base = [], canonical(asked.base)
  for labels, changes in variants(asked.axes):
    try:
      config = canonical(replaced(base, changes))
      rounds = asked.rounds or config.rounds
      if asked.images:
        rounds = max(1, round(asked.images / _images_a_round(config)))
      config = replaced(config, {"rounds": rounds})
    except ValueError as error:
      raise ValueError(f"{said(labels)}: {error}") from error
    real = {k: v for k, v in changes.items() if _plain(value_at(base, k)) != v}
    found += [Member(labels, real, replaced(config, {"seed": seed})) for seed in asked.seeds]
  return found


def variants(axes: Sequence[Axis]) -> list[tuple[Labels, dict[str, Any]]]:
  """Lists the grid of axes: labels, and all changes together."""
  names = [axis.name for axis in axes]
  found = []
  for picked in itertools.product(*(axis.choices.items() for axis in axes)):
    labels = dict(zip(names, (label for label, _ in picked), strict=True))
    found.append(
      (
        labels,
        {k: aliases.canonical(k, _plain(v)) for _, changes in picked for k, v in changes.items()},
      )
    )
  return found


def groups(runs: Sequence[Member], together: int = 0) -> list[Group]:
  """Groups runs that one program can play: they differ in seeds and in free numbers alone.

  Args:
    runs: the runs.
    together: most runs in a group; 0 for no limit.

  Returns:
    The groups, in the order of their first runs.
  """
  alike: dict[str, list[Member]] = {}
  for member in runs:
    alike.setdefault(_structure(member.config), []).append(member)
  parts = [
    part[first : first + (together or len(part))]
    for part in alike.values()
    for first in range(0, len(part), together or len(part))
  ]
  return [Group(tuple(part), _varied(part)) for part in parts]


def programs(found: Sequence[Group]) -> int:
  """Counts the programs that groups need: one for each structure and number of runs."""
  return len({(_structure(g.members[0].config), g.numbers, len(g.members)) for g in found})


def has_collapsed(rule: str, last: Mapping[str, float]) -> bool:
  """Tells whether a run's last scores are those of a collapsed one; `rule` as in an `ablation`."""
  if not rule:
    return False
  score, compare, bound = _rule(rule)
  if score not in last:
    raise ValueError(
      f"config.collapse is {rule!r}, and the scores are: {', '.join(sorted(last)) or 'none'}"
    )
  return _OPERATORS[compare](last[score], bound)


def said(labels: Mapping[str, str]) -> str:
  """Names a variant."""
  return ", ".join(f"{axis} {label}" for axis, label in labels.items())


def _rule(text: str) -> tuple[str, str, float]:
  if not (found := re.fullmatch(r"\s*([\w ]+?)\s*([<>])\s*([-+.\deE]+)\s*", text)):
    raise ValueError(f"config.collapse is {text!r}: expected a score and its bound, as 'modes<4'")
  return found[1], found[2], float(found[3])


def _check(asked: ConfigDict) -> None:
  """Refuses what is no ablation."""
  wanted = ablation(ConfigDict(), (), baseline={})
  if not isinstance(asked, ConfigDict) or set(wanted) - set(asked):
    raise ValueError(
      "--config: get_config() returned no ablation; expected what gan_jax.ablation.ablation("
      "...) makes, as in experiments/ablations/losses_ring.py"
    )
  known(asked, wanted, "keys of an ablation")
  names = [axis.name for axis in asked.axes]
  if not names or len(set(names)) < len(names) or not all(axis.choices for axis in asked.axes):
    raise ValueError(f"the axes are {names}: expected one or more, each once and with choices")
  if not asked.seeds or len(set(asked.seeds)) < len(asked.seeds):
    raise ValueError(f"config.seeds is {asked.seeds}: expected one or more seeds, each once")
  if asked.rounds and asked.images:
    raise ValueError("config.rounds and config.images are both set: a budget is one of them")
  for key in ("rounds", "images", "together", "at_once"):
    if asked[key] < 0:
      raise ValueError(f"config.{key} = {asked[key]}: expected 0 or more")
  if asked.collapse:
    _rule(asked.collapse)
  baseline = dict(asked.baseline)
  for name, choices in asked.axes:
    if baseline.pop(name, None) not in choices:
      raise ValueError(
        f"config.baseline names no choice of the axis {name!r}; expected one of: "
        f"{', '.join(choices)}"
      )
  if baseline:
    raise ValueError(f"config.baseline has {', '.join(baseline)}, and there is no such axis")


def _images_a_round(config: ConfigDict) -> int:
  """Counts the real examples that the discriminator sees in a round."""
  # Of what data is not asked: the turns, which decide it, do not depend on shapes.
  any_data = Example((8, 8, 1), 2 if config.conditional else None, None)
  return images_a_round(build_game(config, any_data), config.batch_size)


def _structure(config: ConfigDict) -> str:
  """Tells apart the programs of configs."""
  free = {"seed", *free_numbers(config)}
  fixed = {k: v for k, v in flat(config.to_dict()).items() if k not in free}
  return json.dumps(fixed, sort_keys=True)


def _varied(part: Sequence[Member]) -> tuple[str, ...]:
  """Lists the numbers in which runs differ; what is the same for all is left to the compiler."""
  all_of = [free_numbers(member.config) for member in part]
  return tuple(name for name in all_of[0] if len({numbers[name] for numbers in all_of}) > 1)


def value_at(config: ConfigDict, key: str) -> Any:
  """Looks up a dotted key."""
  return functools.reduce(lambda section, name: section[name], key.split("."), config)


def _plain(value: Any) -> Any:
  return value.to_dict() if isinstance(value, ConfigDict) else value
