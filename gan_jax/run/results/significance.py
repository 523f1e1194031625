"""Tests of significance: whether runs of two methods have one mean."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

LEVEL = 0.05  # p below which two methods differ, after correction for the number of comparisons


def welch(a: np.ndarray, b: np.ndarray) -> float:
  """Computes the p of Welch's two-sided test that a [n] and b [m] have one mean, n and m > 1.

  It is NaN where one of them is not finite. Scores without spread have no t: of two constants p is
  that of a permutation test, 2 over the ways to choose the n of n + m.
  """
  if not (np.isfinite(a).all() and np.isfinite(b).all()):
    return math.nan
  step, variance = b.mean() - a.mean(), a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
  if variance <= (1e-12 * step) ** 2:  # nothing but rounding
    return 1.0 if step == 0 else 2 / math.comb(len(a) + len(b), len(a))
  moments = [moment for x in (a, b) for moment in (x.mean(), x.std(ddof=1), len(x))]
  return float(stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue)


def paired_p(steps: np.ndarray) -> float:
  """Computes the two-sided p of the paired t-test of differences [n], n > 1.

  Equal differences have no spread, and p is that of the sign test, 2 / 2^n.
  """
  spread, mean = float(steps.std(ddof=1)), float(steps.mean())
  if spread <= 1e-12 * abs(mean) or spread == 0:
    return 1.0 if mean == 0 else 2.0 ** (1 - len(steps))
  return float(stats.ttest_1samp(steps, 0.0).pvalue)


def holm(ps: Sequence[float]) -> list[float]:
  """Computes Holm's correction (1979) of p values [n] for their number, in the same order."""
  order, corrected = np.argsort(ps), np.empty(len(ps))
  scaled = np.asarray(ps)[order] * np.arange(len(ps), 0, -1)
  corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
  return corrected.tolist()


def format_p(p: float) -> str:
  """Formats p with two digits, or with as many as tell it from the level."""
  return next(text for n in range(2, 18) if (float(text := f"{p:.{n}g}") < LEVEL) == (p < LEVEL))
