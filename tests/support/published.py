"""Weights of published code in our layout, and shapes of networks."""

import jax
import jax.numpy as jnp

from gan_jax.nets.published import layout


def shapes(net, *shape):
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x, train=False), x)


def in_our_layout(array, path):
  """Transposes a published weight of a translator or a PatchGAN."""
  transposed = path[-2].startswith("Transposed")
  axes = (2, 3, 0, 1) if transposed else (2, 3, 1, 0)
  shape = tuple(array.shape[i] for i in axes) if array.ndim == 4 else array.shape
  return layout.in_our_layout(path, shape, array)
