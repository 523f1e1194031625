"""What two methods' score cards say of them, if they may be compared at all; how they differ."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from gan_jax.run.evaluation.cards import FOLDER, Card, flat, format_value
from gan_jax.run.results.runs import LAYOUT, config_values, read_config
from gan_jax.run.results.sweeps import SEED

ONE_RUN = """\
over draws of one run each: this says whether two checkpoints differ, not whether the methods do,
which takes several training seeds (name their folders with commas between)"""
LEVEL = 0.05  # of a test, below which two methods are told apart


def differences(a: Card, b: Card) -> dict[str, tuple[Any, Any]]:
  """Finds in what two cards were made otherwise: {dotted key: (there, here)}.

  A metric that only one of them has makes no difference to those that both have.
  """
  both = a.protocol.get("metrics", {}).keys() & b.protocol.get("metrics", {}).keys()
  one, other = (
    flat(
      {**card.protocol, "metrics": {name: card.protocol["metrics"][name] for name in sorted(both)}}
    )
    for card in (a, b)
  )
  return {
    key: (one.get(key), other.get(key))
    for key in sorted(one.keys() | other.keys())
    if one.get(key) != other.get(key)
  }


def compare(
  a: Sequence[Card], b: Sequence[Card], *, names: tuple[str, str], despite: Sequence[str] = ()
) -> str:
  """Compares two methods, score by score.

  Several cards of one method are runs with other seeds: then means are over runs, and Welch's test
  says whether the methods can be told apart. Of one run each, draws say no more than whether these
  two checkpoints can be.

  Args:
    a: cards of one method.
    b: cards of the other.
    names: of the two.
    despite: dotted keys of `made` in which they may differ all the same.

  Returns:
    A table, and what follows from it.

  Raises:
    ValueError: the cards were not made alike; it says in what. Or there are several runs of one
      method and one of the other.
  """
  if (len(a) > 1) != (len(b) > 1):
    raise ValueError(
      f"{names[0]} has {len(a)} runs and {names[1]} has {len(b)}: expected one of each, which"
      " compares two checkpoints, or several of each, which compares two methods"
    )
  for name, cards in zip(names, (a, b), strict=True):
    if any(card in cards[:i] for i, card in enumerate(cards)):
      raise ValueError(f"a run of {name} is named twice, which would count it as two")
  scores = _common_scores([*a, *b], despite)
  width = max(map(len, [*names, *scores]), default=0) + 2
  x, y = (max(22, len(name) + 2) for name in names)
  lines = [f"{'':{width}}{names[0]:>{x}}{names[1]:>{y}}   difference"]
  for name in scores:
    one, other = (_values(cards, name) for cards in (a, b))
    verdict = _verdict(one, other, a[0].better[name], names)
    lines.append(f"{name:{width}}{_cell(one):>{x}}{_cell(other):>{y}}   {verdict}")
  for name, cards in zip(names, (a, b), strict=True):
    rounds = sorted({f"{card.run['round']:,}" for card in cards if "round" in card.run})
    of = f" of rounds {', '.join(rounds)}" if rounds else ""
    lines.append(f"{name}: {cards[0].protocol['checkpoint']}{of}")
  lines.append(f"over {len(a)} and {len(b)} runs" if len(a) > 1 else ONE_RUN)
  return "\n".join([*lines, "± is the standard error, p that of Welch's test"])


def board(methods: Mapping[str, Sequence[Card]], *, despite: Sequence[str] = ()) -> str:
  """Holds any number of methods side by side, the best by the first score first.

  Args:
    methods: {name: cards of its runs, with other seeds}.
    despite: as for `compare`.

  Returns:
    A table: means over runs and their standard errors, and p of Welch's test against the best.

  Raises:
    ValueError: the cards were not made alike; it says in what.
  """
  scores = _common_scores([card for cards in methods.values() for card in cards], despite)
  if not scores:
    raise ValueError("these methods have no score in common: evaluate them alike")
  means = {
    name: {score: np.array([card.mean(score) for card in cards]) for score in scores}
    for name, cards in methods.items()
  }
  first, better = scores[0], next(iter(methods.values()))[0].better[scores[0]]
  sign = -1 if better == "max" else 1
  order = sorted(
    means, key=lambda name: sign * np.nan_to_num(means[name][first].mean(), nan=np.inf)
  )
  against = f"p ({first})"
  rows = [["", "runs", *scores, against]]
  for name in order:
    best, own = means[order[0]][first], means[name][first]
    tested = name != order[0] and min(len(best), len(own)) > 1
    p = f"{found:.2g}" if tested and not math.isnan(found := welch(best, own)) else ""
    rows.append([name, str(len(own)), *(_cell(means[name][score]) for score in scores), p])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    "  ".join(
      [f"{row[0]:{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))]
    )
    for row in rows
  ]
  return "\n".join(
    [
      *map(str.rstrip, lines),
      f"± is the standard error over runs, p that of Welch's test against {order[0]}",
    ]
  )


def _common_scores(cards: Sequence[Card], despite: Sequence[str]) -> list[str]:
  """Lists the scores that all cards have, if all were made alike."""
  first, *others = cards
  for card in others:
    found = {k: v for k, v in differences(first, card).items() if k not in despite}
    if found:
      told = "\n".join(
        f"  {key}: {format_value(x)} there, {format_value(y)} here" for key, (x, y) in found.items()
      )
      raise ValueError(
        "these scores cannot be compared, as they were made differently:\n"
        f"{told}\nevaluate both alike, or name what you accept: --despite={','.join(found)}"
      )
  return [name for name in first.scores if all(name in card.scores for card in others)]


def _values(cards: Sequence[Card], name: str) -> np.ndarray:
  """Takes the mean of each run, or the draws of the only one."""
  return np.array(
    [card.mean(name) for card in cards] if len(cards) > 1 else cards[0].scores[name], float
  )


def _cell(values: np.ndarray) -> str:
  error = standard_error(values)
  told = f" ± {error:.2g}" if math.isfinite(error) else ""
  return f"{values.mean():.4g}{told}"


def standard_error(values: np.ndarray | Sequence[float]) -> float:
  """Estimates the standard error of a mean over runs; NaN of one, or where one is not finite."""
  told = len(values) > 1 and bool(np.isfinite(values).all())
  return float(stats.sem(values)) if told else math.nan


def _verdict(a: np.ndarray, b: np.ndarray, better: str, names: tuple[str, str]) -> str:
  """Says who is better, if that can be told."""
  if not np.isfinite([*a, *b]).all():
    return "one of them is not finite"
  step = float(b.mean() - a.mean())
  if min(len(a), len(b)) < 2:
    return f"{step:+.3g}, of one draw: no telling; --draws=3 gives errors"
  p = welch(a, b)
  if not p < LEVEL:
    return f"{step:+.3g}, cannot be told apart (p = {p:.2g})"
  if better not in ("min", "max"):
    return f"{step:+.3g}, which is neither better nor worse (p = {p:.2g})"
  winner = names[1] if (step < 0) == (better == "min") else names[0]
  return f"{step:+.3g}, {winner} is better (p = {p:.2g})"


def welch(a: np.ndarray, b: np.ndarray) -> float:
  """Computes the p of Welch's two-sided test that a [n] and b [m] have one mean, n and m > 1.

  It is NaN where one of them is not finite.
  """
  if not (np.isfinite(a).all() and np.isfinite(b).all()):
    return math.nan
  one, other = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
  step, variance = abs(float(b.mean() - a.mean())), one + other
  if variance <= (1e-12 * step) ** 2:  # nothing but rounding
    return float(step == 0)
  freedom = variance**2 / (one**2 / (len(a) - 1) + other**2 / (len(b) - 1))
  return float(2 * stats.t.sf(step / math.sqrt(variance), freedom))


# --- configs --------------------------------------------------------------------------------------


def config_of(path: str | pathlib.Path) -> dict[str, Any] | None:
  """Reads the config behind a score: of a run's folder, or of the folder that a card lies in.

  Args:
    path: of a run, or of a card.

  Returns:
    {dotted key: value}; None for a card that lies elsewhere.
  """
  path = pathlib.Path(path)
  if path.is_file():
    path = path.parent.parent if path.parent.name == FOLDER else path
  return flat(config_values(read_config(path))) if (path / "config.json").is_file() else None


def names_of(
  configs: Sequence[Sequence[Mapping[str, Any] | None]], paths: Sequence[str]
) -> list[str]:
  """Names methods by what differs: "loss=hinge", or by their paths where no config says it.

  Args:
    configs: of the runs of each method, of `config_of`.
    paths: of the first run of each method.

  Returns:
    A name of each, all different.
  """
  folders = _names_of_folders(paths)
  if any(config is None for method in configs for config in method):
    return folders
  keys = _telling(differing(configs))
  short = {key: _short(key, keys) for key in keys}
  values = [{key: "/".join(_kept(method, key)) for key in keys} for method in configs]
  for count in (*range(min(SHOWN, len(keys)), 0, -1), *range(SHOWN + 1, len(keys) + 1)):
    rest = " ..." if count < len(keys) else ""
    told = [" ".join(f"{short[k]}={v[k]}" for k in keys[:count]) + rest for v in values]
    if len(set(told)) == len(told) and max(map(len, told)) <= LONGEST:
      return told
  return folders


SHOWN, LONGEST = 3, 60  # keys in a name at most, if they tell methods apart; and characters


def differing(configs: Sequence[Sequence[Mapping[str, Any] | None]]) -> list[str]:
  """Lists the keys in which the configs of methods differ; seeds are of runs."""
  keys = sorted(set().union(*(config or {} for method in configs for config in method)) - {SEED})
  return [key for key in keys if len({tuple(_kept(m, key)) for m in configs}) > 1]


def _kept(method: Sequence[Mapping[str, Any] | None], key: str) -> list[str]:
  """Lists the values that a key has among the runs of a method."""
  return list(dict.fromkeys(str((config or {}).get(key, "not set")) for config in method))


def _telling(keys: Sequence[str]) -> list[str]:
  """Orders keys by what they tell; the options of another network or optimizer tell nothing."""
  sections = [key.removesuffix("name") for key in keys if key.endswith(".name")]
  options = lambda key: any(key.startswith(s) and key != f"{s}name" for s in sections)
  kept = [key for key in keys if not options(key) and key.split(".")[0] not in LAYOUT]
  return sorted(kept, key=lambda key: (key != "loss", not key.endswith(".name"), key))


def _short(key: str, keys: Sequence[str]) -> str:
  """Takes as many last parts of a key as tell it from the others; of a section's name, its own."""
  parts = {k: k.removesuffix(".name").split(".") for k in keys}
  for depth in range(1, len(parts[key]) + 1):
    end = parts[key][-depth:]
    if sum(other[-depth:] == end for other in parts.values()) == 1:
      return ".".join(end)
  return key


