"""The main result of several runs: their methods side by side, where scores were made alike."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.run.evaluation.cards import flat, format_value, protocol_hash
from gan_jax.run.report.curves import title
from gan_jax.run.report.gather import Alike, Run
from gan_jax.run.report.markup import Markup, tag
from gan_jax.run.report.tables import (
  Axis,
  Cell,
  axis,
  colored,
  format_number,
  number,
  scale,
  strip,
  swatch,
  table,
  text,
)
from gan_jax.run.results.comparing import LEVEL, standard_error, welch

WAY = {"min": "lower", "max": "higher", "none": "neither way"}


def results(
  found: Sequence[Run], groups: Mapping[str, Sequence[int]], ways: Sequence[Alike]
) -> Any:
  """Shows each way of scoring: a sentence, and the methods that were scored so, the best first."""
  if not ways:
    return tag("p", "No run has a score yet.")
  note = (
    "Scores of last checkpoints. A large dot is the mean over seeds, the bar its standard error,"
    " small dots are single runs."
  )
  shown = [_way(way, found, groups, len(ways)) for way in ways]
  return [shown, tag("p", note, class_="note")]


def _way(
  way: Alike, found: Sequence[Run], groups: Mapping[str, Sequence[int]], ways: int
) -> Markup:
  head = next(iter(way.values))
  scored = way.values[head]
  there = {m: [i for i in runs if i in scored] for m, runs in groups.items()}
  methods = {m: members for m, members in there.items() if members}
  heading = f"{capital(title(head))} on {_of(way)}" if ways > 1 else capital(title(head))
  floor = _floor(way, head)
  return tag(
    "section",
    tag("h3", heading),
    tag("p", verdict(head, way, methods), class_="verdict"),
    _forest(head, way, found, methods),
    tag(
      "p",
      directions(way.better),
      floor and f" The dashed line is what real examples score, {format_number(floor)}.",
      class_="note",
    ),
    class_="result",
  )


def _floor(way: Alike, name: str) -> float | None:
  value = way.floor.get(name)
  return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def directions(better: Mapping[str, str]) -> str:
  """Says which way each score is better."""
  ways = {way: [title(name) for name in better if better[name] == way] for way in WAY}
  told = [f"{WAY[way]} for {' and '.join(names)}" for way, names in ways.items() if names]
  return f"{capital(', '.join(told).replace(' for ', ' is better for ', 1))}."


def capital(text: str) -> str:
  """Begins a heading with a capital, and leaves the rest as it is."""
  return text[:1].upper() + text[1:]


def _of(way: Alike) -> str:
  real = way.protocol.get("real")
  return str(real.get("data", "")) if isinstance(real, Mapping) else f"card {way.protocol_hash}"


def verdict(name: str, way: Alike, methods: Mapping[str, Sequence[int]]) -> str:
  """Says which method is best, and whether it can be told apart from the next."""
  better, found = way.better[name], way.values[name]
  values = {
    m: np.array([found[i] for i in runs if math.isfinite(found[i])]) for m, runs in methods.items()
  }
  values = {m: x for m, x in values.items() if len(x)}
  ranked = sorted(values, key=lambda m: values[m].mean() * (-1 if better == "max" else 1))
  if not ranked:
    return "No score is finite."
  if len(ranked) == 1 or better == "none":
    return "; ".join(f"{m}: {_mean(values[m])}" for m in ranked) + "."
  a, b = (values[m] for m in ranked[:2])
  most = f"the {'highest' if better == 'max' else 'lowest'} {title(name)}"
  level = [m for m in ranked if values[m].mean() == a.mean()]
  if len(level) > 1:
    return (
      f"{', '.join(level[:-1])} and {level[-1]} share {most}, {format_number(float(a.mean()))}."
    )
  told = f"{ranked[0]} has {most}, {_mean(a)}; next comes {ranked[1]} with {_mean(b)}"
  if min(len(a), len(b)) < 2:
    return f"{told}. Of one seed, this does not tell the methods apart."
  p = welch(a, b)
  apart = "" if p < LEVEL else "these two cannot be told apart: "
  return f"{told} ({apart}p = {p:.2g}, Welch)."


def _mean(values: np.ndarray) -> str:
  if len(values) < 2:
    return f"{values[0]:.4g} in one run"
  return f"{values.mean():.4g} ± {standard_error(values):.2g} over {len(values)} runs"


def _forest(
  head: str, way: Alike, found: Sequence[Run], methods: Mapping[str, Sequence[int]]
) -> Markup:
  """Lays methods out by one score, drawn, with their other scores beside it."""
  floor = _floor(way, head)
  on = axis([*way.values[head].values(), *([] if floor is None else [floor])])
  sign = -1 if way.better[head] == "max" else 1
  mean = {m: _finite_mean([way.values[head][i] for i in runs]) for m, runs in methods.items()}
  ranked = sorted(methods, key=lambda m: (math.isnan(mean[m]), sign * mean[m]))
  rows = []
  for method in ranked:
    runs = [found[i] for i in methods[method]]
    of = lambda name, runs=methods[method]: [v[i] for i in runs if i in (v := way.values[name])]
    drawn = _strip(on, of(head), mean[method], floor, runs[0].color)
    scores = [_mean_cell(of(name), strong=name == head) for name in way.values]
    rows.append([_method(method, runs), Cell(drawn, class_="drawing"), *scores, number(len(runs))])
  columns = len(way.values) + 1
  foot = on and tag(
    "tr", tag("td"), tag("td", scale(on), class_="drawing"), tag("td", colspan=columns)
  )
  heads = ["method", "", *map(title, way.values), "seeds"]
  caption = f"{capital(title(head))} and other scores, mean ± standard error over seeds"
  return table(caption, heads, rows, foot=foot, class_="forest")


def _finite_mean(values: Sequence[float]) -> float:
  finite = [value for value in values if math.isfinite(value)]
  return float(np.mean(finite)) if finite else math.nan


def _mean_cell(values: Sequence[float], strong: bool) -> Cell:
  if not values:
    return number(None)
  mean, error = _finite_mean(values), standard_error(values)
  shown = [
    tag("b", format_number(mean)) if strong else format_number(mean),
    f" ± {error:.2g}" if error > 0 else None,
  ]
  return number(mean, shown)


def _strip(
  on: Axis | None, values: Sequence[float], mean: float, floor: float | None, color: int
) -> Markup | None:
  if on is None:
    return None
  error = standard_error(values) if len(values) > 1 else 0.0
  dots = values if len(values) > 1 else ()
  return strip(on, mean, mean - error, mean + error, dots, floor, colored(color))


def _method(method: str, members: Sequence[Run]) -> Cell:
  """Names a method beside its colour; says which of its runs have not ended well."""
  states = [run.listed.state for run in members if run.listed.state != "done"]
  note = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
  mark = swatch(members[0].color)
  return Cell([mark, method, tag("small", f" {note}") if note else None], method)


# --- scores and their cards -----------------------------------------------------------------------


def cards(found: Sequence[Run]) -> Any:
  """Shows every card: scores over draws, and below how each kind of card was made."""
  pairs = [(i, card) for i, run in enumerate(found) for card in run.cards]
  if not pairs:
    return tag("p", "There is no score card: gan_jax evaluate --workdir=RUN makes one.")
  kinds = {protocol_hash(card): card for _, card in pairs}
  names = list(dict.fromkeys(itertools.chain.from_iterable(card.scores for _, card in pairs)))
  rows = [
    [
      text(found[i].name),
      text(card.protocol["checkpoint"]),
      number(card.run.get("round")),
      *(_score(card, name) for name in names),
      number(max(map(len, card.scores.values()), default=0)),
      Cell(tag("a", protocol_hash(card), href=f"#card-{protocol_hash(card)}"), protocol_hash(card)),
    ]
    for i, card in pairs
  ]
  heads = ["run", "checkpoint", "round", *map(title, names), "draws", "card"]
  return [
    table(
      "Score cards: means over draws of samples, ± standard error",
      heads,
      rows,
      runs=[i for i, _ in pairs],
    ),
    tag("h3", "How each kind of card was made"),
    tag("p", "Scores may be compared where the card is the same.", class_="note"),
    [_made(name, card.protocol) for name, card in kinds.items()],
  ]


def _score(card: Any, name: str) -> Cell:
  if name not in card.scores or not card.scores[name]:
    return number(None)
  error = card.error(name)
  return number(card.mean(name), f"{card.mean(name):.4g}" + (f" ± {error:.2g}" if error else ""))


def _made(name: str, made: Mapping[str, Any]) -> Markup:
  pairs = [
    (tag("dt", key), tag("dd", format_value(value))) for key, value in sorted(flat(made).items())
  ]
  return tag(
    "details",
    tag("summary", f"Card {name}: {made['checkpoint']}"),
    tag("dl", pairs),
    id=f"card-{name}",
  )
