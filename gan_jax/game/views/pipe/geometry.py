"""Geometric transforms of ADA: one matrix for all of them, carried out without aliasing.

Karras et al. 2020, arXiv:2006.06676, appendix B.1. The published code reflects an image as far as
the transforms of its batch reach, at most by its size less one. Here it is always by that, which
leaves shapes static; in the published cases images differ by less than 1e-5 of their largest value.
"""

import itertools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.views.pipe.matrices import (
  product,
  rotate2d_inv,
  scale2d,
  scale2d_inv,
  translate2d,
  translate2d_inv,
)

# Low-pass of the orthogonal wavelet sym6 (Daubechies 1992), whose sum is √2.
_SYM6 = (
  *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
  *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
  *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
LOWPASS = np.array(_SYM6) / sum(_SYM6)  # 12 taps of sum 1
MARGIN = len(LOWPASS) // 4  # pixels that the filter needs beyond each border


def inverse_matrix(values: Mapping[str, jax.Array], height: int, width: int) -> jax.Array:
  """Computes the inverse of all geometric transforms, from places of the result to the image's.

  Args:
    values: by name, each [B] or [B, 2]: "xflip", 0 or 1; "rotate90", turns by -90 degrees; "xint",
      shift as a share of (width, height), rounded to pixels; "scale"; "rotate_pre", radians;
      "aniso"; "rotate_post"; "xfrac", shift as a share. Those that are left out do nothing.
    height: pixels of a column.
    width: pixels of a row.

  Returns:
    float32 [B, 3, 3], of columns (x, y, 1) in pixels about the middle of the image.
  """
  pixels = lambda t: (t[..., 0] * width, t[..., 1] * height)
  inverses = {
    "xflip": lambda i: scale2d_inv(1 - 2 * i, 1),
    "rotate90": lambda i: rotate2d_inv(-np.pi / 2 * i),
    "xint": lambda t: translate2d_inv(*map(jnp.round, pixels(t))),
    "scale": lambda s: scale2d_inv(s, s),
    "rotate_pre": lambda theta: rotate2d_inv(-theta),
    "aniso": lambda s: scale2d_inv(s, 1 / s),
    "rotate_post": lambda theta: rotate2d_inv(-theta),
    "xfrac": lambda t: translate2d_inv(*pixels(t)),
  }
  return product(*(inverse(values[name]) for name, inverse in inverses.items() if name in values))


def transform(images: jax.Array, inverse: jax.Array) -> jax.Array:
  """Transforms images: reflected, doubled by sym6, sampled bilinearly, and halved by sym6.

  Args:
    images: [B, H, W, C].
    inverse: [B, 3, 3], as `inverse_matrix` returns it.

  Returns:
    [B, H, W, C]; at the identity the images, as sym6 is orthogonal.
  """
  _, height, width, _ = images.shape
  doubled = _along_both(doubling, images)
  # The middle of the doubled image lies half of its pixels beside that of the image.
  half = translate2d(-0.5, -0.5), translate2d_inv(-0.5, -0.5)
  inverse = product(half[0], scale2d(2, 2), inverse, scale2d_inv(2, 2), half[1])
  sampled = sample_bilinear(doubled, inverse, 2 * (height + 2 * MARGIN), 2 * (width + 2 * MARGIN))
  return _along_both(halving, sampled)


def sample_bilinear(images: jax.Array, inverse: jax.Array, height: int, width: int) -> jax.Array:
  """Samples images at places of a grid; beyond their borders they are 0.

  Args:
    images: [B, H + 2, W + 2, C], in a frame of zeros a pixel wide.
    inverse: [B, 3, 3] from places of the grid to those of the image, each about its middle.
    height: rows of the grid.
    width: columns of the grid.

  Returns:
    [B, height, width, C].
  """
  size = images.shape[2] - 2, images.shape[1] - 2
  middles = lambda n: jnp.arange(n) - (n - 1) / 2
  y, x = middles(height)[None, :, None], middles(width)[None, None, :]
  linear = lambda row: row[:, 0, None, None] * x + row[:, 1, None, None] * y + row[:, 2, None, None]
  # Beyond the frame of zeros everything is 0, so that there the frame itself is read.
  places = [jnp.clip(linear(inverse[:, i]) + (n + 1) / 2, 0, n + 1) for i, n in enumerate(size)]
  first = [jnp.minimum(jnp.floor(place), n) for place, n in zip(places, size, strict=True)]
  # Weights of the pixel before a place and of that after it, of columns and of rows.
  weights = [(1 - (p - f), p - f) for p, f in zip(places, first, strict=True)]
  pixels = images.reshape(len(images), -1, images.shape[-1])
  column, row = (f.astype(jnp.int32).reshape(len(images), -1, 1) for f in first)
  sampled = jnp.zeros((len(images), height, width, images.shape[-1]), images.dtype)
  for dx, dy in itertools.product((0, 1), (0, 1)):
    index = (row + dy) * images.shape[2] + column + dx
    # A pixel at a time: on a CPU squares of four are gathered in ten times the time.
    values = jnp.take_along_axis(pixels, index, axis=1, mode="promise_in_bounds")
    weight = weights[0][dx] * weights[1][dy]
    sampled += values.reshape(sampled.shape) * weight[..., None]
  return sampled


def _along_both(matrix: Callable[[int], np.ndarray], images: jax.Array) -> jax.Array:
  """Applies a linear map of n pixels to columns and to rows."""
  # Filters with their padding are matrices: two products, and the same transposed in gradients.
  of_columns, of_rows = (matrix(n).astype(np.float32) for n in images.shape[1:3])
  highest = jax.lax.Precision.HIGHEST
  images = jnp.einsum("ih,bhwc->biwc", of_columns, images, precision=highest)
  return jnp.einsum("jw,biwc->bijc", of_rows, images, precision=highest)


def doubling(n: int) -> np.ndarray:
  """Computes the map of n pixels to those reflected by n - 1 on both sides and doubled by sym6.

  A pixel of zeros is added on both sides, which costs nothing here.

  Args:
    n: number of pixels.

  Returns:
    float64 [2 (3 n - 2) + 2, n].
  """
  reflected = np.pad(np.eye(n), ((n - 1, n - 1), (0, 0)), mode="reflect")
  taps = _taps(2 * len(reflected), len(reflected), lambda out, i: 5 + out - 2 * i)
  return np.pad(2 * taps @ reflected, ((1, 1), (0, 0)))


def halving(n: int) -> np.ndarray:
  """Computes the map of n doubled pixels to those halved by the mirrored sym6, less the margins.

  Args:
    n: number of pixels, 2 `MARGIN` of them beyond each border.

  Returns:
    float64 [n / 2 - 2 `MARGIN`, n].
  """
  return _taps(n // 2 - 2 * MARGIN, n, lambda out, i: i - 2 * out - 1)


def _taps(outputs: int, inputs: int, tap: Callable[..., np.ndarray]) -> np.ndarray:
  """Builds the matrix of a filter: which of its taps is between an output and an input."""
  k = tap(*np.indices((outputs, inputs)))
  return np.where((k >= 0) & (k < len(LOWPASS)), LOWPASS[np.clip(k, 0, len(LOWPASS) - 1)], 0)
