"""Filters of ADA in image space: four bands of frequencies, each amplified.

Karras et al. 2020, arXiv:2006.06676, appendix B.1. The published code reflects images by 21 pixels
on each side, and fails for those of 21 pixels or less; these are refused here as well.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Low-pass of the orthogonal wavelet sym2 (Daubechies 1992).
SYM2 = np.array((-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025))
BANDS = 4
EXPECTED_POWER = np.array([[[10, 1, 1, 1]]], np.float32) / 13  # of natural images, 1 / f


def filter_bank() -> np.ndarray:
  """Computes the filters of the bands, from low to high: float64 [4, 43], whose sum is δ."""
  low, high = (np.convolve(h, h[::-1]) / 2 for h in (SYM2, SYM2 * (-1.0) ** np.arange(len(SYM2))))
  bank = np.eye(BANDS, 1)
  for band in range(1, BANDS):
    # Twice as wide: zeros between the taps, then the low-pass; and the next band beside it.
    spread = np.zeros((BANDS, 2 * bank.shape[1] - 1))
    spread[:, ::2] = bank
    bank = np.stack([np.convolve(row, low) for row in spread])
    first = (bank.shape[1] - len(high)) // 2
    bank[band, first : first + len(high)] += high
  return bank


FILTER_BANK = filter_bank()
PADDING = FILTER_BANK.shape[1] // 2


def band_gains(amplifications: jax.Array) -> jax.Array:
  """Computes the gain of each band, with the expected power kept by each amplification.

  Args:
    amplifications: [B, 4], of each band by itself; 1 does nothing.

  Returns:
    [B, 4].
  """
  t = jnp.where(
    jnp.eye(BANDS, dtype=bool)[None], amplifications[:, None, :], 1
  )  # one band in each row
  power = jnp.sum(EXPECTED_POWER * t**2, axis=-1, keepdims=True)
  return jnp.prod(t / jnp.sqrt(power), axis=1)


def amplify_bands(images: jax.Array, gains: jax.Array) -> jax.Array:
  """Amplifies bands of frequencies of images, reflected at their borders.

  Args:
    images: [B, H, W, C], of more than 21 pixels on each side.
    gains: [B, 4], as `band_gains` returns them.

  Returns:
    [B, H, W, C].

  Raises:
    ValueError: for smaller images.
  """
  if min(images.shape[1:3]) <= PADDING:
    raise ValueError(
      f"imgfilter reflects images by {PADDING} pixels, and these have {images.shape[1:3]}: expected"
      " larger ones, or a pipe without imgfilter, such as bgc"
    )
  taps = jnp.matmul(gains, np.float32(FILTER_BANK), precision=jax.lax.Precision.HIGHEST)
  for axis, pattern in ((2, "bjw,bhwc->bhjc"), (1, "bih,bhwc->biwc")):
    widths = [(0, 0)] * 4
    widths[axis] = (PADDING, PADDING)
    padded, filters = jnp.pad(images, widths, mode="reflect"), _banded(taps, images.shape[axis])
    images = jnp.einsum(pattern, filters, padded, precision=jax.lax.Precision.HIGHEST)
  return images


def _banded(taps: jax.Array, n: int) -> jax.Array:
  """Builds the matrices of filters [B, k], to n pixels from n + k - 1: [B, n, n + k - 1]."""
  # Each example has a filter of its own: as a convolution that would be one of as many groups.
  k = taps.shape[1]
  tap = np.arange(n + k - 1) - np.arange(n)[:, None]
  inside = (tap >= 0) & (tap < k)
  return jnp.where(inside[None], taps[:, np.clip(tap, 0, k - 1)], 0)
