"""The optimal discriminator, the value of the game, and the critic on the line.

That each loss is smallest at its row of `OPTIMA`, and descent ends there, is held by
tests/losses/test_adversarial.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import theory
from gan_jax.losses.adversarial import LOSSES
from gan_jax.losses.one_step import flows
from gan_jax.theory import OPTIMA

THEOREMS = {**OPTIMA, "wasserstein": theory.lipschitz(np.array([-1.0, 0.0, 0.3, 2.0, 2.1, 4.0]))}
WITH_CRITERION = [name for name, optimum in THEOREMS.items() if optimum.criterion]
ZERO_SUM = [
  name
  for name in WITH_CRITERION
  if name in ("minimax", "wasserstein")
  or (name.startswith("f_gan_") and not name.endswith("_alternative"))
]


def distributions(seed, k=6):
  p, q = np.random.default_rng(seed).dirichlet(np.ones(k), 2) + 0.05
  return p / p.sum(), q / q.sum()


def test_value_at_the_optimal_discriminator():
  p, q = distributions(0)
  logits = OPTIMA["minimax"].logits(p, q)
  np.testing.assert_allclose(1 / (1 + np.exp(-logits)), p / (p + q), rtol=1e-12)  # D*
  want = -np.log(4) + 2 * theory.jensen_shannon(p, q)
  np.testing.assert_allclose(theory.value(logits, p, q), want, rtol=1e-12)
  assert theory.value(np.zeros(6), p, p) == pytest.approx(-np.log(4), rel=1e-15)
  for seed in range(3):
    moved = logits + np.random.default_rng(seed).normal(size=6)
    assert theory.value(moved, p, q) < want


def test_value_is_what_the_losses_say():
  p, q = distributions(1)
  logits = np.random.default_rng(2).normal(size=6)
  with jax.enable_x64(True):
    of = lambda side: theory.expected(side, *map(jnp.asarray, (logits, p, q)))
    np.testing.assert_allclose(of(LOSSES["minimax"].discriminator), -theory.value(logits, p, q))
    fake = np.sum(q * -np.logaddexp(0, logits))
    np.testing.assert_allclose(of(LOSSES["minimax"].generator), fake)


@pytest.mark.parametrize("name", THEOREMS)
def test_a_loss_says_what_its_logits_and_its_value_are(name):
  """Log-odds at the optimum of all distributions, or not; minus a distance, 0 of equal ones."""
  (p, q), loss = distributions(4), LOSSES[name]
  is_log_odds = np.allclose(THEOREMS[name].logits(p, q), np.log(p / q))
  if "relativistic" in name:  # whose logits are free up to a constant
    is_log_odds = False
  assert loss.probability == is_log_odds
  apart, equal = (float(THEOREMS[name].loss(p, x)) for x in (q, p))
  if loss.distance:
    assert apart < -1e-3 and abs(equal) < 1e-9


def along_the_simplex(of, p, q):
  slope = np.asarray(jax.jit(jax.grad(of, argnums=1))(p, q))
  return slope - slope.mean()


@pytest.mark.parametrize("name", WITH_CRITERION)
def test_the_generator_descends_its_criterion(name):
  with jax.enable_x64(True):
    for seed in range(3):
      p, q = map(jnp.asarray, distributions(seed))
      logits, criterion = THEOREMS[name].logits(p, q), THEOREMS[name].criterion
      follows = theory.generator_gradient(LOSSES[name].generator, logits, p, q)
      np.testing.assert_allclose(along_the_simplex(criterion, p, q), follows, rtol=1e-9, atol=1e-12)
      assert criterion(p, p) < criterion(p, q)  # and data are the best fakes


@pytest.mark.parametrize("name", WITH_CRITERION)
def test_differentiating_through_the_optimum_is_differentiating_at_it(name):
  """The envelope theorem; where the game is zero-sum, it is what the generator does."""
  with jax.enable_x64(True):
    p, q = map(jnp.asarray, distributions(3))
    optimum, loss = THEOREMS[name], LOSSES[name]
    logits = optimum.logits(p, q)
    through = along_the_simplex(optimum.loss, p, q)
    held = theory.generator_gradient(loss.discriminator, logits, p, q)
    np.testing.assert_allclose(through, held, rtol=1e-9, atol=1e-12)
    if name in ZERO_SUM:
      generators = theory.generator_gradient(loss.generator, logits, p, q)
      np.testing.assert_allclose(-through, generators, rtol=1e-9, atol=1e-12)


def test_the_relativistic_average_of_squares_has_no_criterion():
  """Along the simplex the Jacobian of a gradient is symmetric; that of what G follows is not."""
  p, q = distributions(4)

  def averages(q):
    logits = OPTIMA["relativistic_average_least_squares"].logits(p, q)

    def loss(q):  # its definition, of distributions instead of batches
      real, fake = jnp.sum(p * logits), jnp.sum(q * logits)
      return jnp.sum(q * (logits - real - 1) ** 2 + p * (fake - logits - 1) ** 2) / 2

    return jax.grad(loss)(q)

  def pairs(q):
    logits = OPTIMA["relativistic"].logits(p, q)
    return theory.generator_gradient(LOSSES["relativistic"].generator, logits, p, q)

  tangent = np.eye(6) - 1 / 6
  with jax.enable_x64(True):
    for follows, has_criterion in ((averages, False), (pairs, True)):
      jacobian = tangent @ jax.jit(jax.jacobian(follows))(q) @ tangent
      asymmetry = np.abs(jacobian - jacobian.T).max() / np.abs(jacobian).max()
      assert (asymmetry < 1e-12) if has_criterion else (asymmetry > 1e-2)


@pytest.mark.parametrize("seed", range(3))
def test_the_kantorovich_potential_is_lipschitz_and_earns_w1(seed):
  p, q = distributions(seed)
  x = np.cumsum(np.random.default_rng(seed).uniform(0.1, 2, 6))
  potential = theory.kantorovich(p, q, x)
  np.testing.assert_allclose(np.abs(np.diff(potential)), np.diff(x), rtol=1e-12)
  earned = np.sum((p - q) * potential)
  np.testing.assert_allclose(earned, theory.wasserstein(p, q, x), rtol=1e-12)


def test_the_directional_least_squares_of_cafm_rest_at_the_mean_velocity():
  """D's gradient vanishes at the closed form, and G's is that of its criterion; of five speeds."""
  rng = np.random.default_rng(5)
  shares, v, u = rng.dirichlet(np.ones(5)), rng.normal(size=(5, 2)), rng.normal(size=2)
  mean = shares @ v
  covariance = (v - mean).T @ np.diag(shares) @ (v - mean)
  x, t = np.full((5, 2), 0.3), np.full(5, 0.4)

  def look(d, u):
    affine = lambda x, t: x @ d[:2] + d[2] * t
    along = lambda v: flows.directional_derivative(affine, x, t, v)[1]
    real, fake = along(jnp.asarray(v)), along(jnp.broadcast_to(u, (5, 2)))
    of_d = flows.continuous_discriminator(real, fake, jnp.zeros(5), centering=0.0)
    of_g = flows.continuous_generator(fake, jnp.broadcast_to(u, (5, 2)))
    return jnp.sum(shares * of_d), jnp.sum(shares * of_g)

  with jax.enable_x64(True):
    best = theory.directional(mean - u, covariance)
    d = jnp.append(best.slope, best.fake - best.slope @ u)
    (loss, _), slopes = look(d, u), jax.jit(jax.jacrev(look, (0, 1)))(d, jnp.asarray(u))
    np.testing.assert_allclose(slopes[0][0], 0, atol=1e-12)
    np.testing.assert_allclose(loss, best.loss, rtol=1e-12)
    criterion = lambda u: theory.directional(mean - u, jnp.asarray(covariance)).criterion
    np.testing.assert_allclose(slopes[1][1], jax.grad(criterion)(jnp.asarray(u)), rtol=1e-10)
  assert criterion(jnp.asarray(mean)) < criterion(jnp.asarray(u))
  assert best.loss < 2 == theory.directional(0 * u, covariance).loss
