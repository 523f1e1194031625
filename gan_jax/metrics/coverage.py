"""Coverage: the classes or modes that a generator makes, and how often."""

import numpy as np


def class_shares(labels: np.ndarray, num_classes: int) -> np.ndarray:
  """Computes how often each class occurs.

  Args:
    labels: integers [n], n >= 1, 0 to num_classes - 1.
    num_classes: K.

  Returns:
    Float64 [K], with sum 1.

  Raises:
    ValueError: no labels, or labels out of range.
  """
  labels = np.asarray(labels)
  if labels.ndim != 1 or len(labels) == 0 or labels.min() < 0 or labels.max() >= num_classes:
    raise ValueError(
      f"labels {list(labels.shape)} do not fit {num_classes} classes: expected [n] with n >= 1,"
      f" from 0 to {num_classes - 1}"
    )
  return np.bincount(labels, minlength=num_classes) / len(labels)


def class_coverage(labels: np.ndarray, data_shares: np.ndarray, *, least: float = 0.1) -> int:
  """Counts the classes that are covered.

  A class is covered if it holds at least one sample, and at least `least` times its share in the
  data. The default keeps a few misjudged samples from standing for a class that is never made;
  `least=0` is the rule of stacked MNIST (Metz et al. 2017, arXiv:1611.02163).

  Args:
    labels: predicted classes of the samples, integers [n].
    data_shares: [K], the share of each class in the data.
    least: see above, >= 0.

  Returns:
    0 to K.
  """
  shares = class_shares(labels, len(data_shares))
  return int(((shares > 0) & (shares >= least * np.asarray(data_shares))).sum())


def class_kl(labels: np.ndarray, data_shares: np.ndarray) -> float:
  """Computes KL(p_model ‖ p_data) over classes, in nats.

  A perfect sampler of n samples scores about (K - 1) / 2n.

  Args:
    labels: predicted classes of the samples, integers [n].
    data_shares: [K], the share of each class in the data.

  Returns:
    A number >= 0; inf if a class occurs that the data do not have.

  Raises:
    ValueError: labels out of range, or shares that are negative or no numbers.
  """
  return divergence(class_shares(labels, len(data_shares)), data_shares)


def class_accuracy(predicted: np.ndarray, asked: np.ndarray) -> float:
  """Computes how often a conditional generator makes the class that was asked for.

  Args:
    predicted: classes seen by a classifier, integers [n], n >= 1.
    asked: classes given to the generator, integers [n].

  Returns:
    A share, 0 to 1. Real images score the accuracy of the classifier.

  Raises:
    ValueError: different or empty shapes.
  """
  predicted, asked = np.asarray(predicted), np.asarray(asked)
  if predicted.shape != asked.shape or predicted.size == 0:
    raise ValueError(
      f"{list(predicted.shape)} predictions for {list(asked.shape)} labels: expected one for each"
    )
  return float((predicted == asked).mean())


def mode_coverage(samples: np.ndarray, centers: np.ndarray, std: float) -> dict[str, float]:
  """Scores samples against a mixture of equally likely isotropic Gaussians.

  Metz et al. 2017 (arXiv:1611.02163), Srivastava et al. 2017 (arXiv:1705.07761), Lin et al. 2018
  (arXiv:1712.04086). A sample is of high quality within 3 std of its nearest mode (98.9% of the
  mixture's own samples in two dimensions are), and a mode counts with at least one of them.

  Args:
    samples: [n, d]; points that are not finite are simply of low quality.
    centers: [m, d].
    std: standard deviation of every mode, along each axis.

  Returns:
    "modes": 0 to m. "high_quality": share of the samples, 0 to 1. "kl": KL(p_model ‖ uniform) in
    nats over the modes of the samples of high quality, 0 to log m, or inf if there are none.

  Raises:
    ValueError: shapes that do not fit.
  """
  x, centers = np.asarray(samples, np.float64), np.asarray(centers, np.float64)
  if x.ndim != 2 or len(x) == 0 or centers.ndim != 2 or x.shape[1] != centers.shape[1]:
    raise ValueError(
      f"samples {list(x.shape)} do not fit centers {list(centers.shape)}: expected [n, d] with"
      " n >= 1, and [m, d]"
    )
  distance = np.linalg.norm(x[:, None] - centers, axis=-1)  # [n, m]
  nearest = distance.argmin(axis=1)[distance.min(axis=1) <= 3 * std]
  counts = np.bincount(nearest, minlength=len(centers))
  return {
    "modes": float((counts > 0).sum()),
    "high_quality": len(nearest) / len(x),
    "kl": divergence(counts, np.ones(len(centers))),
  }


def divergence(p: np.ndarray, q: np.ndarray) -> float:
  """Computes KL(p ‖ q) in nats, of two histograms [K] that need not be normalised.

  Returns:
    A number >= 0; inf if p is empty, or occurs where q does not.

  Raises:
    ValueError: entries that are negative, NaN or infinite.
  """
  p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
  if not all((np.isfinite(x) & (x >= 0)).all() for x in (p, q)):
    raise ValueError(f"shares are {p.tolist()} and {q.tolist()}: expected numbers >= 0")
  held = p > 0
  if not held.any() or (q[held] == 0).any():
    return float("inf")
  p, q = p[held] / p.sum(), q[held] / q.sum()
  return max(0.0, float((p * np.log(p / q)).sum()))
