"""Divergences against closed forms, SciPy, and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from gan_jax import losses, theory
from gan_jax.theory.divergences import estimate

DIVERGENCES = {
  "kl": theory.kl,
  "reverse_kl": theory.reverse_kl,
  "jensen_shannon": theory.jensen_shannon,
  "total_variation": theory.total_variation,
  "pearson": theory.pearson,
  "neyman": theory.neyman,
  "squared_hellinger": theory.squared_hellinger,
}
ONE, OTHER = np.array([1.0, 0.0]), np.array([0.0, 1.0])
APART = {  # of distributions that share no point
  "jensen_shannon": np.log(2),
  "total_variation": 1.0,
  "squared_hellinger": 2.0,
}


def distributions(seed, *shape):
  p, q = np.random.default_rng(seed).dirichlet(np.ones(7), (2, *shape))
  return p, q


@pytest.mark.parametrize("name", DIVERGENCES)
def test_contract(name):
  divergence = DIVERGENCES[name]
  p, q = distributions(0, 50)
  assert (divergence(p, p) == 0).all()
  values = divergence(p, q)
  assert values.shape == (50,) and values.dtype == np.float64 and (values > 0).all()
  np.testing.assert_allclose(values[3], divergence(p[3], q[3]), rtol=1e-14)
  near = divergence(p, p * (1 + 1e-9))
  assert (near >= 0).all() and (near < 1e-8).all()
  assert divergence(ONE, OTHER) == APART.get(name, np.inf)
  both_zero = divergence(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.75, 0.0]))
  np.testing.assert_allclose(both_zero, divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_jax_agrees_with_numpy_and_differentiates_at_zeros(name):
  p, q = distributions(1)
  divergence = DIVERGENCES[name]
  with jax.enable_x64(True):
    got = jax.jit(divergence)(jnp.asarray(p), jnp.asarray(q))
    np.testing.assert_allclose(got, divergence(p, q), rtol=1e-12)
    slope_of = jax.jit(jax.grad(divergence, argnums=1))
    slope = slope_of(jnp.asarray(p), jnp.asarray(q))
    step = 1e-6 * np.eye(7)
    central = [(divergence(p, q + d) - divergence(p, q - d)) / 2e-6 for d in step]
    np.testing.assert_allclose(slope, central, rtol=1e-5, atol=1e-8)
    padded = [jnp.asarray(np.append(x, 0.0)) for x in (p, q)]
    assert np.isfinite(slope_of(*padded)).all()


# f''(1) of each: the second derivative of all of them at p = q is that of χ², but for a factor.
CURVATURES = {
  "kl": 1,
  "reverse_kl": 1,
  "jensen_shannon": 1 / 4,
  "pearson": 2,
  "neyman": 2,
  "squared_hellinger": 1 / 2,
}


@pytest.mark.parametrize("name", CURVATURES)
def test_curvature_at_equal_distributions_is_the_fisher_information(name):
  """f''(1) / p on the diagonal, where they are equal, and where they are so but for rounding."""
  p, _ = distributions(9)
  with jax.enable_x64(True):
    curvature = jax.jit(jax.hessian(DIVERGENCES[name]))
    for q in (p, p * (1 + 1e-9 * np.random.default_rng(1).normal(size=7))):
      found = curvature(jnp.asarray(p), jnp.asarray(q))
      # To 1e-7, which is a hundred times how far q is from p.
      np.testing.assert_allclose(found, np.diag(CURVATURES[name] / p), rtol=1e-7, atol=1e-12)


TWICE = {"jensen_shannon": 2}  # the f of its table has no half
# Mass of both, of p alone, of q alone, of neither; the same with q covered; with p covered.
WITH_ZEROS = (
  ([0.5, 0.5, 0.0, 0.0], [0.25, 0.0, 0.75, 0.0]),
  ([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]),
  ([0.0, 1.0, 0.0], [0.25, 0.75, 0.0]),
  ([0.25, 0.75, 0.0], [0.0, 1.0, 0.0]),
  (ONE, OTHER),
)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_is_the_f_divergence_of_the_losses(name):
  f = losses.DIVERGENCES[name].generator
  with jax.enable_x64(True):
    for p, q in (distributions(2, 3), *map(np.array, WITH_ZEROS)):
      want = TWICE.get(name, 1) * DIVERGENCES[name](p, q)
      np.testing.assert_allclose(theory.f_divergence(f, p, q), want, rtol=1e-11, atol=1e-12)
      halves = lambda x: np.repeat(x, 2, axis=-1)  # densities, of cells of half the volume
      of_densities = theory.f_divergence(f, halves(p), halves(q), weights=0.5)
      np.testing.assert_allclose(of_densities, want, rtol=1e-11, atol=1e-12)


def test_f_divergence_in_float32_compiled_and_by_limits_that_are_given():
  p, q = np.float32([[0.5, 0.5, 0.0], [0.25, 0.0, 0.75]])
  for name, f in losses.DIVERGENCES.items():
    got = jax.jit(lambda p, q, f=f: theory.f_divergence(f.generator, p, q))(p, q)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, TWICE.get(name, 1) * DIVERGENCES[name](p, q), rtol=3e-5)
  alpha = lambda u: (u**1.01 - u) / 0.01  # grows too slowly to be seen: u^0.01
  assert theory.f_divergence(alpha, ONE, OTHER, limits=(0.0, np.inf)) == np.inf
  hellinger = lambda u: (np.sqrt(u) - 1) ** 2  # of NumPy
  np.testing.assert_allclose(theory.f_divergence(hellinger, ONE, OTHER), 2, rtol=1e-12)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_variational_bound_holds_and_is_tight(name):
  f = losses.DIVERGENCES[name]
  p, q = distributions(7)
  with jax.enable_x64(True):
    divergence = theory.f_divergence(f.generator, p, q)
    bound = lambda t: theory.variational_bound(f.conjugate, t, p, q)
    np.testing.assert_allclose(bound(f.derivative(p / q)), divergence, rtol=1e-11)
    for v in np.random.default_rng(8).normal(0, 2, (20, 7)):
      assert bound(f.activation(v)) < divergence
    # Where p has nothing the best t is f'(0); just beside it the bound is tight to rounding.
    p, q = np.array([0.0, 0.4, 0.6, 0.0]), np.array([0.3, 0.3, 0.4, 0.0])
    t = f.derivative(jnp.maximum(p / np.where(q > 0, q, 1), 1e-30))
    got, want = bound(t), theory.f_divergence(f.generator, p, q)
    if np.isfinite(want):
      np.testing.assert_allclose(got, want, rtol=1e-11)
    else:
      assert got > 10  # f(0) = inf, approached by -log(1e-30) or faster


# N(m, 1) against N(0, 1).
GAUSSIANS = {
  "kl": lambda m: m**2 / 2,
  "reverse_kl": lambda m: m**2 / 2,
  "total_variation": lambda m: 2 * scipy.stats.norm.cdf(m / 2) - 1,
  "pearson": lambda m: np.expm1(m**2),
  "neyman": lambda m: np.expm1(m**2),
  "squared_hellinger": lambda m: 2 * (1 - np.exp(-(m**2) / 8)),
}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_densities_on_a_grid(name):
  x, m = np.linspace(-12, 14, 20001), 1.5
  p, q = scipy.stats.norm.pdf(x, m), scipy.stats.norm.pdf(x)
  got = DIVERGENCES[name](p, q, weights=x[1] - x[0])
  # The trapezoid rule is exact to rounding for smooth tails; |p - q| has a kink, error O(dx^2).
  np.testing.assert_allclose(got, GAUSSIANS[name](m), rtol=1e-6)


@pytest.mark.parametrize("name", [*GAUSSIANS, "jensen_shannon"])
def test_estimates_are_within_their_error(name):
  """The f of a ratio at 40,000 samples; five standard errors, for seven seeded tests."""
  m = 0.5
  x = np.random.default_rng(0).normal(size=40_000)
  with jax.enable_x64(True):
    got = estimate(losses.DIVERGENCES[name].generator, m * x - m**2 / 2)
  grid = np.linspace(-12, 13, 20001)
  p, q = scipy.stats.norm.pdf(grid, m), scipy.stats.norm.pdf(grid)
  scale = 2 if name == "jensen_shannon" else 1
  want = scale * DIVERGENCES[name](p, q, weights=grid[1] - grid[0])
  assert 0 < got.error < 0.02 and abs(got.value - want) < 5 * got.error
  with pytest.raises(ValueError, match="n >= 2"):
    estimate(losses.DIVERGENCES[name].generator, np.zeros(1))


def test_kl_and_jensen_shannon_are_those_of_scipy():
  p, q = distributions(3)
  np.testing.assert_allclose(theory.kl(p, q), scipy.stats.entropy(p, q), rtol=1e-12)
  distance = scipy.spatial.distance.jensenshannon(p, q)
  np.testing.assert_allclose(theory.jensen_shannon(p, q), distance**2, rtol=1e-12)


def test_jensen_shannon_is_finite_at_the_smallest_of_densities():
  tiny = np.array([5e-324, 1.0])
  assert theory.jensen_shannon(tiny, ONE[::-1]) == 0


def test_wasserstein_is_that_of_scipy():
  p, q = distributions(4)
  x = np.cumsum(np.random.default_rng(5).uniform(0.1, 2, 7))
  want = scipy.stats.wasserstein_distance(x, x, p, q)
  np.testing.assert_allclose(theory.wasserstein(p, q, x), want, rtol=1e-12)
  np.testing.assert_allclose(theory.wasserstein(ONE, OTHER, np.array([-1.0, 3.0])), 4)
