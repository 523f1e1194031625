"""The networks of PacGAN's mixtures, against its published code and by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.nets.pacgan import PacGANDiscriminator, PacGANGenerator

KEY = jax.random.key(0)


def test_parameter_counts_and_first_weights():
  """Counts by the published widths, for latents and packs of m points in the plane."""
  count = lambda made: sum(leaf.size for leaf in jax.tree.leaves(made["params"]))
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


def test_generator_by_hand():
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


def test_discriminator_by_hand():
  """Two units of two pieces of a pack of two numbers: their larger pieces, summed."""
  kernel = jnp.array([[1.0, -1.0, 2.0, 0.0], [0.0, 1.0, 0.0, 3.0]])
  maxout = {"Dense_0": {"kernel": kernel, "bias": jnp.array([0.0, 0.0, 0.0, 1.0])}}
  logit = {"logit": {"kernel": jnp.array([[1.0], [10.0]]), "bias": jnp.array([0.5])}}
  net = PacGANDiscriminator(hidden=(2,), pieces=2)
  x = jnp.array([[[1.0], [2.0]], [[-1.0], [-2.0]]])
  out = net.apply({"params": {"Maxout_0": maxout, "Logit_0": logit}}, x, train=True)
  # x = (1, 2): max(1, 1) + 10 max(2, 7); x = (-1, -2): max(-1, -1) + 10 max(-2, -5).
  np.testing.assert_allclose(out, [1 + 70 + 0.5, -1 - 20 + 0.5])
