"""Between images at rest (uint8) and images in a network (float32), both ways."""

import jax
import jax.numpy as jnp
import numpy as np

Range = tuple[float, float]


def to_float(x: jax.Array, pixel_range: Range = (-1.0, 1.0)) -> jax.Array:
  """Scales uint8 pixels to [lo, hi]: lo + (hi - lo) x / 255, as float32.

  It is computed as one sum and then one product. Product and then sum, or a quotient, would come
  out differently where a compiler fuses a multiply-add or multiplies by the reciprocal.
  """
  lo, hi = pixel_range
  scale = (hi - lo) / 255
  return (x.astype(jnp.float32) + lo / scale) * scale


def to_levels(x: np.ndarray, pixel_range: Range = (-1.0, 1.0)) -> np.ndarray:
  """Scales pixels in [lo, hi] to float32 in [0, 255], and does not round them."""
  lo, hi = pixel_range
  return (np.asarray(x, np.float32) - lo) * (255 / (hi - lo))


def to_uint8(x: np.ndarray, pixel_range: Range = (-1.0, 1.0)) -> np.ndarray:
  """Rounds pixels in [lo, hi] to uint8, clipping what lies outside, as saving a PNG would."""
  return np.clip(np.rint(to_levels(x, pixel_range)), 0, 255).astype(np.uint8)
