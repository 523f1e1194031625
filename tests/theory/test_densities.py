"""Generators of known density, against the change of variables, SciPy and quadrature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gan_jax.theory.densities import BentGaussian, Mixture

MIXTURE = Mixture(mean=(-1.5, 1.0), std=(0.3, 0.8), weight=0.7)
BENT = BentGaussian(kernel=((1.0, 0.3), (0.2, -0.5)), bias=(0.3, -0.8), bend=0.6)
UNIFORM = jnp.linspace(-0.999, 0.999, 41)[:, None]


def start(net, z):
  return jax.jit(functools.partial(net.init, train=False))(jax.random.key(0), z)


def make(net, variables, z):
  return jax.jit(functools.partial(net.apply, train=False))(variables, z)


def log_density(net, variables, x):
  return jax.jit(functools.partial(net.apply, method="log_density"))(variables, x)


@pytest.mark.parametrize(
  ("net", "z", "prior"),
  [
    (MIXTURE, UNIFORM, scipy.stats.uniform(-1, 2)),
    (BENT, jax.random.normal(jax.random.key(0), (41, 2)), scipy.stats.norm()),
  ],
)
def test_density_is_that_of_the_change_of_variables(net, z, prior):
  variables = start(net, z)
  one = lambda z: net.apply(variables, z[None], train=False)[0]
  slopes = jax.jit(jax.vmap(jax.jacfwd(one)))(z)
  want = prior.logpdf(np.asarray(z)).sum(axis=1) - np.linalg.slogdet(slopes)[1]
  got = log_density(net, variables, make(net, variables, z))
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_mixture_is_made_by_its_quantiles():
  variables = start(MIXTURE, UNIFORM)
  x = np.asarray(make(MIXTURE, variables, UNIFORM), np.float64)[:, 0]
  parts = [scipy.stats.norm(-1.5, 0.3), scipy.stats.norm(1.0, 0.8)]
  cdf = 0.3 * parts[0].cdf(x) + 0.7 * parts[1].cdf(x)
  np.testing.assert_allclose(cdf, (UNIFORM[:, 0] + 1) / 2, atol=1e-6)
  density = 0.3 * parts[0].pdf(x) + 0.7 * parts[1].pdf(x)
  got = log_density(MIXTURE, variables, jnp.asarray(x[:, None]))
  np.testing.assert_allclose(got, np.log(density), atol=1e-5)
  ends = make(MIXTURE, variables, jnp.array([[-1.0], [1.0]]))
  assert np.isfinite(ends).all()


def test_the_gradient_of_a_mixture_is_that_of_its_quantiles():
  """Both parts moved move every quantile as far; both stretched stretch about their mean."""
  same = Mixture(mean=(0.5, 0.5), std=(0.8, 0.8))
  variables = start(same, UNIFORM)
  of = lambda params: same.apply({"params": params}, UNIFORM, train=False)[:, 0]
  slope = jax.jit(jax.jacrev(of))(variables["params"])
  np.testing.assert_allclose(slope["mean"].sum(axis=1), np.ones(41), rtol=1e-4)
  x = make(same, variables, UNIFORM)[:, 0]
  np.testing.assert_allclose(slope["log_std"].sum(axis=1), x - 0.5, atol=1e-3)
  np.testing.assert_allclose(slope["logit"], np.zeros(41), atol=1e-4)


def test_a_bent_gaussian_has_mass_one():
  x, y = np.linspace(-6, 6, 241), np.linspace(-8, 16, 481)
  points = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
  found = log_density(BENT, start(BENT, points[:1]), jnp.asarray(points))
  np.testing.assert_allclose(np.exp(found).sum() * 0.05**2, 1, rtol=1e-4)
