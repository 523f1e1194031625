"""Leaks of augmentation: spectra of the product's own draws, in closed form."""

import numpy as np
import pytest

from gan_jax.game.views import Pipe
from gan_jax.game.views.pipe.draws import values_of
from gan_jax.theory.augmentation import gated, operator, spectrum

GRID = (np.arange(64, dtype=np.float32) + 0.5) / 64  # of uniform draws: exact for p = k / 64
SIZES = {"xflip": 2, "rotate90": 4}


def shares_of(name, p):
  """The shares of a transform's values, over all pairs of a draw and a gate of a grid."""
  draws, gates = (x.ravel() for x in np.meshgrid(GRID, GRID))
  values = values_of(Pipe(**{name: 1}), p, {name: draws}, {name: gates})[name]
  return np.bincount(np.int32(values), minlength=SIZES[name]) / len(draws)


@pytest.mark.parametrize("name", SIZES)
def test_gated_draws_are_singular_at_p_1_alone(name):
  """Eigenvalues are 1 and 1 - p, as the draw behind the gate is uniform, with the identity."""
  n = SIZES[name]
  for p in (0.0, 0.25, 0.5, 0.75, 1.0):
    shares = shares_of(name, p)
    np.testing.assert_allclose(shares, gated(np.full(n, 1 / n), p), atol=1e-12)
    np.testing.assert_allclose(spectrum(shares), [1] + [1 - p] * (n - 1), atol=1e-12)
    found = np.sort(np.linalg.eigvals(operator(shares)).real)
    np.testing.assert_allclose(found, np.sort(spectrum(shares).real), atol=1e-7)


def test_a_flip_with_probability_p_is_singular_at_one_half():
  """Without the identity among the draws: the eigenvalue is 1 - 2 p."""
  others = np.array([0, 1])
  for p in (0.0, 0.25, 0.5, 1.0):
    np.testing.assert_allclose(spectrum(gated(others, p)), [1, 1 - 2 * p], atol=1e-12)
  turns = np.array([0, 1 / 3, 1 / 3, 1 / 3])
  np.testing.assert_allclose(spectrum(gated(turns, 0.75)), [1, 0, 0, 0], atol=1e-12)
  # At one half images and their mirror images cannot be told apart; ADA's flips can be undone.
  data = np.array([0.9, 0.1])
  np.testing.assert_allclose(operator(gated(others, 0.5)) @ data, [0.5, 0.5])
  seen = operator(shares_of("xflip", 0.5)) @ data
  np.testing.assert_allclose(seen, [0.7, 0.3])
  np.testing.assert_allclose(np.linalg.solve(operator(shares_of("xflip", 0.5)), seen), data)
