"""The Inception score, from the logits of a classifier."""

import itertools
from typing import NamedTuple

import numpy as np

ROWS = 256  # examples at once, such that the work on them stays in the cache


class InceptionScore(NamedTuple):
  """An Inception score.

  Attributes:
    mean: over the splits; 1 to the number of classes.
    std: their standard deviation (1 / splits), as papers quote it; not an error of the mean.
  """

  mean: float
  std: float


def inception_score(logits: np.ndarray, *, splits: int = 10, seed: int = 0) -> InceptionScore:
  """Computes exp E KL(p(y|x) ‖ p(y)), where p(y) is the mean of p(y|x) over a split.

  Salimans et al. 2016 (arXiv:1606.03498). It is biased downwards by few examples in a split, so
  compare only scores with equal counts and splits; it never looks at real examples. Examples are
  shuffled before they are cut: of examples that are sorted by class, each part would have few.

  Args:
    logits: [n, classes], of generated examples in any order.
    splits: 1 to n.
    seed: of the shuffle.

  Returns:
    The score, with probabilities and logarithms in float64 even where p(y|x) underflows.

  Raises:
    ValueError: another shape, logits that are not finite, or more splits than examples.
  """
  logits = np.asarray(logits)
  if logits.ndim != 2 or not 1 <= splits <= len(logits) or logits.shape[1] == 0:
    raise ValueError(
      f"logits {list(logits.shape)} cannot be cut into {splits} splits: expected [n, classes] with"
      " n >= splits >= 1"
    )
  if not np.isfinite(logits).all():
    raise ValueError("some logits are NaN or infinite: check the images and the classifier")
  order = np.random.default_rng(seed).permutation(len(logits))
  cuts = np.arange(splits + 1) * len(logits) // splits
  scores = np.exp([_information(logits[order[a:b]]) for a, b in itertools.pairwise(cuts)])
  return InceptionScore(float(scores.mean()), float(scores.std()))


def _information(logits: np.ndarray) -> float:
  """Computes the mutual information of example and class in nats: H(y) - H(y|x)."""
  from scipy import special  # here: SciPy takes .15 s, for which the start of a run need not wait

  marginal, negative_entropy = np.zeros(logits.shape[1]), 0.0
  for first in range(0, len(logits), ROWS):
    z = np.asarray(logits[first : first + ROWS], np.float64)
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    negative_entropy += float(np.vdot(p, z) - np.log(total).sum())  # Σ p log p
    marginal += p.sum(axis=0)
  marginal /= len(logits)
  return negative_entropy / len(logits) - float(special.xlogy(marginal, marginal).sum())
