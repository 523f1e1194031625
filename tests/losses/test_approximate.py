"""Approximate R1 and R2: closed forms on a quadratic, and what epsilon and the draws cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_regularizers import IMAGES, PARAMS, make_match, network, quadratic

from gan_jax.game.random import Microbatch, example_keys
from gan_jax.losses import regularizers
from gan_jax.losses.approximate import centering, r1_approximate, r2_approximate, squared_slope

S = np.array([2.0, 3.0])
REAL, FAKE = np.array([[1.0, -1.0], [2.0, 1.0]]), np.array([[0.0, 1.0], [0.5, 1.0]])


def draws(match):
  return np.asarray(jax.vmap(lambda key: jax.random.normal(key, (2,)))(match.keys), np.float64)


@pytest.mark.parametrize("convention, factor", [("gat", 0.5), ("afm", 1), ("apt", 0.04)])
def test_on_a_quadratic_discriminator(convention, factor):
  """D(x + εn) - D(x) = ε g·n + ½ε² Σ s n², to the letter, with the factor of each publication."""
  match = make_match(quadratic(jnp.asarray(S)), REAL, FAKE)
  for make, x in ((r1_approximate, REAL), (r2_approximate, FAKE)):
    n, options = draws(match), {"epsilon": 0.2, "convention": convention}
    expected = factor * ((S * x * n).sum(1) + 0.1 * (S * n**2).sum(1)) ** 2
    term = make(**options)
    values = term.value(match, ())[0] if make is r2_approximate else term(match)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_bias_and_variance_are_those_of_the_closed_form():
  """The mean is 2 r1 + ¼ε² (2 ‖H‖² + (tr H)²), and m draws have the deviation √(2 / m) ‖g‖²."""
  n, epsilon, m = 10_000, 0.5, 16
  match = make_match(quadratic(jnp.asarray(S)), np.tile(REAL[:1], (n, 1)))
  twice_r1 = 2 * float(regularizers.r1(match)[0])
  bias = lambda epsilon: epsilon**2 / 4 * (2 * (S**2).sum() + S.sum() ** 2)
  values = np.asarray(r1_approximate(epsilon=epsilon, convention="afm")(match), np.float64)
  np.testing.assert_allclose(values.mean(), twice_r1 + bias(epsilon), rtol=0.03)
  assert 3 * values.std() / np.sqrt(n) < bias(epsilon)  # or the bias would not be seen
  values = np.asarray(r1_approximate(epsilon=1e-3, convention="afm")(match), np.float64)
  np.testing.assert_allclose(values.std(), np.sqrt(2) * twice_r1, rtol=0.05)
  of_m = values.reshape(-1, m).mean(axis=1)
  np.testing.assert_allclose(of_m.std(), np.sqrt(2 / m) * twice_r1, rtol=0.05)
  np.testing.assert_allclose(of_m.mean(), twice_r1, rtol=0.03)


def test_the_best_epsilon_in_float32_is_between_truncation_and_rounding():
  rng = np.random.default_rng(0)
  x, n = (rng.normal(size=(64, 8, 8, 1)).astype(np.float32) for _ in range(2))
  params = jax.tree.map(jnp.float32, PARAMS)
  with jax.enable_x64(True):
    slopes = jax.jvp(lambda x: network(PARAMS, x), (np.float64(x),), (np.float64(n),))[1]
    exact = np.square(slopes)

  def error(epsilon):
    moved, logits = (network(params, at) for at in (x + np.float32(epsilon) * n, x))
    return np.linalg.norm(np.float64(squared_slope(moved, logits, epsilon)) - exact)

  errors = {epsilon: error(epsilon) / np.linalg.norm(exact) for epsilon in (1e-2, 3e-4, 1e-6)}
  assert errors[3e-4] < 0.003 < 0.01 < errors[1e-2] < 0.04  # the published 0.01 is off by 2%
  assert errors[1e-6] > 0.05


def test_gradients_are_those_of_the_exact_penalty_on_average():
  n = 512
  keys = example_keys(jax.random.key(1), n)
  images = np.tile(IMAGES[:1], (n, 1, 1, 1))

  def total(penalty, params):
    match = make_match(lambda x: network(params, x), images, keys=keys)
    return jnp.mean(penalty(match))

  slopes = [
    jax.jit(jax.grad(lambda params, penalty=penalty: total(penalty, params)))(
      jax.tree.map(jnp.float32, PARAMS)
    )
    for penalty in (r1_approximate(), regularizers.r1)
  ]
  flat = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in slopes]
  cosine = flat[0] @ flat[1] / np.prod([np.linalg.norm(x) for x in flat])
  assert cosine > 0.98
  np.testing.assert_allclose(*(np.linalg.norm(x) for x in flat), rtol=0.2)


def test_a_share_is_of_the_first_examples_with_as_much_more_weight():
  match = make_match(quadratic(jnp.asarray(S)), np.tile(REAL, (5, 1)))
  whole, part = (r1_approximate(share=share)(match) for share in (1.0, 0.25))
  np.testing.assert_allclose(part, whole * (np.arange(10) < 2) * 5)  # 2.5 rows are 2: to even
  least = r1_approximate(share=0.01)(match)
  np.testing.assert_allclose(least, whole * (np.arange(10) < 1) * 10)
  # The first of the batch are in every microbatch: those of places 0, 2, .. and 1, 3, ...
  weights = [
    r1_approximate(share=0.3)(match._replace(microbatch=Microbatch(i, 2))) / whole for i in (0, 1)
  ]
  np.testing.assert_allclose(weights, [(np.arange(10) < 3) * 20 / 6] * 2, rtol=1e-5)


def test_centering_and_options():
  match = make_match(lambda x: x[:, 0], [[1.0], [2.0]], [[-1.0], [3.0]])
  np.testing.assert_allclose(centering(match), [0, 25])
  for options in ({"epsilon": 0}, {"share": 1.5}, {"convention": "gp"}):
    with pytest.raises(ValueError, match="got"):
      r1_approximate(**options)
