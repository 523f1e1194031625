"""The networks with maxout, against the 2014 paper, PacGAN's published code, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.maxout import (
  GoodfellowDiscriminator,
  GoodfellowGenerator,
  PacGANDiscriminator,
  PacGANGenerator,
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


def test_parameter_counts_and_first_weights_of_pacgan():
  """Counts by the published widths, for latents and packs of m points in the plane."""
  start = lambda net, width: lambda: net.init(KEY, jnp.zeros((1, width)), train=False)
  generator = jax.eval_shape(start(PacGANGenerator((2,)), 2))
  assert count(generator) == (2 * 400 + 2 * 400) + 3 * (400 * 400 + 2 * 400) + (400 * 2 + 2)
  for m in (1, 4):
    discriminator = jax.eval_shape(start(PacGANDiscriminator(), 2 * m))
    assert count(discriminator) == (2 * m + 1) * 1000 + 2 * (200 + 1) * 1000 + 201
  made = jax.jit(start(PacGANDiscriminator(hidden=(40,)), 8))()
  leaves = jax.tree.leaves(made["params"])
  weights = np.concatenate([leaf.ravel() for leaf in leaves if leaf.ndim == 2])
  np.testing.assert_allclose(weights.std(), 0.02, rtol=0.08)  # 1640 of them: it deviates by 1.7%
  assert not any(leaf.any() for leaf in leaves if leaf.ndim == 1)


def test_generator_of_pacgan_by_hand():
  """One unit: normalised by this batch in training, by running statistics in evaluation."""
  net, z = PacGANGenerator((1,), hidden=(1,)), jnp.array([[-1.0], [1.0], [3.0]])
  variables = net.init(KEY, z, train=False)
  variables = {**variables, "params": jax.tree.map(jnp.ones_like, variables["params"])}
  variables["params"]["Dense_0"]["kernel"] *= 2
  out, left = net.apply(variables, z, train=True, mutable=["batch_stats"])
  h = np.array([-2.0, 2.0, 6.0])
  normal = lambda mean, var: (h - mean) / np.sqrt(var + 1e-4) + 1  # a shift of 1
  relu = lambda x: np.maximum(x, 0)
  np.testing.assert_allclose(out[:, 0], relu(normal(h.mean(), h.var())) + 1, rtol=1e-5)
  mean, var = (left["batch_stats"]["Norm_0"]["BatchNorm_0"][key] for key in ("mean", "var"))
  np.testing.assert_allclose([mean[0], var[0]], [0.05 * h.mean(), 0.95 + 0.05 * h.var()], rtol=1e-5)
  out = net.apply({**variables, **left}, z, train=False)
  np.testing.assert_allclose(out[:, 0], relu(normal(mean[0], var[0])) + 1, rtol=1e-5)


def test_discriminator_of_pacgan_by_hand():
  """Two units of two pieces of a pack of two numbers: their larger pieces, summed."""
  kernel = jnp.array([[1.0, -1.0, 2.0, 0.0], [0.0, 1.0, 0.0, 3.0]])
  maxout = {"Dense_0": {"kernel": kernel, "bias": jnp.array([0.0, 0.0, 0.0, 1.0])}}
  logit = {"logit": {"kernel": jnp.array([[1.0], [10.0]]), "bias": jnp.array([0.5])}}
  net = PacGANDiscriminator(hidden=(2,), pieces=2)
  x = jnp.array([[[1.0], [2.0]], [[-1.0], [-2.0]]])
  out = net.apply({"params": {"Maxout_0": maxout, "Logit_0": logit}}, x, train=True)
  # x = (1, 2): max(1, 1) + 10 max(2, 7); x = (-1, -2): max(-1, -1) + 10 max(-2, -5).
  np.testing.assert_allclose(out, [1 + 70 + 0.5, -1 - 20 + 0.5])
