"""The log-likelihood of data under a kernel density of samples, as the 2014 paper estimated it.

Goodfellow et al. 2014 (arXiv:1406.2661), table 1, after Breuleux, Bengio, Vincent 2011. It ranks
generators poorly in many dimensions (Theis et al. 2016, arXiv:1511.01844); it is here to reproduce
numbers that were published.
"""

from typing import NamedTuple

import numpy as np

WIDTHS = np.logspace(-1, 0, 10)  # of the kernel, that the paper's code chooses from
BLOCK = 512  # rows of distances in memory at once


class LogLikelihood(NamedTuple):
  """A mean log-likelihood.

  Attributes:
    mean: in nats, over the test examples.
    error: its standard error over them; how it varies with the samples is not in it.
    width: the standard deviation of the kernel, as it was chosen on the validation examples.
  """

  mean: float
  error: float
  width: float


def log_density(x: np.ndarray, samples: np.ndarray, widths: np.ndarray) -> np.ndarray:
  """Computes log-densities under an even mixture of isotropic Gaussians, one at each sample.

  Args:
    x: where, [n, d].
    samples: centres, [m, d].
    widths: standard deviations, [s].

  Returns:
    [s, n], in nats, float64.

  Raises:
    ValueError: shapes that do not fit, widths that are not positive, or numbers that are not
      finite.
  """
  x, samples, widths = (np.asarray(a, np.float64) for a in (x, samples, widths))
  if x.ndim != 2 or samples.ndim != 2 or x.shape[1] != samples.shape[1] or not len(samples):
    raise ValueError(
      f"examples {list(x.shape)} do not fit samples {list(samples.shape)}: expected [n, d] and"
      " [m, d] with m >= 1"
    )
  if not (widths > 0).all():
    raise ValueError(f"widths of the kernel are {widths}: expected positive numbers")
  if not (np.isfinite(x).all() and np.isfinite(samples).all()):
    raise ValueError("some examples or samples are NaN or infinite: they have no density")
  lengths, densities = (samples**2).sum(axis=1), np.empty((len(widths), len(x)))
  for first in range(0, len(x), BLOCK):
    rows = x[first : first + BLOCK]
    squared = (rows**2).sum(axis=1)[:, None] + lengths - 2 * rows @ samples.T
    nearest = squared.min(axis=1)
    for s, width in enumerate(widths):
      terms = np.exp((nearest[:, None] - squared) / (2 * width**2))
      densities[s, first : first + BLOCK] = np.log(terms.mean(axis=1)) - nearest / (2 * width**2)
  return densities - x.shape[1] * np.log(widths * np.sqrt(2 * np.pi))[:, None]


def parzen_log_likelihood(
  samples: np.ndarray, validation: np.ndarray, test: np.ndarray, widths: np.ndarray = WIDTHS
) -> LogLikelihood:
  """Estimates the log-likelihood of test examples by a Parzen window on samples.

  Args:
    samples: of the generator, [m, ...], in the units of the data; the paper takes 10,000 and
      pixels in [0, 1].
    validation: examples to choose the width on, [v, ...]; the first 1,000 in the paper's code.
    test: examples to score, [n, ...] with n >= 2.
    widths: to choose from, [s].

  Returns:
    The mean over the test examples at the width that is best for the validation examples.

  Raises:
    ValueError: as for `log_density`, and for fewer than two test examples.
  """
  if len(test) < 2:
    raise ValueError(f"{len(test)} test examples: expected at least 2, for a standard error")
  flat = lambda a: np.reshape(a, (len(a), -1))
  best = log_density(flat(validation), flat(samples), widths).mean(axis=1).argmax()
  width = np.asarray(widths)[best]
  densities = log_density(flat(test), flat(samples), np.array([width]))[0]
  return LogLikelihood(
    float(densities.mean()), float(densities.std() / np.sqrt(len(densities))), float(width)
  )
