"""The main result of several runs, their methods side by side by comparable scores; score cards."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.files import flat
from gan_jax.run.evaluation.cards.card import Card, format_value, protocol_hash, standard_error
from gan_jax.run.report.markup import Markup, tag
from gan_jax.run.report.records import ComparableGroup, RunRecord
from gan_jax.run.report.tables import (
  Axis,
  Cell,
  axis,
  capital,
  colored,
  directions,
  format_number,
  number,
  scale,
  strip,
  swatch,
  table,
  text,
  title,
)
from gan_jax.run.results.significance import LEVEL, format_p, welch


def results(
  records: Sequence[RunRecord],
  methods: Mapping[str, Sequence[int]],
  groups: Sequence[ComparableGroup],
) -> Any:
  """Builds the result of each comparable group: a sentence, and its methods, the best first."""
  if not groups:
    return tag("p", "No run has a score yet.")
  note = (
    "Scores of last checkpoints. A large dot is the mean over seeds, the bar its standard error,"
    " small dots are single runs."
  )
  shown = [_result(group, records, methods, len(groups)) for group in groups]
  return [shown, tag("p", note, class_="note")]


def _result(
  group: ComparableGroup,
  records: Sequence[RunRecord],
  methods: Mapping[str, Sequence[int]],
  groups: int,
) -> Markup:
  head, scored = next(iter(group.values.items()))
  members = {m: [i for i in runs if i in scored] for m, runs in methods.items()}
  members = {m: runs for m, runs in members.items() if runs}
  heading = f"{capital(title(head))} on {_data(group)}" if groups > 1 else capital(title(head))
  floor = _floor(group, head)
  return tag(
    "section",
    tag("h3", heading),
    tag("p", verdict(head, group, members), class_="verdict"),
    _forest(head, group, records, members),
    tag(
      "p",
      directions(group.better),
      floor and f" The dashed line is what real examples score, {format_number(floor)}.",
      class_="note",
    ),
    class_="result",
  )


def _floor(group: ComparableGroup, name: str) -> float | None:
  value = group.floor.get(name)
  return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _data(group: ComparableGroup) -> str:
  real = group.protocol.get("real")
  return str(real.get("data", "")) if isinstance(real, Mapping) else f"card {group.protocol_hash}"


def verdict(name: str, group: ComparableGroup, methods: Mapping[str, Sequence[int]]) -> str:
  """Formats which method is best by a score, and whether it differs from the next."""
  better, scored = group.better[name], group.values[name]
  values = {
    m: np.array([scored[i] for i in runs if math.isfinite(scored[i])])
    for m, runs in methods.items()
  }
  lost = {m: len(runs) - len(values[m]) for m, runs in methods.items()}
  values = {m: x for m, x in values.items() if len(x)}
  if not values:
    return "No score is finite."
  sentences = [_conclusion(name, better, values)]
  sentences += [
    f"Left out: {n} of {len(methods[m])} of {m}, not finite." for m, n in lost.items() if n
  ]
  return " ".join(sentences)


def _conclusion(name: str, better: str, values: Mapping[str, np.ndarray]) -> str:
  """Formats the verdict on finite scores of each method."""
  ranked = sorted(values, key=lambda m: values[m].mean() * (-1 if better == "max" else 1))
  if len(ranked) == 1 or better == "none":
    return "; ".join(f"{m}: {_mean(values[m])}" for m in ranked) + "."
  a, b = (values[m] for m in ranked[:2])
  most = f"the {'highest' if better == 'max' else 'lowest'} {title(name)}"
  ties = [m for m in ranked if values[m].mean() == a.mean()]
  if len(ties) > 1:
    value = format_number(float(a.mean()))
    return f"{', '.join(ties[:-1])} and {ties[-1]} share {most}, {value}."
  first = f"{ranked[0]} has {most}, {_mean(a)}; next comes {ranked[1]} with {_mean(b)}"
  if min(len(a), len(b)) < 2:
    return f"{first}. Of one seed, this does not tell the methods apart."
  p = welch(a, b)
  apart = "" if p < LEVEL else "these two cannot be told apart: "
  return f"{first} ({apart}p = {format_p(p)}, Welch)."


def _mean(values: np.ndarray) -> str:
  if len(values) < 2:
    return f"{values[0]:.4g} in one run"
  return f"{values.mean():.4g} ± {standard_error(values):.2g} over {len(values)} runs"


def _forest(
  head: str,
  group: ComparableGroup,
  records: Sequence[RunRecord],
  methods: Mapping[str, Sequence[int]],
) -> Markup:
  """Builds a table of methods by one score, drawn, with their other scores beside it."""
  floor = _floor(group, head)
  on = axis([*group.values[head].values(), *([] if floor is None else [floor])])
  sign = -1 if group.better[head] == "max" else 1
  mean = {m: _finite_mean([group.values[head][i] for i in runs]) for m, runs in methods.items()}
  ranked = sorted(methods, key=lambda m: (math.isnan(mean[m]), sign * mean[m]))
  rows = []
  for method in ranked:
    members = [records[i] for i in methods[method]]
    scores = {
      name: [values[i] for i in methods[method] if i in values]
      for name, values in group.values.items()
    }
    drawn = _strip(on, scores[head], mean[method], floor, members[0].color)
    cells = [_mean_cell(values, strong=name == head) for name, values in scores.items()]
    row = [_method(method, members), Cell(drawn, class_="drawing"), *cells, number(len(members))]
    rows.append(row)
  foot = scale(on, len(group.values) + 1)
  heads = ["method", "", *map(title, group.values), "seeds"]
  caption = f"{capital(title(head))} and other scores, mean ± standard error over seeds"
  return table(caption, heads, rows, foot=foot, class_="forest")


def _finite_mean(values: Sequence[float]) -> float:
  finite = [value for value in values if math.isfinite(value)]
  return float(np.mean(finite)) if finite else math.nan


def _mean_cell(values: Sequence[float], strong: bool) -> Cell:
  if not values:
    return number(None)
  mean, error = _finite_mean(values), standard_error(values)
  shown = format_number(mean)
  return number(
    mean, [tag("b", shown) if strong else shown, f" ± {error:.2g}" if error > 0 else None]
  )


def _strip(
  on: Axis | None, values: Sequence[float], mean: float, floor: float | None, color: int
) -> Markup | None:
  if on is None:
    return None
  error = standard_error(values)
  error = 0.0 if math.isnan(error) else error  # of one value, or where one is not finite
  dots = values if len(values) > 1 else ()
  return strip(on, mean, mean - error, mean + error, dots, floor, colored(color))


def _method(method: str, members: Sequence[RunRecord]) -> Cell:
  """Builds the cell of a method: its colour, its name, and its runs that have not ended well."""
  states = [run.summary.state for run in members if run.summary.state != "done"]
  note = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
  mark = swatch(members[0].color)
  return Cell([mark, method, tag("small", f" {note}") if note else None], method)


# --- score cards ----------------------------------------------------------------------------------


def cards(records: Sequence[RunRecord]) -> Any:
  """Builds the table of all cards, with scores over draws, and each protocol below."""
  pairs = [(i, card) for i, run in enumerate(records) for card in run.cards]
  if not pairs:
    return tag("p", "There is no score card: gan_jax evaluate --workdir=RUN makes one.")
  protocols = {protocol_hash(card): card.protocol for _, card in pairs}
  names = list(dict.fromkeys(itertools.chain.from_iterable(card.scores for _, card in pairs)))
  rows = [
    [
      text(records[i].name),
      text(card.protocol["checkpoint"]),
      number(card.run.get("round")),
      *(_score(card, name) for name in names),
      number(max(map(len, card.scores.values()), default=0)),
      Cell(tag("a", key := protocol_hash(card), href=f"#card-{key}"), key),
    ]
    for i, card in pairs
  ]
  heads = ["run", "checkpoint", "round", *map(title, names), "draws", "card"]
  caption = "Score cards: means over draws of samples, ± standard error"
  return [
    table(caption, heads, rows, runs=[i for i, _ in pairs]),
    tag("h3", "How each kind of card was made"),
    tag("p", "Scores may be compared where the card is the same.", class_="note"),
    [_protocol(key, protocol) for key, protocol in protocols.items()],
  ]


def _score(card: Card, name: str) -> Cell:
  if not card.scores.get(name):
    return number(None)
  error = card.error(name)
  return number(card.mean(name), f"{card.mean(name):.4g}" + (f" ± {error:.2g}" if error else ""))


def _protocol(key: str, protocol: Mapping[str, Any]) -> Markup:
  fields = sorted(flat(protocol).items())
  pairs = [(tag("dt", name), tag("dd", format_value(value))) for name, value in fields]
  head = tag("summary", f"Card {key}: {protocol['checkpoint']}")
  return tag("details", head, tag("dl", pairs), id=f"card-{key}")
