"""Means over runs, whether one has lost beside another, and how numbers are distributed."""

import numpy as np


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
  """Computes the mean over runs [n], n > 1, and its standard error."""
  return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def lost(before: np.ndarray, after: np.ndarray) -> tuple[float, float, bool]:
  """Compares a score of two sets of runs, each [n] with n > 1 of its own.

  Returns:
    (how much lower it is after, the standard error of that, whether it is lower by more than two).
  """
  (a, a_error), (b, b_error) = mean_and_error(before), mean_and_error(after)
  error = float(np.hypot(a_error, b_error))
  return a - b, error, a - b > 2 * error


def spread(values: np.ndarray) -> str:
  """Formats how numbers [n] are distributed: mean, deviation, and what 98% of them lie between."""
  low, high = np.quantile(values, (0.01, 0.99))
  return f"{values.mean():.2f} ± {values.std():.2f}, from {low:.2f} to {high:.2f} (1% and 99%)"
