"""Between arrays as data sets store them and arrays in a network (float32), both ways."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Range = tuple[float, float]

_KINDS = {1: "points", 2: "series", 3: "images", 4: "volumes"}


def kind_of(shape: Sequence[int]) -> str:
  """Returns the kind of examples of a shape: points [d], series [T, C], images, volumes."""
  return _KINDS.get(len(shape), "arrays")


class Scale(NamedTuple):
  """How a data set stores the values of its images, series or volumes.

  Attributes:
    dtype: "uint8", "uint16" or "float32".
    lo, hi: values that the ends of the pixel range stand for.
  """

  dtype: str
  lo: float
  hi: float


UINT8 = Scale("uint8", 0, 255)


def to_float(x: jax.Array, pixel_range: Range = (-1.0, 1.0), scale: Scale = UINT8) -> jax.Array:
  """Scales stored pixels to [lo, hi] as float32; of uint8 that is lo + (hi - lo) x / 255.

  It is computed as one sum and then one product. Product and then sum, or a quotient, would come
  out differently where a compiler fuses a multiply-add or multiplies by the reciprocal.
  """
  lo, hi = pixel_range
  step = (hi - lo) / (scale.hi - scale.lo)
  return (x.astype(jnp.float32) + (lo / step - scale.lo)) * step


def to_levels(x: np.ndarray, pixel_range: Range = (-1.0, 1.0)) -> np.ndarray:
  """Scales pixels in [lo, hi] to float32 in [0, 255], and does not round them."""
  lo, hi = pixel_range
  return (np.asarray(x, np.float32) - lo) * (255 / (hi - lo))


def to_uint8(x: np.ndarray, pixel_range: Range = (-1.0, 1.0)) -> np.ndarray:
  """Rounds pixels in [lo, hi] to uint8, clipping what lies outside, as saving a PNG would."""
  return np.clip(np.rint(to_levels(x, pixel_range)), 0, 255).astype(np.uint8)


def to_stored(x: np.ndarray, pixel_range: Range = (-1.0, 1.0), scale: Scale = UINT8) -> np.ndarray:
  """Scales pixels in [lo, hi] to stored values: clipped, and rounded where these are integers."""
  if scale == UINT8:
    return to_uint8(x, pixel_range)
  stored = scale.lo + to_levels(x, pixel_range) * ((scale.hi - scale.lo) / 255)
  rounded = np.rint(stored) if scale.dtype == "uint16" else stored
  return np.clip(rounded, scale.lo, scale.hi).astype(scale.dtype)


def stored_levels(x: np.ndarray, scale: Scale) -> np.ndarray:
  """Scales stored values to float32 in [0, 255]; uint8 images are returned as they are."""
  if scale == UINT8:
    return x
  return (np.asarray(x, np.float32) - np.float32(scale.lo)) * np.float32(
    255 / (scale.hi - scale.lo)
  )


def to_picture(x: np.ndarray, scale: Scale = UINT8) -> np.ndarray:
  """Returns what a picture can show of images [..., C]: uint8, the first three channels or one."""
  levels = stored_levels(x[..., : 3 if x.shape[-1] >= 3 else 1], scale)
  return levels if levels.dtype == np.uint8 else np.clip(np.rint(levels), 0, 255).astype(np.uint8)
