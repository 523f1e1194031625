"""How much the images of a generator differ from each other.

A generator that makes one image has none, whatever that image's quality; more than the data have is
no virtue either, so hold the number against that of real images.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gan_jax.metrics.ms_ssim import multiscale_ssim


class Average(NamedTuple):
  """A mean over random draws.

  Attributes:
    mean: in the units of what was drawn.
    error: its standard error over the draws.
    n: how many these were.
  """

  mean: float
  error: float
  n: int


def average(values: np.ndarray) -> Average:
  """Averages independent values [n], n >= 2."""
  return Average(
    float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), len(values)
  )


def random_pairs(n: int, count: int, *, seed: int) -> np.ndarray:
  """Samples pairs of different examples, all equally likely.

  Args:
    n: number of examples, >= 2.
    count: number of pairs.
    seed: of the draw.

  Returns:
    Integers [count, 2], 0 to n - 1.

  Raises:
    ValueError: fewer than two examples.
  """
  if n < 2:
    raise ValueError(f"a pair needs at least 2 examples, and there is {n}")
  rng = np.random.default_rng(seed)
  first = rng.integers(n, size=count)
  return np.stack([first, (first + rng.integers(1, n, size=count)) % n], axis=1)


def ms_ssim_diversity(
  images: np.ndarray, *, pairs: int = 1000, seed: int = 0, scales: int = 5
) -> Average:
  """Computes the mean MS-SSIM of random pairs: the lower, the more diverse.

  Odena et al. 2017 (arXiv:1610.09585), who took 100 pairs within each class and held them against
  as many real ones.

  Args:
    images: uint8 [N, H, W, C], N >= 2, of one class where there are classes.
    pairs: how many to draw, >= 2.
    seed: of the draw.
    scales: see `multiscale_ssim`.

  Returns:
    The mean, 0 to 1, and its error over the pairs.

  Raises:
    ValueError: too few images or pairs, or images that `multiscale_ssim` refuses.
  """
  if pairs < 2:
    raise ValueError(f"pairs is {pairs}: a standard error needs at least 2")
  first, second = random_pairs(len(images), pairs, seed=seed).T
  return average(multiscale_ssim(images[first], images[second], scales=scales))


def feature_diversity(batches: Iterable[np.ndarray]) -> float:
  """Computes the mean squared distance of all pairs of features: the higher, the more diverse.

  With the features of `gan_jax.metrics.features.vgg16.lpips` this is the mean LPIPS of all pairs
  (Zhang et al. 2018, arXiv:1801.03924; as a score, Zhu et al. 2017, arXiv:1711.11586). No pair is
  formed: the mean over pairs i ≠ j is twice the trace of the unbiased covariance.

  Args:
    batches: features [n, d] of one image a row, in any number of batches.

  Returns:
    A number >= 0; 2 d for features from N(0, I).

  Raises:
    ValueError: fewer than two vectors, other shapes, or numbers that are not finite.
  """
  n, mean, scatter = 0, np.zeros(()), 0.0
  for batch in batches:
    x = np.asarray(batch, np.float64)
    _check(x, mean)
    step = x.mean(axis=0) - mean
    scatter += float(
      ((x - x.mean(axis=0)) ** 2).sum() + (step**2).sum() * n * len(x) / (n + len(x))
    )
    mean, n = mean + step * len(x) / (n + len(x)), n + len(x)
  if n < 2:
    raise ValueError(f"a pair needs at least 2 feature vectors, and there is {n}")
  return 2 * scatter / (n - 1)


def unit_channels(maps: Any) -> Any:
  """Converts feature maps to vectors whose squared distance is that of LPIPS.

  At each place the channels are scaled to length 1; the squared distances of places are averaged
  (Zhang et al. 2018, arXiv:1801.03924).

  Args:
    maps: [n, H, W, C], of NumPy or JAX.

  Returns:
    [n, H W C]; places where all channels are 0 stay so.
  """
  square = (maps**2).sum(axis=-1, keepdims=True)
  length = (square + (square == 0)) ** 0.5  # of a root of 0 the slope would be infinite
  places = maps.shape[1] * maps.shape[2]
  return (maps / (length + 1e-10)).reshape(len(maps), -1) / places**0.5


def _check(x: np.ndarray, mean: np.ndarray) -> None:
  if x.ndim != 2 or len(x) == 0 or (mean.ndim == 1 and x.shape[1:] != mean.shape):
    expected = len(mean) if mean.ndim else "d"
    raise ValueError(f"features have shape {list(x.shape)}: expected [n, {expected}] with n >= 1")
  if not np.isfinite(x).all():
    raise ValueError("some features are NaN or infinite, which are at no distance from others")
