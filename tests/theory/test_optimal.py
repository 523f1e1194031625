"""The optimal discriminator, the value of the game, and the critic on the line.

That each loss is smallest at its row of `OPTIMA` is in test_losses.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import theory
from gan_jax.losses import LOSSES
from gan_jax.theory import OPTIMA

ZERO_SUM = ("minimax", *(name for name in OPTIMA if name.startswith("f_gan_")))


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


@pytest.mark.parametrize("name", ZERO_SUM)
def test_differentiating_through_the_optimum_gives_the_generators_gradient(name):
  """The envelope theorem: how the optimum moves with q does not matter to first order."""
  with jax.enable_x64(True):
    p, q = map(jnp.asarray, distributions(3))
    optimum, side = OPTIMA[name], LOSSES[name].generator
    logits = optimum.logits(p, q)
    through = np.asarray(jax.grad(lambda q: -optimum.loss(p, q))(q))
    fixed = np.asarray(jax.grad(lambda q: theory.expected(side, logits, p, q))(q))
  np.testing.assert_allclose(through - through.mean(), fixed - fixed.mean(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_kantorovich_potential_is_lipschitz_and_earns_w1(seed):
  p, q = distributions(seed)
  x = np.cumsum(np.random.default_rng(seed).uniform(0.1, 2, 6))
  potential = theory.kantorovich(p, q, x)
  np.testing.assert_allclose(np.abs(np.diff(potential)), np.diff(x), rtol=1e-12)
  earned = np.sum((p - q) * potential)
  np.testing.assert_allclose(earned, theory.wasserstein(p, q, x), rtol=1e-12)
