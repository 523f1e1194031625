"""Tests of significance, against SciPy and by hand."""

import numpy as np
import pytest
from scipy import stats

from gan_jax.run.results.significance import format_p, holm, paired_p, welch


def test_welch():
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=5), rng.normal(1.0, 3.0, size=8)
  expected = stats.ttest_ind(a, b, equal_var=False).pvalue
  assert welch(a, b) == pytest.approx(expected, rel=1e-9)
  assert welch(np.ones(3), np.ones(4)) == 1
  # All modes in two runs and all but one in two others are no proof; in four of each they are.
  for n, p in ((2, 2 / 6), (3, 2 / 20), (4, 2 / 70)):
    assert welch(np.full(n, 8.0), np.full(n, 7.0)) == pytest.approx(p)


def test_paired_p_is_that_of_the_t_test():
  a, b = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.5, 2.5, 3.0, 1.0])
  assert paired_p(a - b) == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_differences_without_spread_have_the_p_of_their_signs():
  assert paired_p(np.full(5, 2.0)) == 2 / 2**5
  assert paired_p(np.zeros(5)) == 1


def test_holm_by_hand():
  assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
  assert holm([0.6, 0.5]) == [1.0, 1.0]
  assert holm([]) == []


def test_holm_errs_in_no_more_than_its_level():
  """Of 2,000 families of ten true hypotheses, one is rejected in 5% (4 errors are 2%)."""
  ps = np.random.default_rng(0).random((2000, 10))
  assert np.mean([min(holm(p)) < 0.05 for p in ps]) == pytest.approx(0.05, abs=0.02)


def test_p_beside_the_level_is_shown_on_its_side():
  shown = [format_p(p) for p in (0.0496, 0.04996, 0.05, 0.0504, 0.03, 1.0, 3e-7)]
  assert shown == ["0.0496", "0.04996", "0.05", "0.05", "0.03", "1", "3e-07"]
