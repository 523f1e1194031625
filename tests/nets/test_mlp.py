"""The multi-layer perceptrons, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.mlp import MLPDiscriminator, MLPGenerator, MultiLevelMLPGenerator

KEY = jax.random.key(0)


def test_parameter_count():
  net = MLPDiscriminator((16, 8))
  shapes = jax.eval_shape(lambda: net.init(KEY, jnp.zeros((1, 2)), train=False))
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
  assert count == 3 * 16 + 17 * 8 + 9


def test_generator_by_hand():
  net = MLPGenerator((2, 1), hidden=(2,))
  first = {"kernel": jnp.array([[1.0, -1.0]]), "bias": jnp.array([0.0, 1.0])}
  last = {"kernel": jnp.array([[2.0, 0.0], [0.0, 3.0]]), "bias": jnp.array([0.5, 0.0])}
  params = {"Dense_0": first, "Dense_1": last}
  out = net.apply({"params": params}, jnp.array([[2.0], [-1.0]]), train=True)
  np.testing.assert_allclose(out, [[[4.5], [0.0]], [[0.5], [6.0]]])


def test_images_of_levels_are_sums_of_outputs_so_far():
  net = MultiLevelMLPGenerator((2, 1), hidden=(2, 2), num_levels=2)
  hidden = {"kernel": jnp.array([[1.0, -1.0]]), "bias": jnp.array([0.0, 1.0])}
  first = {"kernel": jnp.array([[2.0, 0.0], [0.0, 3.0]]), "bias": jnp.array([0.5, 0.0])}
  same = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
  params = {"Dense_0": hidden, "Dense_1": first, "Dense_2": same, "Dense_3": same}
  z = jnp.array([[2.0], [-1.0]])
  images = net.apply({"params": params}, z, train=True, method="levels")
  early = np.array([[4.5, 0.0], [0.5, 6.0]])  # of h = (2, 0) and (0, 2)
  expected = np.stack([early, early + np.diag([2.0, 2.0])])
  np.testing.assert_allclose(images, expected[..., None])
  np.testing.assert_array_equal(net.apply({"params": params}, z, train=False), images[-1])


def test_unknown_activation():
  with pytest.raises(ValueError, match="Unknown activation 'sine'; expected one of relu, leaky"):
    MLPDiscriminator(activation="sine").init(KEY, jnp.zeros((1, 2)), train=False)