def _names_of_folders(paths: Sequence[str]) -> list[str]:
  """Names methods by the folders of their first runs, as far as these tell them apart."""
  found = [pathlib.Path(path) for path in paths]
  ends = [(p.parent.parent.name if p.parent.name == FOLDER else p.stem)[-18:] for p in found]
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  if len(set(ends)) == len(ends):
    return ends
  return [f"{letters[i % 26]} {end}" for i, end in enumerate(ends)]


def config_differences(*methods: Sequence[Mapping[str, Any] | None], names: Sequence[str]) -> str:
  """Shows in which keys the configs of methods differ.

  Args:
    *methods: configs of each method's runs, of `config_of`.
    names: of the methods.

  Returns:
    A table; of a method with several values of a key, all of them.
  """
  for name, configs in zip(names, methods, strict=True):
    if None in configs:
      return f"the config of {name} is not known: a score card away from its run has none"
  rows = [[key, *(", ".join(_kept(m, key)) for m in methods)] for key in differing(methods)]
  if not rows:
    return "their configs are the same"
  rows.insert(0, ["configs differ in", *names])
  *widths, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
  return "\n".join(
    f"{key:{widths[0]}}  "
    + "".join(f"{v:>{w}}   " for v, w in zip(values, widths[1:], strict=False))
    + last
    for key, *values, last in rows
  )
