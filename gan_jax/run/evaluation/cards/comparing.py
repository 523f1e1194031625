"""Comparisons of methods by their score cards."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.files import flat
from gan_jax.run.evaluation.cards.card import Card, format_mean, format_value
from gan_jax.run.results.significance import LEVEL, format_p, holm, welch
from gan_jax.run.results.table import align

ONE_RUN = """\
over draws of one run each: this says whether two checkpoints differ, not whether the methods do,
which takes several training seeds (name their folders with commas between)"""


def differences(a: Card, b: Card) -> dict[str, tuple[Any, Any]]:
  """Computes the differences of two cards' protocols: {dotted key: (of a, of b)}.

  Metrics that only one of them has are left out, and the note on what each metric can say.
  """
  both = a.protocol.get("metrics", {}).keys() & b.protocol.get("metrics", {}).keys()
  one, other = (
    flat(
      card.protocol
      | {"metrics": {name: card.protocol["metrics"][name] for name in sorted(both)}, "note": None}
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
  """Formats the comparison of two methods, score by score.

  Several cards of a method are runs with other seeds: then means are over runs, and Welch's test is
  of the methods. Of one run each, it is over draws, and of these two checkpoints alone.

  Args:
    a: cards of one method.
    b: cards of the other.
    names: names of the two.
    despite: dotted keys of the protocol that may differ.

  Returns:
    A table with a verdict on each score.

  Raises:
    ValueError: the protocols differ, or one method has several runs and the other has one.
  """
  if (len(a) > 1) != (len(b) > 1):
    raise ValueError(
      f"{names[0]} has {len(a)} runs and {names[1]} has {len(b)}: expected one of each, which"
      " compares two checkpoints, or several of each, which compares two methods"
    )
  for name, cards in zip(names, (a, b), strict=True):
    if any(card in cards[:i] for i, card in enumerate(cards)):
      raise ValueError(f"a run of {name} is named twice, which would count it as two")
  rows = [["", *names, "difference"]]
  for name in _common_scores([*a, *b], despite):
    one, other = (_values(cards, name) for cards in (a, b))
    verdict = _verdict(one, other, a[0].better[name], names)
    rows.append([name, format_mean(one), format_mean(other), verdict])
  lines = align(rows, right=(1, 2))
  for name, cards in zip(names, (a, b), strict=True):
    rounds = sorted({f"{card.run['round']:,}" for card in cards if "round" in card.run})
    of = f" of rounds {', '.join(rounds)}" if rounds else ""
    lines.append(f"{name}: {cards[0].protocol['checkpoint']}{of}")
  lines.append(f"over {len(a)} and {len(b)} runs" if len(a) > 1 else ONE_RUN)
  return "\n".join([*lines, "± is the standard error, p that of Welch's test"])


def board(methods: Mapping[str, Sequence[Card]], *, despite: Sequence[str] = ()) -> str:
  """Formats a table of any number of methods, the best by the first score first.

  Args:
    methods: {name: cards of its runs, with other seeds}.
    despite: dotted keys of the protocol that may differ.

  Returns:
    Means over runs and their standard errors, and p of Welch's test against the best, after Holm's
    correction for the number of methods.

  Raises:
    ValueError: the protocols differ.
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
  mean = {name: float(means[name][first].mean()) for name in means}
  order = sorted(means, key=lambda name: (math.isnan(mean[name]), sign * mean[name]))
  best = means[order[0]][first]
  ps = {
    name: p
    for name in order[1:]
    if min(len(best), len(own := means[name][first])) > 1 and math.isfinite(p := welch(best, own))
  }
  shown = dict(zip(ps, map(format_p, holm([*ps.values()])), strict=True))
  rows = [["", "runs", *scores, f"p ({first})"]]
  for name in order:
    cells = [format_mean(means[name][score]) for score in scores]
    rows.append([name, str(len(means[name][first])), *cells, shown.get(name, "")])
  note = (
    f"± is the standard error over runs, p that of Welch's test against {order[0]}, after Holm's"
    " correction for the number of methods"
  )
  return "\n".join([*align(rows, right=range(1, len(rows[0]))), note])


def _common_scores(cards: Sequence[Card], despite: Sequence[str]) -> list[str]:
  """Returns the scores that all cards have, if their protocols are equal."""
  first, *others = cards
  for card in others:
    unlike = {k: v for k, v in differences(first, card).items() if k not in despite}
    if unlike:
      lines = (
        f"  {key}: {format_value(x)} there, {format_value(y)} here"
        for key, (x, y) in unlike.items()
      )
      raise ValueError(
        "these scores cannot be compared, as they were made differently:\n"
        + "\n".join(lines)
        + f"\nevaluate both alike, or name what you accept: --despite={','.join(unlike)}"
      )
  return [name for name in first.scores if all(name in card.scores for card in others)]


def _values(cards: Sequence[Card], name: str) -> np.ndarray:
  """Returns the mean of each run, or the draws of the only one."""
  return np.array(
    [card.mean(name) for card in cards] if len(cards) > 1 else cards[0].scores[name], float
  )


def _verdict(a: np.ndarray, b: np.ndarray, better: str, names: tuple[str, str]) -> str:
  """Formats the difference of the means, and which method is better if the test decides it."""
  if not np.isfinite([*a, *b]).all():
    return "one of them is not finite"
  step = float(b.mean() - a.mean())
  if min(len(a), len(b)) < 2:
    return f"{step:+.3g}, of one draw: no telling; --draws=3 gives errors"
  p = welch(a, b)
  if not p < LEVEL:
    return f"{step:+.3g}, cannot be told apart (p = {format_p(p)})"
  if better not in ("min", "max"):
    return f"{step:+.3g}, which is neither better nor worse (p = {format_p(p)})"
  winner = names[1] if (step < 0) == (better == "min") else names[0]
  return f"{step:+.3g}, {winner} is better (p = {format_p(p)})"
