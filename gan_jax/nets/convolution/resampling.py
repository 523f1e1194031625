"""Images filtered and resampled by whole factors (StyleGAN2, Karras et al. 2019, 1912.04958).

A filter is separable: taps along one side, of any sum, stand for their outer product of sum 1. Like
a layer of two sides it acts on [B, H, W, C], with zeros beyond the border, and as a convolution: it
is turned around before it is laid on the image, which matters to filters that are not symmetric.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gan_jax.nets.convolution import forms

FILTER = (1.0, 3.0, 3.0, 1.0)
Padding = tuple[tuple[int, int], tuple[int, int]]  # above and below, left and right


def upsample(x: jax.Array, filter: Sequence[float] = FILTER, factor: int = 2) -> jax.Array:
  """Computes images of `factor` times the height and width: zeros between pixels, then the filter.

  Args:
    x: [B, H, W, C].
    filter: taps along one side.
    factor: whole number >= 1.

  Returns:
    [B, factor H, factor W, C], of the same mean.
  """
  n = len(filter)
  sides = (n + factor - 1) // 2, (n - factor) // 2
  return resample(x, filter, up=factor, padding=(sides, sides), gain=factor**2)


def downsample(x: jax.Array, filter: Sequence[float] = FILTER, factor: int = 2) -> jax.Array:
  """Computes every `factor`-th pixel of filtered images; 1 only filters.

  Args:
    x: [B, H, W, C], sides multiples of the factor.
    filter: taps along one side.
    factor: whole number >= 1.

  Returns:
    [B, H / factor, W / factor, C].
  """
  n = len(filter)
  sides = (n - factor + 1) // 2, (n - factor) // 2
  return resample(x, filter, down=factor, padding=(sides, sides))


def resample(
  x: jax.Array,
  filter: Sequence[float] = FILTER,
  *,
  up: int = 1,
  down: int = 1,
  padding: Padding = ((0, 0), (0, 0)),
  gain: float = 1.0,
  flip: bool = False,
) -> jax.Array:
  """Upsamples by zeros, pads or crops, filters, and keeps every `down`-th pixel.

  Args:
    x: [B, H, W, C].
    filter: taps along one side.
    up: factor of the zeros that are inserted: `up` - 1 after each pixel, the last one too.
    down: pixels between those that are kept.
    padding: zeros above and below, left and right; below 0, pixels cropped.
    gain: factor of all pixels.
    flip: whether the filter is laid on the image as it is, and not turned around.

  Returns:
    [B, H', W', C] of x's dtype, with H' = (up H + padding - taps) // down + 1.
  """
  taps = [tap * math.sqrt(gain) / sum(filter) for tap in filter]
  y = forms.addable(x)
  for axis, sides in zip((1, 2), padding, strict=True):
    y = _resample_axis(y, taps if flip else taps[::-1], axis, up, down, sides)
  return y.astype(x.dtype)


def conv_down(x: jax.Array, kernel: jax.Array, filter: Sequence[float] = FILTER) -> jax.Array:
  """Filters images, then convolves them at stride 2: one strided convolution with both.

  Args:
    x: [B, 2H, 2W, I].
    kernel: [k, k, I, O], k odd.
    filter: taps along one side.

  Returns:
    [B, H, W, O].
  """
  k = _filtered_kernel(kernel, filter, flip=True)
  h, w, inputs, outputs = k.shape
  if h % 4 == 0:
    return forms.strided_conv(x, k)
  # Windows of whole blocks of 2 x 2 pixels: at stride 1 over blocks there are fewer to copy.
  k = k.reshape(h // 2, 2, w // 2, 2, inputs, outputs).transpose(0, 2, 1, 3, 4, 5)
  b, height, width, _ = x.shape
  blocks = x.reshape(b, height // 2, 2, width // 2, 2, inputs).transpose(0, 1, 3, 2, 4, 5)
  return forms.conv(blocks.reshape(*blocks.shape[:3], -1), k.reshape(*k.shape[:2], -1, outputs))


def conv_up(x: jax.Array, kernel: jax.Array, filter: Sequence[float] = FILTER) -> jax.Array:
  """Convolves zeros between pixels, then filters: one transposed convolution with both.

  As in the authors' code it is a convolution, with the kernel turned around, unlike a layer of
  stride 1.

  Args:
    x: [B, H, W, I].
    kernel: [k, k, I, O], k odd.
    filter: taps along one side.

  Returns:
    [B, 2H, 2W, O].
  """
  k = 4 * _filtered_kernel(kernel, filter, flip=False)[::-1, ::-1]
  h, w, inputs, outputs = k.shape
  if h % 4 == 0:
    return forms.transposed_conv(x, k)
  # As in `conv_down`: each pixel of a block has every second place of the kernel.
  k = k.reshape(h // 2, 2, w // 2, 2, inputs, outputs)[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
  b, height, width, _ = x.shape
  blocks = forms.conv(x, k.reshape(*k.shape[:3], -1))
  pixels = blocks.reshape(b, height, width, 2, 2, outputs).transpose(0, 1, 3, 2, 4, 5)
  return pixels.reshape(b, 2 * height, 2 * width, outputs)


def _filtered_kernel(kernel: jax.Array, filter: Sequence[float], flip: bool) -> jax.Array:
  """Computes the kernel [k + n - 1, k + n - 1, I, O] of a convolution and a filter of n taps.

  An odd number of taps has another 0 before them: of an even one, windows are whole blocks.
  """
  filter = (0.0,) * (len(filter) % 2) + tuple(filter)
  taps = np.asarray(filter, np.float32)[:: -1 if flip else 1] / sum(filter)
  down, across = (
    np.stack([np.pad(taps, (i, size - 1 - i)) for i in range(size)]) for size in kernel.shape[:2]
  )
  # As products with constant matrices, which compile in less time than shifts and sums.
  return jnp.einsum("ha,wb,hwio->abio", down, across, kernel, precision="highest")


def _resample_axis(
  x: jax.Array, taps: Sequence[float], axis: int, up: int, down: int, sides: tuple[int, int]
) -> jax.Array:
  """Correlates one axis with taps, after zeros and before pixels are left out."""
  padded = _padded(x, axis, up, *sides)
  last = (padded.shape[axis] - len(taps)) // down * down
  window = lambda i: lax.slice_in_dim(padded, i, i + last + 1, down, axis)
  return sum(tap * window(i) for i, tap in enumerate(taps[1:], 1)) + taps[0] * window(0)


def _padded(x: jax.Array, axis: int, up: int, low: int, high: int) -> jax.Array:
  """Inserts `up` - 1 zeros after each place of an axis, and pads or crops it."""
  if isinstance(x.shape[0], int):
    config = [(low, high + up - 1, up - 1) if at == axis else (0, 0, 0) for at in range(x.ndim)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)
  # Exported: ONNX has no zeros between places.
  shape = (*x.shape[:axis], up * x.shape[axis], *x.shape[axis + 1 :])
  spaced = jnp.stack([x, *[jnp.zeros_like(x)] * (up - 1)], axis + 1).reshape(shape)
  return jnp.pad(spaced, [(low, high) if at == axis else (0, 0) for at in range(x.ndim)])
