"""The table of failures that are detected: bounds on columns of a run's rows, each with its reason.

`gan_jax.run.training.log.diagnostics` holds the columns, and applies the bounds.
"""

import math
from typing import NamedTuple

import numpy as np

PATIENCE = 3  # measured rows in a row that must be beyond the threshold
PATH = 32  # rows that a slow rotation is looked for in


class Threshold(NamedTuple):
  """A bound on one column.

  Attributes:
    column: name among the rows' columns and those of `diagnostics.columns_of`; one that starts with
      "/" is that of any player, such as "/loss".
    above: whether values above the bound are bad, or below.
    bound: the number.
    reason: why this number.
  """

  column: str
  above: bool
  bound: float
  reason: str

  def holds(self, values: np.ndarray) -> np.ndarray:
    """Computes where values [n] are beyond the bound: bool [n], False where they are not finite."""
    beyond = values > self.bound if self.above else values < self.bound
    return beyond & np.isfinite(values)

  def format(self, name: str, value: float) -> str:
    """Formats a value of the column of this name beside the bound."""
    relation = "above" if self.above else "below"
    return f"{name} is {value:.3g}, {relation} {self.bound:g}"


class Detector(NamedTuple):
  """A detector of a failure.

  Attributes:
    name: name of the failure; several detectors may have the same.
    thresholds: bounds that must all be crossed.
    remedy: known remedy.
    patience: measured rows in a row in which they must be crossed.
    late: whether only the second half of a run is judged. Some healthy runs find their modes late:
      that of `experiments/goodfellow2014_mnist.py` is one point for its first tenth.
  """

  name: str
  thresholds: tuple[Threshold, ...]
  remedy: str
  patience: int = PATIENCE
  late: bool = False


class Warning_(NamedTuple):
  """A detected failure.

  Attributes:
    round: round of the row in which patience ended.
    monitor: name of the failure.
    seen: the numbers beside their thresholds.
    remedy: known remedy.
  """

  round: int
  monitor: str
  seen: str
  remedy: str

  def __str__(self) -> str:
    return f"warning: {self.monitor} at round {self.round}: {self.seen}. Try {self.remedy}"


_SPREAD = (
  "--config.packing=2, --config.regularizers.r1, or --config.loss=relativistic with r1 and r2"
  " (arXiv:1712.04086, 1801.04406, 2501.05441); a lower learning rate"
)
_DAMP = (
  "--config.regularizers.r1, which makes play converge locally (arXiv:1801.04406), a lower learning"
  " rate, or optimistic_adam_v2"
)

_ALIKE = Threshold("monitor/diversity", False, 0.25, "fakes are four times as alike as examples")
_ABSENT = (
  Threshold("monitor/coverage", False, 0.4, "more than half the data have no fake near"),
  Threshold("monitor/precision", True, 0.5, "though fakes are where data are, and not just bad"),
)

DETECTORS = (
  Detector(
    "vanishing_gradient",
    (
      Threshold("monitor/slope", False, 0.02, "the loss passes on a fiftieth of what it may"),
      Threshold("/D_fake", False, 0.02, "D is sure of every fake, not G of having won"),
      Threshold("gradient_norm/peak", False, 0.2, "what is left is small beside what there was"),
    ),
    "--config.loss=non_saturating, whose slope is 1 there (arXiv:1406.2661), a lower k or learning"
    " rate of the discriminator, or a regularizer that keeps it smooth (r1, gradient_penalty)",
  ),
  Detector(
    "mode_collapse",
    (_ALIKE, Threshold("peak of monitor/diversity", True, 0.5, "what it had before, and has lost")),
    _SPREAD,
  ),
  Detector("mode_collapse", (_ALIKE,), _SPREAD, late=True),
  Detector(
    "mode_collapse",
    (
      *_ABSENT,
      Threshold("peak of monitor/coverage", True, 0.75, "what it had before, and has lost"),
    ),
    _SPREAD,
  ),
  Detector("mode_collapse", _ABSENT, _SPREAD, late=True),
  *(
    Detector(
      "mode_collapse",
      (Threshold(score, True, math.log(2), "as if half of them were missing"),),
      _SPREAD,
      patience=2,  # scores are rare, and of thousands of samples
    )
    for score in ("score/kl", "score/class_kl")
  ),
  Detector(
    "oscillation",
    (
      Threshold("|turns|", True, 1.0, "a full turn within every row"),
      Threshold("monitor/coherence", True, 0.7, "all in one direction; noise of n rounds has 1/√n"),
      Threshold("monitor/growth", True, 0.9, "play that converges turns in ever smaller circles"),
    ),
    _DAMP,
  ),
  Detector(
    "oscillation",
    (
      Threshold("|turns| of rows", True, 2.5, f"turns in {PATH} rows; a drift makes half of one"),
      Threshold("coherence of rows", True, 0.8, "of 9,000 random walks one is beyond all three"),
      Threshold("growth of rows", True, 0.9, "play that converges turns in ever smaller circles"),
    ),
    _DAMP,
  ),
  Detector(
    "vanishing_force",
    (
      Threshold("monitor/mismatch", True, 0.3, "three times that of a run that has begun to learn"),
      Threshold("monitor/pull", False, 0.1, "stuck starts have at most .03, others more than .5"),
    ),
    "temperatures of the order of the distances between data and from fakes to data"
    " (--config.temperatures), or --config.field=imagenet, whose force does not vanish far off",
  ),
  Detector(
    "discriminator_overfitting",
    (Threshold("monitor/held_out_auc", True, 0.8, "four of five held-out examples rank below"),),
    "more data or flips of it (--config.data_options.flip), balanced_consistency"
    " (arXiv:2002.04724), lecam (arXiv:2104.03310), more r1, or a smaller discriminator",
  ),
)
