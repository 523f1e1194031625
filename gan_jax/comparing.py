"""What two methods' score cards say of them, if they may be compared at all; how they differ."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from gan_jax.cards import FOLDER, Card, flat, said
from gan_jax.runs import config_values, read_config

ONE_RUN = """\
over draws of one run each: this says whether two checkpoints differ, not whether the methods do,
which takes several training seeds (name their folders with commas between)"""
LEVEL = 0.05  # of a test, below which two methods are told apart


def differences(a: Card, b: Card) -> dict[str, tuple[Any, Any]]:
  """Finds in what two cards were made otherwise: {dotted key: (there, here)}.

  A metric that only one of them has makes no difference to those that both have.
  """
  both = a.made.get("metrics", {}).keys() & b.made.get("metrics", {}).keys()
  one, other = (
    flat({**card.made, "metrics": {name: card.made["metrics"][name] for name in sorted(both)}})
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
  first, *others = [*a, *b]
  for card in others:
    found = {k: v for k, v in differences(first, card).items() if k not in despite}
    if found:
      told = "\n".join(f"  {key}: {said(x)} there, {said(y)} here" for key, (x, y) in found.items())
      raise ValueError(
        "these scores cannot be compared, as they were made differently:\n"
        f"{told}\nevaluate both alike, or name what you accept: --despite={','.join(found)}"
      )
  width = max(map(len, [*names, *first.scores]), default=0) + 2
  lines = [f"{'':{width}}{names[0]:>22}{names[1]:>22}   difference"]
  for name in (name for name in first.scores if all(name in card.scores for card in others)):
    one, other = (_values(cards, name) for cards in (a, b))
    verdict = _verdict(one, other, first.better[name], names)
    lines.append(f"{name:{width}}{_cell(one):>22}{_cell(other):>22}   {verdict}")
  for name, cards in zip(names, (a, b), strict=True):
    rounds = sorted({f"{card.run['round']:,}" for card in cards if "round" in card.run})
    of = f" of rounds {', '.join(rounds)}" if rounds else ""
    lines.append(f"{name}: {cards[0].made['checkpoint']}{of}")
  lines.append(f"over {len(a)} and {len(b)} runs" if len(a) > 1 else ONE_RUN)
  return "\n".join([*lines, "± is the standard error, p that of Welch's test"])


def _values(cards: Sequence[Card], name: str) -> np.ndarray:
  """Takes the mean of each run, or the draws of the only one."""
  return np.array(
    [card.mean(name) for card in cards] if len(cards) > 1 else cards[0].scores[name], float
  )


def _cell(values: np.ndarray) -> str:
  known = len(values) > 1 and np.isfinite(values).all()
  error = f" ± {stats.sem(values):.2g}" if known else ""
  return f"{values.mean():.4g}{error}"


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
  """Computes the p of Welch's two-sided test that a [n] and b [m] have one mean, n and m > 1."""
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


def config_differences(
  a: Sequence[Mapping[str, Any] | None],
  b: Sequence[Mapping[str, Any] | None],
  *,
  names: tuple[str, str],
) -> str:
  """Shows in which keys the configs of two methods differ.

  Args:
    a: configs of one method's runs, of `config_of`.
    b: configs of the other's.
    names: of the two.

  Returns:
    A table; of a method with several values of a key, all of them.
  """
  for name, configs in zip(names, (a, b), strict=True):
    if None in configs:
      return f"the config of {name} is not known: a score card away from its run has none"
  values = lambda configs, key: dict.fromkeys(str(c.get(key, "not set")) for c in configs)
  keys = sorted(set().union(*(config or {} for config in (*a, *b))))
  rows = [
    (key, *(", ".join(values(configs, key)) for configs in (a, b)))
    for key in keys
    if values(a, key).keys() != values(b, key).keys()
  ]
  if not rows:
    return "their configs are the same"
  widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
  widths[1] = max(widths[1], len(names[0]))
  rows = [("configs differ in", *names), *rows]
  widths[0] = max(widths[0], len(rows[0][0]))
  return "\n".join(f"{key:{widths[0]}}  {x:>{widths[1]}}   {y}" for key, x, y in rows)
