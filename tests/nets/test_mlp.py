"""The multi-layer perceptrons, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets.mlp import MLPDiscriminator, MLPGenerator

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


def test_unknown_activation():
  with pytest.raises(ValueError, match="Unknown activation 'sine'; expected one of relu, leaky"):
    MLPDiscriminator(activation="sine").init(KEY, jnp.zeros((1, 2)), train=False)
