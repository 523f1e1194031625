"""Corruptions of ADA: noise, and a rectangle that is cut out.

Karras et al. 2020, arXiv:2006.06676, appendix B.1.
"""

import jax
import jax.numpy as jnp


def add_noise(images: jax.Array, noise: jax.Array, sigma: jax.Array) -> jax.Array:
  """Adds noise [B, H, W, C] of standard deviations [B] to images [B, H, W, C]."""
  return images + sigma[:, None, None, None] * noise


def cutout(images: jax.Array, center: jax.Array, size: jax.Array) -> jax.Array:
  """Sets a rectangle of each image to 0; it may hang over the border.

  Args:
    images: [B, H, W, C].
    center: [B, 2], its middle as a share of (width, height), in [0, 1].
    size: [B] or [B, 2], its sides as shares; 0 cuts nothing out.

  Returns:
    [B, H, W, C].
  """
  size = jnp.broadcast_to(size.reshape(len(size), -1), center.shape)

  def outside(axis: int, n: int) -> jax.Array:
    place = (jnp.arange(n)[None] + 0.5) / n
    return jnp.abs(place - center[:, axis, None]) >= size[:, axis, None] / 2

  remains = outside(1, images.shape[1])[:, :, None] | outside(0, images.shape[2])[:, None, :]
  # A product, as published: what is cut out is 0 unless it is not finite.
  return images * remains[..., None]
