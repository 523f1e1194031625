"""What runs measured over their rounds, as few enough points for a page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gan_jax.run.report.gather import Run
from gan_jax.run.results.rows import NO_CURVES

POINTS = 240  # of a curve: about one for each pixel of its picture
LOG = (1e2, 1e9)  # largest over smallest value between which an axis is logarithmic
DRAWN = (1e-12, 1e15)  # sizes of values that uPlot can put ticks at; beyond, the table has them
DERIVED = {"images", "seconds", "rounds_per_second", "images_per_second", "rollbacks"}
MONITOR = "monitor/"
PLAY = (
  *("discriminator/loss", "generator/loss", "D_real", "D_fake", "V", "V_gap", "accuracy"),
  *("distance", "logits_real", "logits_fake", "margin"),
)
# What two players have who have reached the distribution of the data. Losses whose logits are no
# log-odds have none of these.
LINES = {
  "D_real": ("½", 0.5),
  "D_fake": ("½", 0.5),
  "V": ("-log 4", -math.log(4)),
  "V_gap": ("0", 0.0),
}


class Curve(NamedTuple):
  """Values over rounds.

  Attributes:
    x: rounds [n].
    y: values [n], finite.
  """

  x: np.ndarray
  y: np.ndarray


class Panel(NamedTuple):
  """One metric of all runs.

  Attributes:
    name: of the metric.
    kind: "score", "play" or "monitor".
    curves: {index of a run: its curve}.
  """

  name: str
  kind: str
  curves: Mapping[int, Curve]


def panels(found: Sequence[Run]) -> list[Panel]:
  """Sorts what runs measured into panels: scores, then play, then what monitors saw."""
  names = {name for run in found for row in run.rows for name in row} - NO_CURVES - DERIVED
  made = [
    Panel(
      name, _kind(name), {i: c for i, run in enumerate(found) if len((c := curve(run, name)).x)}
    )
    for name in sorted(names - {"round"}, key=lambda name: _order(name, found))
  ]
  return [panel for panel in made if any(len(c.x) > 1 for c in panel.curves.values())]


def _kind(name: str) -> str:
  return "score" if name.startswith("score/") else "monitor" if name.startswith(MONITOR) else "play"


def _order(name: str, found: Sequence[Run]) -> tuple[int, int, str]:
  kind = ("score", "play", "monitor").index(_kind(name))
  first = [*(f"score/{score}" for run in found for score in run.listed.scores), *PLAY]
  return kind, first.index(name) if name in first else len(first), name


def curve(run: Run, name: str) -> Curve:
  """Takes a metric out of a run's rows, where it is finite."""
  pairs = [(row["round"], float(row[name])) for row in run.rows if name in row]
  finite = [(x, y) for x, y in pairs if math.isfinite(y)]
  return Curve(np.array([x for x, _ in finite], int), np.array([y for _, y in finite], float))


def drawable(curve: Curve) -> Curve:
  """Keeps what can be drawn: values that are not absurdly large; absurdly small ones are 0."""
  kept = np.abs(curve.y) < DRAWN[1]
  y = np.where(np.abs(curve.y) < DRAWN[0], 0.0, curve.y)
  return Curve(curve.x[kept], y[kept])


def thin(curve: Curve, points: int) -> Curve:
  """Takes the lowest and the highest of neighbouring points, so that no peak is lost."""
  if len(curve.x) <= points:
    return curve
  parts = np.array_split(np.arange(len(curve.x)), max(1, (points - 2) // 2))
  kept = {0, len(curve.x) - 1}
  for part in parts:
    kept |= {int(part[np.argmin(curve.y[part])]), int(part[np.argmax(curve.y[part])])}
  at = np.array(sorted(kept))
  return Curve(curve.x[at], curve.y[at])


def band(curves: Sequence[Curve], points: int) -> dict[str, list[Any]]:
  """Draws curves together: their mean, lowest and highest, over neighbouring rounds.

  Args:
    curves: of seeds of one method.
    points: most that come out.

  Returns:
    {"x", "y", "low", "high"}; where only some of the seeds were measured, of those.
  """
  rounds = np.unique(np.concatenate([curve.x for curve in curves]))
  found: dict[str, list[Any]] = {"x": [], "y": [], "low": [], "high": []}
  for part in np.array_split(rounds, min(points, len(rounds))):
    inside = [c.y[(c.x >= part[0]) & (c.x <= part[-1])] for c in curves]
    inside = [y for y in inside if len(y)]
    found["x"].append(int(part[-1]))
    found["y"].append(short(np.mean([y.mean() for y in inside])))
    found["low"].append(short(min(y.min() for y in inside)))
    found["high"].append(short(max(y.max() for y in inside)))
  return found


def is_log(curves: Sequence[Mapping[str, Any]]) -> bool:
  """Tells whether values span so much that small ones would not be seen beside large ones."""
  values = [y for curve in curves for y in curve["y"]]
  if not values or min(values) < DRAWN[0]:
    return False
  return LOG[0] < max(values) / min(values) < LOG[1]


def drawn(
  panel: Panel, groups: Mapping[str, Sequence[int]], points: int = POINTS
) -> dict[str, Any]:
  """Makes what page.js draws of a panel.

  Args:
    panel: the metric.
    groups: {method: indices of its runs}.
    points: most points of a curve.

  Returns:
    {"title", "log", "line", "runs": [{"run", "x", "y"}], "bands": [{"method", "x", "y", ...}]};
    bands only where a method has several runs.
  """
  curves_of = {i: drawable(curve) for i, curve in panel.curves.items()}
  thinned = {i: thin(curve, points) for i, curve in curves_of.items()}
  runs = [{"run": i, **listed(curve)} for i, curve in thinned.items()]
  bands = []
  if any(len(members) > 1 for members in groups.values()):
    for method, members in enumerate(groups.values()):
      curves = [curves_of[i] for i in members if i in curves_of]
      if any(len(curve.x) for curve in curves):
        bands.append({"method": method, **band(curves, points // 2)})
  return {
    "title": title(panel.name),
    "log": is_log(runs),
    "line": LINES[panel.name][1] if panel.name in LINES else None,
    "runs": runs,
    "bands": bands,
  }


def dashed(name: str) -> str:
  """Says what the dashed line in a metric's panel is; "" without one."""
  return f"{LINES[name][0]}, at equilibrium" if name in LINES else ""


def listed(curve: Curve) -> dict[str, list[Any]]:
  """Lists a curve for JSON."""
  return {"x": curve.x.tolist(), "y": [short(y) for y in curve.y]}


def short(value: Any) -> float:
  """Rounds to four digits, which is more than a picture shows."""
  return float(f"{float(value):.4g}")


_TITLES = {"D_real": "D(x)", "D_fake": "D(G(z))", "V": "V(D, G)", "V_gap": "V(D, G) + log 4"}
_WORDS = {"frechet": "Fréchet", "kl": "KL", "auc": "AUC", "mmd": "MMD", "ms": "MS", "ssim": "SSIM"}


def title(name: str) -> str:
  """Names a metric as a reader wants it."""
  plain = name.removeprefix("score/").removeprefix(MONITOR).replace("/", ": ").replace("_", " ")
  return _TITLES.get(name, " ".join(_WORDS.get(word, word) for word in plain.split(" ")))
