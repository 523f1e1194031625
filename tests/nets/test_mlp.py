"""The multi-layer perceptrons, against the 2014 paper and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.mlp import (
  GoodfellowDiscriminator,
  GoodfellowGenerator,
  MLPDiscriminator,
  MLPGenerator,
)

KEY = jax.random.key(0)


def count(variables):
  return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_parameter_counts_of_the_paper():
  z, x = jnp.zeros((1, 100)), jnp.zeros((1, 28, 28, 1))
  shapes = lambda net, x: jax.eval_shape(lambda: net.init(KEY, x, train=False))
  generator = shapes(GoodfellowGenerator((28, 28, 1)), z)
  assert count(generator) == (100 + 1) * 1200 + (1200 + 1) * 1200 + (1200 + 1) * 784
  discriminator = shapes(GoodfellowDiscriminator(), x)
  assert count(discriminator) == (784 + 1) * 240 * 5 + (240 + 1) * 240 * 5 + 240 + 1
  plane = shapes(MLPDiscriminator((16, 8)), jnp.zeros((1, 2)))
  assert count(plane) == 3 * 16 + 17 * 8 + 9


def test_weights_start_uniform():
  for net, x, bound in (
    (GoodfellowGenerator((50,), hidden=(50,)), jnp.zeros((1, 50)), 0.05),
    (GoodfellowDiscriminator((10,)), jnp.zeros((1, 200)), 0.005),
  ):
    kernels = [
      leaf for leaf in jax.tree.leaves(net.init(KEY, x, train=False)["params"]) if leaf.ndim == 2
    ]
    weights = np.concatenate([np.ravel(kernel) for kernel in kernels])
    assert np.abs(weights).max() <= bound and np.abs(weights).max() > 0.99 * bound
    np.testing.assert_allclose(weights.std(), bound / np.sqrt(3), rtol=0.05)


def test_output_bias_is_where_the_pixels_start():
  """With the logit of the mean pixels as bias, a generator of zero weights makes the mean image."""
  pixels = jnp.array([0.1, 0.5, 0.9, 0.3])
  bias = tuple(float(p) for p in jnp.log(pixels) - jnp.log1p(-pixels))
  z = jnp.ones((3, 5))
  net = GoodfellowGenerator((2, 2, 1), hidden=(6,), bound=0.0, output_bias=bias)
  out, _ = net.init_with_output(KEY, z, train=False)
  np.testing.assert_allclose(out, np.broadcast_to(pixels.reshape(2, 2, 1), (3, 2, 2, 1)), rtol=1e-5)
  one = net.clone(output_bias=2.0).init_with_output(KEY, z, train=False)[0]
  np.testing.assert_allclose(one, 1 / (1 + np.exp(-2)), rtol=1e-5)
  with pytest.raises(ValueError, match="output_bias has 3 numbers; expected one"):
    net.clone(output_bias=(0.0, 0.0, 0.0)).init(KEY, z, train=False)


def test_generator_by_hand():
  net = MLPGenerator((2, 1), hidden=(2,))
  first = {"kernel": jnp.array([[1.0, -1.0]]), "bias": jnp.array([0.0, 1.0])}
  last = {"kernel": jnp.array([[2.0, 0.0], [0.0, 3.0]]), "bias": jnp.array([0.5, 0.0])}
  params = {"Dense_0": first, "Dense_1": last}
  out = net.apply({"params": params}, jnp.array([[2.0], [-1.0]]), train=True)
  np.testing.assert_allclose(out, [[[4.5], [0.0]], [[0.5], [6.0]]])


def test_dropout_of_the_discriminator_keeps_the_mean_of_what_it_feeds():
  """A linear discriminator (one piece, positive units): training averages to evaluation."""
  net = GoodfellowDiscriminator((3,), pieces=1)
  x = jnp.ones((10_000, 6))
  variables = jax.tree.map(jnp.ones_like, net.init(KEY, x[:1], train=False))
  train = net.apply(variables, x, train=True, rngs={"dropout": KEY})
  logits = net.apply(variables, x[:1], train=False)
  assert logits[0] == 3 * (6 + 1) + 1
  np.testing.assert_allclose(train.mean(), logits[0], rtol=0.02)
  # Of n inputs kept, each of k units kept makes 2 (1.25 n + 1); the last bias is 1.
  possible = np.array([2 * k * (1.25 * n + 1) + 1 for n in range(7) for k in range(4)])
  assert np.abs(np.unique(train)[:, None] - possible).min(1).max() < 1e-4


def test_unknown_activation():
  with pytest.raises(ValueError, match="Unknown activation 'sine'; expected one of relu, leaky"):
    MLPDiscriminator(activation="sine").init(KEY, jnp.zeros((1, 2)), train=False)
