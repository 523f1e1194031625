"""Metrics of a run: fetched while it plays on, and found finite before anything is saved."""

import copy
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.kinds.sides.monitors import MONITOR
from gan_jax.run.training.log.detectors import Warning_
from gan_jax.run.training.log.diagnostics import first_not_finite, not_finite
from gan_jax.run.training.log.monitor_summary import GRADIENT_NORM, summarise
from gan_jax.run.training.saving.checkpoint import Inspect
from gan_jax.run.training.saving.leaves import Leaves

LIMIT = 10_000  # rounds that a row sums up at most: what waits for one is held in memory, and saved


class NotFiniteError(FloatingPointError):
  """A loss, a gradient or a parameter became NaN or infinite; `warning` says which, and when."""

  def __init__(self, warning: Warning_):
    super().__init__(
      f"{warning.seen}: training has stopped, and what was saved is from before. Try"
      f" {warning.remedy}"
    )
    self.warning = warning


class MetricsBuffer:
  """Fetches metrics one dispatch late, so that the devices never wait, and stops at NaN."""

  def __init__(self, player: str = "", notes: Mapping[str, Any] | None = None):
    """Starts empty, or as a checkpoint's notes say.

    Args:
      player: player whose gradient norm is a monitor as well; "" for none.
      notes: notes that `finite_check` returned, of a run that goes on.
    """
    self._norm = player + GRADIENT_NORM
    notes = {"last": {}, "totals": {}, "count": 0, "seen": {}, **(notes or {})}
    self._waiting: tuple[int, Mapping[str, jax.Array]] | None = None
    self._last: dict[str, float] = dict(notes["last"])
    self._totals: dict[str, float] = dict(notes["totals"])  # over the rounds since the last row
    self._count: int = notes["count"]  # of these rounds
    monitored = {name: np.asarray(x, np.float32) for name, x in notes["seen"].items()}
    self._monitored = [monitored] if monitored else []  # what monitors saw since the last row

  def add(self, first: int, metrics: Mapping[str, jax.Array]) -> None:
    """Adds the metrics of a dispatch that starts at round `first`; checks the one before."""
    self.latest()
    self._waiting = (first, metrics)

  def latest(self) -> dict[str, float]:
    """Waits for the dispatch that was added last; returns its last round."""
    if self._waiting is None:
      return self._last
    (first, metrics), self._waiting = jax.device_get(self._waiting), None
    shown = {name: x for name, x in metrics.items() if not name.startswith(MONITOR)}
    if (failure := first_not_finite(shown)) is not None:  # a monitor must never end a run
      at, name, value = failure
      raise NotFiniteError(not_finite(first + at + 1, name, value))
    monitored = {k: x for k, x in metrics.items() if k not in shown or k == self._norm}
    self._monitored.append(monitored)
    self._last = {name: float(x[-1]) for name, x in shown.items()}
    self._totals = {name: _added(self._totals.get(name, 0.0), x) for name, x in shown.items()}
    self._count += len(next(iter(metrics.values())))
    if sum(len(next(iter(x.values()), ())) for x in self._monitored) > 2 * LIMIT:
      self._monitored = [self._joined()]
    return self._last

  def summary(self) -> dict[str, float]:
    """Returns means over all rounds since the row before, and a summary of the monitors."""
    last, monitored = self.latest(), self._joined()
    means = {name: total / self._count for name, total in self._totals.items()}
    return (means or last) | (summarise(monitored) if monitored else {})

  def reset(self) -> None:
    """Empties the sums: the row has been written."""
    self._monitored, self._totals, self._count = [], {}, 0

  def finite_check(self) -> Inspect:
    """Builds the check that a state of this round has to pass before it is saved.

    Another thread may call the check while the buffer goes on.

    Returns:
      A function of the state's leaves. It raises NotFiniteError where a leaf, or a metric of the
      rounds up to this one, is not finite, and returns their sums for the next row.
    """
    then = copy.copy(self)
    then._monitored = list(self._monitored)

    def check(leaves: Leaves) -> dict[str, Any]:
      last = then.latest()
      check_leaves(leaves)
      monitored = {name: x.tolist() for name, x in then._joined().items()}
      return {"last": last, "totals": then._totals, "count": then._count, "seen": monitored}

    return check

  def _joined(self) -> dict[str, np.ndarray]:
    """Concatenates the outputs of monitors: arrays [rounds], the latest of them."""
    names = self._monitored[0] if self._monitored else ()
    return {name: np.concatenate([x[name] for x in self._monitored])[-LIMIT:] for name in names}


def _added(total: float, x: np.ndarray) -> float:
  """Adds one after the other, so that it does not matter how rounds were dispatched."""
  return float(np.add.accumulate(np.append(total, np.asarray(x, np.float64)))[-1])


def check_leaves(leaves: Leaves) -> None:
  """Raises NotFiniteError at something in a state that no loss has shown yet."""
  for name, x in leaves.items():
    if jnp.issubdtype(x.dtype, jnp.floating) and not np.isfinite(x).all():
      bad = float(x[~np.isfinite(x)].flat[0])
      raise NotFiniteError(not_finite(int(leaves[".round"]), f"state{name}", bad))
