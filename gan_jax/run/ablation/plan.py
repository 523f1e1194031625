"""The runs of an ablation: variants of a config by seeds, grouped by the program they share.

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
from gan_jax.data.source import check_seed
from gan_jax.files import flat, plain
from gan_jax.game.core import images_a_round
from gan_jax.run.ablation.results import Labels, variant_name
from gan_jax.run.config import aliases
from gan_jax.run.config.config import as_game, canonical, complete, replaced
from gan_jax.run.config.sections.key import check_known
from gan_jax.run.config.sections.kinds.games import build_game, free_numbers

_OPERATORS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">": operator.gt}


class Axis(NamedTuple):
  """A varied part of the config.

  Attributes:
    name: its name.
    choices: {label: {dotted key of the config: value}}; {} leaves the base as it is. With
      "game.name" the variant is of that kind of game, and has the base's values at the keys that
      both kinds have.
  """

  name: str
  choices: Mapping[str, Mapping[str, Any]]


def axis(key: str, values: Sequence[Any], name: str | None = None) -> Axis:
  """Builds an axis of the values of one key of the config."""
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
  """Builds the config of an ablation.

  Args:
    base: the config that is varied.
    axes: varied parts; variants are their grid.
    baseline: {axis: label} of the variant that all are compared with.
    seeds: seeds of the runs of each variant. Comparisons are between runs of one seed.
    score: score of the verdicts; "" for the one that chooses best checkpoints.
    collapse: bound on a last score beyond which a run has collapsed: "modes<4"; "" for none.
    rounds: rounds of each run; 0 for the base's.
    images: real examples of each run, in place of rounds; 0 for no such budget.
    together: most runs in one program, whose rows are written when all have ended; 0 for no limit.
    at_once: runs under one vmap, the others of a program one after another; 0 for all.
      Convolutions want 1 on a CPU.
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
    labels: {axis: label} of its variant.
    changes: {dotted key: value} beside the base config.
    config: its config, complete.
  """

  labels: Labels
  changes: Mapping[str, Any]
  config: ConfigDict

  @property
  def name(self) -> str:
    """Name of its variant."""
    return variant_name(self.labels)

  @property
  def key(self) -> str:
    """Identity among all runs of its base."""
    return key_of(self.changes, self.config.seed)


def key_of(changes: Mapping[str, Any], seed: int) -> str:
  """Returns the identity of a run: its changes, so that an axis can be renamed or extended."""
  return json.dumps([plain(changes), seed], sort_keys=True)


class Group(NamedTuple):
  """Runs of one program.

  Attributes:
    members: the runs.
    numbers: dotted keys of the config in which they differ, without the seed.
  """

  members: tuple[Member, ...]
  numbers: tuple[str, ...]


def members(asked: ConfigDict) -> list[Member]:
  """Builds all runs, seed by seed for each variant in the order of the axes.

  Args:
    asked: an `ablation`.

  Raises:
    ValueError: a variant, which is named, has a key or value that a config cannot have.
  """
  _check(asked)
  runs, base = [], canonical(asked.base)
  for labels, changes in variants(asked.axes):
    try:
      kind = changes.get("game.name")
      config = complete(replaced(as_game(base, kind) if kind else base, changes))
      rounds = asked.rounds or config.rounds
      if asked.images:
        rounds = max(1, round(asked.images / _images_a_round(config)))
      config = replaced(config, {"rounds": rounds})
    except ValueError as error:
      raise ValueError(f"{variant_name(labels)}: {error}") from error
    real = {k: v for k, v in changes.items() if not _is_same(base, k, v)}
    runs += [Member(labels, real, replaced(config, {"seed": seed})) for seed in asked.seeds]
  return runs


def variants(axes: Sequence[Axis]) -> list[tuple[Labels, dict[str, Any]]]:
  """Returns the grid of axes: labels, and all changes together."""
  names = [axis.name for axis in axes]
  grid = []
  for picked in itertools.product(*(axis.choices.items() for axis in axes)):
    labels = dict(zip(names, (label for label, _ in picked), strict=True))
    changes = {key: value for _, choice in picked for key, value in choice.items()}
    grid.append((labels, {k: aliases.canonical(k, _plain(v)) for k, v in changes.items()}))
  return grid


def groups(runs: Sequence[Member], max_members: int = 0) -> list[Group]:
  """Groups runs that one program can play: they differ in seeds and in free numbers alone.

  Args:
    runs: the runs.
    max_members: most runs in a group; 0 for no limit.

  Returns:
    The groups, in the order of their first runs.
  """
  by_structure: dict[str, list[Member]] = {}
  for member in runs:
    by_structure.setdefault(_structure(member.config), []).append(member)
  parts = [
    part[first : first + (max_members or len(part))]
    for part in by_structure.values()
    for first in range(0, len(part), max_members or len(part))
  ]
  return [Group(tuple(part), _varied(part)) for part in parts]


def programs(planned: Sequence[Group]) -> int:
  """Counts the programs that groups need: one for each structure and number of runs."""
  return len({(_structure(g.members[0].config), g.numbers, len(g.members)) for g in planned})


def has_collapsed(rule: str, last: Mapping[str, float]) -> bool:
  """Returns whether last scores are beyond the bound `rule`, the `collapse` of an `ablation`."""
  if not rule:
    return False
  score, compare, bound = _rule(rule)
  if score not in last:
    raise ValueError(
      f"config.collapse is {rule!r}, and the scores are: {', '.join(sorted(last)) or 'none'}"
    )
  return _OPERATORS[compare](last[score], bound)


def _rule(text: str) -> tuple[str, str, float]:
  if not (match := re.fullmatch(r"\s*([\w ]+?)\s*([<>])\s*([-+.\deE]+)\s*", text)):
    raise ValueError(f"config.collapse is {text!r}: expected a score and its bound, as 'modes<4'")
  return match[1], match[2], float(match[3])


def _check(asked: ConfigDict) -> None:
  """Checks the config of an ablation."""
  wanted = ablation(ConfigDict(), (), baseline={})
  if not isinstance(asked, ConfigDict) or set(wanted) - set(asked):
    raise ValueError(
      "--config: get_config() returned no ablation; expected what gan_jax.ablation.ablation("
      "...) makes, as in experiments/ablations/losses_ring.py"
    )
  check_known(asked, wanted, "keys of an ablation")
  names = [axis.name for axis in asked.axes]
  if not names or len(set(names)) < len(names) or not all(axis.choices for axis in asked.axes):
    raise ValueError(f"the axes are {names}: expected one or more, each once and with choices")
  if not asked.seeds or len(set(asked.seeds)) < len(asked.seeds):
    raise ValueError(f"config.seeds is {asked.seeds}: expected one or more seeds, each once")
  for seed in asked.seeds:
    check_seed(seed)
  if asked.rounds and asked.images:
    raise ValueError("config.rounds and config.images are both set: a budget is one of them")
  for key in ("rounds", "images", "together", "at_once"):
    if asked[key] < 0:
      raise ValueError(f"config.{key} = {asked[key]}: expected 0 or more")
  if asked.collapse:
    _rule(asked.collapse)
  for axis in asked.axes:
    _check_is_free(asked, axis)
  baseline = dict(asked.baseline)
  for name, choices in asked.axes:
    if baseline.pop(name, None) not in choices:
      raise ValueError(
        f"config.baseline names no choice of the axis {name!r}; expected one of: "
        f"{', '.join(choices)}"
      )
  if baseline:
    raise ValueError(f"config.baseline has {', '.join(baseline)}, and there is no such axis")


def _check_is_free(asked: ConfigDict, axis: Axis) -> None:
  """Refuses an axis over what the ablation sets for all of its runs."""
  keys = {key for choice in axis.choices.values() for key in choice}
  set_for_all = {"seed": ("seeds",), "rounds": ("rounds", "images")}
  for key in sorted(keys & set_for_all.keys()):
    if given := [name for name in set_for_all[key] if asked[name]]:
      raise ValueError(
        f"the axis {axis.name!r} varies {key}, which config.{given[0]} = {asked[given[0]]} sets for"
        f" every variant: {'name seeds there alone' if key == 'seed' else 'leave one of them out'}"
      )


def _images_a_round(config: ConfigDict) -> int:
  """Counts the real examples that the discriminator sees in a round."""
  # Of what data is not asked: the turns, which decide it, do not depend on shapes.
  classes = len(config.condition.shares) or 2
  of_vectors = config.condition.name == "vector"
  any_data = Example((8, 8, 1), classes if config.conditional and not of_vectors else None, None)
  if of_vectors:
    any_data = any_data._replace(condition_dim=2)
  return images_a_round(build_game(config, any_data), config.batch_size)


def _structure(config: ConfigDict) -> str:
  """Returns a key that configs of one program have in common."""
  free = {"seed", *free_numbers(config)}
  fixed = {k: v for k, v in flat(config.to_dict()).items() if k not in free}
  return json.dumps(fixed, sort_keys=True)


def _varied(part: Sequence[Member]) -> tuple[str, ...]:
  """Returns the numbers in which runs differ; shared ones are left to the compiler."""
  all_of = [free_numbers(member.config) for member in part]
  return tuple(name for name in all_of[0] if len({numbers[name] for numbers in all_of}) > 1)


def value_at(config: ConfigDict, key: str) -> Any:
  """Returns the value of a dotted key."""
  return functools.reduce(lambda section, name: section[name], key.split("."), config)


def _is_same(base: ConfigDict, key: str, value: Any) -> bool:
  """Returns whether the base has the value; of another kind of game it may lack the key."""
  try:
    return bool(_plain(value_at(base, key)) == value)
  except KeyError:
    return False


def _plain(value: Any) -> Any:
  return value.to_dict() if isinstance(value, ConfigDict) else value
