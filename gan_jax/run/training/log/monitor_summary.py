"""The numbers of a row that sum up what monitors have measured in each round before it."""

from collections.abc import Iterable, Mapping

import numpy as np

from gan_jax.game.kinds.sides.monitors import MONITOR, POSITION

GRADIENT_NORM = "/gradient_norm"  # what names of metrics end with, after a player's


def positions(names: Iterable[str]) -> list[str]:
  """Lists the columns of the players' positions among names: both, or none."""
  columns = sorted(name for name in names if name.startswith(POSITION))
  return columns if len(columns) == 2 else []


def summarise(history: Mapping[str, np.ndarray]) -> dict[str, float]:
  """Reduces the measurements of each round since the row before to the numbers of a row.

  Args:
    history: {name: [rounds]} of metrics "monitor/..." and of the gradient norm that is monitored.

  Returns:
    Means over the rounds; of positions the last; median and peak of the gradient norm; and of the
    path of both positions, turns, coherence and growth (see `rotation`) and the distance travelled
    over the distance gained.
  """
  numbers = {name: float(np.mean(x)) for name, x in history.items() if name.startswith(MONITOR)}
  numbers |= {name: float(x[-1]) for name, x in history.items() if name.startswith(POSITION)}
  for norms in (x for name, x in history.items() if name.endswith(GRADIENT_NORM)):
    numbers["monitor/gradient_norm"] = float(np.median(norms))
    numbers["monitor/gradient_peak"] = float(np.max(norms))
  if both := positions(history):
    path = np.stack([np.asarray(history[name], np.float64) for name in both], axis=-1)
    numbers |= {f"monitor/{name}": float(value) for name, value in rotation(path).items()}
    travelled = np.sum(np.linalg.norm(np.diff(path, axis=0), axis=1))
    gained = np.linalg.norm(path[-1] - path[0])
    numbers["monitor/travelled_over_gained"] = float(
      (travelled + 1e-30) / max(gained, 1e-6 * travelled, 1e-30)
    )
  return numbers


def rotation(path: np.ndarray) -> dict[str, np.ndarray]:
  """Computes the rotation of a path in the plane round its centroid.

  Args:
    path: [..., n, 2]; coordinates are scaled to the same deviation.

  Returns:
    turns [...]: number of turns, positive from the first axis to the second; coherence [...]:
    |sum of turning angles| over the sum of their sizes, 1 of a rotation, about 1/√n of noise;
    growth [...]: rms radius of the second half over that of the first. All 0 of a path that rests.
  """
  with np.errstate(all="ignore"):
    x = path - path.mean(axis=-2, keepdims=True)
    x = np.nan_to_num(x / x.std(axis=-2, keepdims=True), posinf=0.0, neginf=0.0)
  angle = np.arctan2(x[..., 1], x[..., 0])
  turning = (np.diff(angle, axis=-1) + np.pi) % (2 * np.pi) - np.pi
  total, size = turning.sum(axis=-1), np.abs(turning).sum(axis=-1)
  half = path.shape[-2] // 2
  radius = lambda part: np.sqrt(np.sum(part**2, axis=(-2, -1)) / max(part.shape[-2], 1))
  first, second = radius(x[..., :half, :]), radius(x[..., half:, :])
  return {
    "turns": total / (2 * np.pi),
    "coherence": np.abs(total) / np.maximum(size, 1e-30),
    "growth": second / np.maximum(first, 1e-30),
  }
