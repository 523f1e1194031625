"""The field of drifting is antisymmetric, and with a Gaussian kernel a difference of scores."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from gan_jax.losses.one_step import drifting
from gan_jax.theory import drift

RNG = np.random.default_rng(0)
X, P, Q = (RNG.normal(shift, size=(n, 2)) for shift, n in ((0, 6), (0.5, 9), (-0.5, 9)))
MEANS = np.array([[-1.0, 0.5], [1.0, 0.0], [0.0, -1.0]])
STDS, SHARES = np.array([0.3, 0.5, 0.2]), np.array([0.5, 0.3, 0.2])


def test_with_a_gaussian_kernel_it_is_the_difference_of_scores_of_samples():
  """Samples smoothed by the kernel are a mixture with a Gaussian at each."""
  with jax.enable_x64(True):
    score = lambda x, points: drift.smoothed_score(
      x, points, np.zeros(len(points)), np.full(len(points), 1 / len(points)), 0.7
    )
    both = lambda x: (drift.gaussian_field(x, P, Q, 0.7), 0.49 * (score(x, P) - score(x, Q)))
    found, expected = jax.device_get(jax.jit(both)(X))
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
  assert np.abs(found).max() > 0.1


def test_and_of_densities_by_quadrature_against_the_closed_form():
  line = np.linspace(-5, 5, 161)
  nodes = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)

  def log_density(x, extra):
    variance = STDS**2 + extra**2
    square = jnp.sum((x[:, None] - MEANS[None]) ** 2, axis=-1)
    return logsumexp(
      (jnp.log(SHARES) - jnp.log(2 * np.pi * variance))[None] - square / (2 * variance)[None],
      axis=1,
    )

  @jax.jit
  def look(x):
    shift = drift.mean_shift(x, nodes, 0.4, jnp.exp(log_density(nodes, 0.0)))
    slope = jax.grad(lambda x: jnp.sum(log_density(x, 0.4)))(x)
    return shift, drift.smoothed_score(x, MEANS, STDS, SHARES, 0.4), slope

  with jax.enable_x64(True):
    shift, score, slope = jax.device_get(look(X))
  np.testing.assert_allclose(score, slope, rtol=1e-10)
  np.testing.assert_allclose(shift, 0.16 * score, rtol=0, atol=1e-5)


def test_fields_are_antisymmetric_outside_both_sets():
  """And in training they are not: a particle is among the negatives, and is masked there alone."""
  as_rows = lambda x: jnp.asarray(x, jnp.float32)[None]
  x, p, q = map(as_rows, (X, P, Q))
  published = lambda data, fakes: (
    drifting.drift_field(x, data, fakes, generated_weights=jnp.zeros((1, 6))).field
  )
  gaussian = lambda data, fakes: drift.gaussian_field(x[0], data[0], fakes[0], 0.7)
  same = jax.jit(lambda: drifting.drift_field(x, x).field)()
  for field in (published, gaussian):
    forth, back, zero = jax.jit(lambda field=field: (field(p, q), field(q, p), field(p, p)))()
    np.testing.assert_allclose(forth, -back, atol=1e-5)
    assert jnp.abs(forth).max() > 0.1
    if field is gaussian:
      np.testing.assert_allclose(zero, 0, atol=1e-6)
  assert jnp.abs(same).max() > 0.1
