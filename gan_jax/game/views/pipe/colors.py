"""Colour transforms of ADA: one matrix for all of them.

Karras et al. 2020, arXiv:2006.06676, appendix B.1. The luma axis is (1, 1, 1) / √3.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.views.pipe.matrices import product, rotate3d, scale3d, translate3d

LUMA = np.array([1, 1, 1, 0], np.float32) / np.sqrt(np.float32(3))
OF_COLOURS = ("hue", "saturation")  # transforms that one channel has no use for


def color_matrix(values: Mapping[str, jax.Array]) -> jax.Array:
  """Computes the product of all colour transforms.

  Args:
    values: by name, each [B]: "brightness", added; "contrast", a factor; "lumaflip", 0 or 1, a
      reflection along the luma axis; "hue", radians about it; "saturation", a factor of what is
      orthogonal to it. Those that are left out do nothing.

  Returns:
    float32 [B, 4, 4], of columns (r, g, b, 1).
  """
  along, across = np.outer(LUMA, LUMA)[None], (np.eye(4) - np.outer(LUMA, LUMA))[None]
  each = lambda x: x[:, None, None]
  matrices = {
    "brightness": lambda b: translate3d(b, b, b),
    "contrast": lambda c: scale3d(c, c, c),
    "lumaflip": lambda i: across + (1 - 2 * each(i)) * along,  # of Householder
    "hue": lambda theta: rotate3d(LUMA, theta),
    "saturation": lambda s: along + each(s) * across,
  }
  # The last transform stands on the left.
  chosen = [of(values[name]) for name, of in matrices.items() if name in values]
  return product(*(jnp.asarray(m, jnp.float32) for m in reversed(chosen)))


def transform_colors(images: jax.Array, matrix: jax.Array) -> jax.Array:
  """Transforms the colours of images.

  Args:
    images: [B, H, W, 3], or [B, H, W, 1], whose rows of the matrix are averaged.
    matrix: [B, 4, 4], as `color_matrix` returns it.

  Returns:
    [B, H, W, 3] or [B, H, W, 1].
  """
  linear, added = matrix[:, :3, :3], matrix[:, :3, 3]
  if images.shape[-1] == 1:
    linear = jnp.mean(jnp.sum(linear, axis=2, keepdims=True), axis=1, keepdims=True)
    added = jnp.mean(added, axis=1, keepdims=True)
  highest = jax.lax.Precision.HIGHEST
  colored = jnp.einsum("bij,bhwj->bhwi", linear, images, precision=highest)
  return colored + added[:, None, None, :]
