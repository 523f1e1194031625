"""Convolutions that halve, double or keep height and width: strided, transposed and plain.

On GPU and TPU they are XLA's own. On CPU they are matrix products of patches, of `im2col.py`: XLA
takes seconds for the kernel gradient of a transposed convolution, takes up to a hundred times as
long for any gradient of a convolution within a loop (`lax.scan`, `lax.map`) as outside it, and
gains nothing from bfloat16. Both forms agree to rounding and differentiate any number of times in
reverse mode.
"""

import jax
from jax import lax

from gan_jax.nets.convolution.im2col import HALVING, Window, col2im_conv, im2col_conv

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves with a 4x4 kernel at stride 2 and padding 1: height and width are halved.

  Args:
    x: [B, 2H, 2W, I]; its dtype is the one computed in, with sums in float32.
    kernel: [4, 4, I, O].

  Returns:
    [B, H, W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [4, 4, I, O], or height or width is odd.
  """
  _check(x, kernel, (4, 4))
  if x.shape[1] % 2 or x.shape[2] % 2:
    raise ValueError(f"strided_conv halves height and width, so they must be even; x is {x.shape}.")
  return im2col_conv(HALVING, x, kernel) if _on_cpu() else lax_strided_conv(x, kernel)


def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Applies a transposed convolution, 4x4 at stride 2 and padding 1: height and width are doubled.

  The kernel is laid out as in `lax.conv_transpose` and `flax.linen.ConvTranspose`.

  Args:
    x: [B, H, W, I]; its dtype is the one computed in, with sums in float32.
    kernel: [4, 4, I, O].

  Returns:
    [B, 2H, 2W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [4, 4, I, O].
  """
  _check(x, kernel, (4, 4))
  return matmul_transposed_conv(x, kernel) if _on_cpu() else lax_transposed_conv(x, kernel)


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves at stride 1 with zeros around: height and width are kept.

  Args:
    x: [B, H, W, I]; its dtype is the one computed in, with sums in float32.
    kernel: [h, w, I, O], h and w odd.

  Returns:
    [B, H, W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [h, w, I, O] with odd h and w.
  """
  window = kernel.shape[:2]
  _check(x, kernel, window)
  if not all(extent % 2 for extent in window):
    raise ValueError(f"Expected a kernel [h, w, I, O] with odd h and w; got {kernel.shape}.")
  return matmul_conv(x, kernel) if _on_cpu() else lax_conv(x, kernel)


def _on_cpu() -> bool:
  return jax.default_backend() == "cpu"


def _check(x: jax.Array, kernel: jax.Array, window: tuple[int, ...]) -> None:
  expected = (*window, *x.shape[3:])
  if x.ndim != 4 or kernel.ndim != 4 or kernel.shape[:3] != expected:
    extent = ", ".join(map(str, window))
    raise ValueError(
      f"Expected x [B, H, W, I] and a kernel [{extent}, I, O] with the same I; "
      f"got x {x.shape} and a kernel {kernel.shape}."
    )


def lax_strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `strided_conv` by XLA's convolution."""
  return lax.conv_general_dilated(
    x, kernel.astype(x.dtype), (2, 2), ((1, 1), (1, 1)), dimension_numbers=DIMENSIONS
  )


def lax_transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `transposed_conv` by XLA's convolution."""
  return lax.conv_transpose(
    x, kernel.astype(x.dtype), (2, 2), ((2, 2), (2, 2)), dimension_numbers=DIMENSIONS
  )


def lax_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `conv` by XLA's convolution."""
  return lax.conv_general_dilated(
    x, kernel.astype(x.dtype), (1, 1), "SAME", dimension_numbers=DIMENSIONS
  )


def matmul_transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `transposed_conv` by matrix products, as the adjoint of a strided convolution."""
  return col2im_conv(HALVING, x, _transposed(kernel))


def matmul_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `conv` by matrix products.

  At stride 1 x and y may change places. Patches are made of the one with fewer channels, in the
  gradients too; if they have as many, `col2im_conv` has the cheaper ones.
  """
  h, w, inputs, outputs = kernel.shape
  window = Window(h, w, 1)
  if inputs < outputs:
    return im2col_conv(window, x, kernel)
  return col2im_conv(window, x, _transposed(kernel))


def _transposed(kernel: jax.Array) -> jax.Array:
  return kernel[::-1, ::-1].swapaxes(2, 3)
