"""Convolutions that halve, double or keep height and width: strided, transposed and plain.

On GPU and TPU they are XLA's own. On CPU they are matrix products of patches: XLA takes seconds for
the kernel gradient of a transposed convolution, takes up to a hundred times as long for any
gradient of a convolution within a loop (`lax.scan`, `lax.map`) as outside it, and gains nothing
from bfloat16. Both forms agree to rounding and differentiate any number of times in reverse mode.

The matrix form rests on one trilinear function of an image x, a kernel k and an image y, which has
a place for each window of x (see `Window`),

  T(x, k, y) = <im2col_conv(x, k), y> = <x, col2im_conv(y, k)> = <k, kernel_gradient(x, y)>.

Its three partial derivatives are three products, and each is the derivative of the other two: a
handful of rules closes the family under differentiation.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# A chunk of patches this large (bytes) is still in cache when it is multiplied.
PATCH_BYTES = 10 * 2**20

DIMENSIONS = ("NHWC", "HWIO", "NHWC")

PyTree = Any


class Window(NamedTuple):
  """The window of x that a place of y depends on: a rectangle around it, zeros beyond the border.

  Attributes:
    height: in pixels, a multiple of the stride, from which it differs by an even number.
    width: likewise.
    stride: pixels of x between the windows of neighbouring places of y.
  """

  height: int
  width: int
  stride: int

  @property
  def padding(self) -> tuple[int, int]:
    return (self.height - self.stride) // 2, (self.width - self.stride) // 2


HALVING = Window(4, 4, 2)


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


# The three derivatives of T, for a window of [h, w] at stride s, x [B, s H, s W, C],
# k [h, w, C, D] and y [B, H, W, D].

_with_vjp = functools.partial(jax.custom_vjp, nondiff_argnums=(0,))


@_with_vjp
def im2col_conv(window: Window, x: jax.Array, k: jax.Array) -> jax.Array:
  """Convolves by matrix products: y = im2col(x) k."""
  matrix = _matrix(k, x.dtype)
  step = lambda x: (_multiply(window, _im2col(window, x), matrix, x), ())
  return _over_batch(step, (x,), _patch_bytes(window, x))[0]


@_with_vjp
def col2im_conv(window: Window, y: jax.Array, k: jax.Array) -> jax.Array:
  """Applies the adjoint of `im2col_conv`: x = col2im(y kᵀ), sums of overlapping windows."""
  matrix = _rows(k.astype(y.dtype))
  _, h, w, d = y.shape

  def step(y: jax.Array) -> tuple[jax.Array, tuple[()]]:
    patches = _product(y.reshape(-1, d), matrix)
    return _col2im(window, patches.reshape(-1, h, w, matrix.shape[1])).astype(y.dtype), ()

  bytes_each = h * w * matrix.shape[1] * 4  # patches are float32 here
  return _over_batch(step, (y,), bytes_each)[0]


@_with_vjp
def kernel_gradient(window: Window, x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes the gradient in k of `im2col_conv`, from x and the gradient y: float32."""
  step = lambda x, y: ((), _kernel_sums(_im2col(window, x), y))
  return _kernel(window, _over_batch(step, (x, y), _patch_bytes(window, x))[1], x)


@_with_vjp
def conv_and_kernel_gradient(
  window: Window, x: jax.Array, k: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Computes im2col_conv(x, k) and kernel_gradient(x, y) from one im2col: `col2im_conv`'s vjp."""
  matrix = _matrix(k, x.dtype)

  def step(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches = _im2col(window, x)
    return _multiply(window, patches, matrix, x), _kernel_sums(patches, y)

  out, sums = _over_batch(step, (x, y), _patch_bytes(window, x))
  return out, _kernel(window, sums, x)


def _arguments_saved(function: Callable) -> Callable:
  return lambda window, *arguments: (function(window, *arguments), arguments)


def _im2col_conv_backward(window: Window, saved: PyTree, g: jax.Array) -> PyTree:
  x, k = saved
  return col2im_conv(window, g, k), kernel_gradient(window, x, g).astype(k.dtype)


def _col2im_conv_backward(window: Window, saved: PyTree, g: jax.Array) -> PyTree:
  y, k = saved
  y_gradient, k_gradient = conv_and_kernel_gradient(window, g, k, y)
  return y_gradient, k_gradient.astype(k.dtype)


def _kernel_gradient_backward(window: Window, saved: PyTree, g: jax.Array) -> PyTree:
  x, y = saved
  return col2im_conv(window, y, g), im2col_conv(window, x, g)


def _both_backward(window: Window, saved: PyTree, g: PyTree) -> PyTree:
  (x, k, y), (g_y, g_k) = saved, g
  g_x = col2im_conv(window, g_y, k) + col2im_conv(window, y, g_k)
  return g_x, kernel_gradient(window, x, g_y).astype(k.dtype), im2col_conv(window, x, g_k)


im2col_conv.defvjp(_arguments_saved(im2col_conv), _im2col_conv_backward)
col2im_conv.defvjp(_arguments_saved(col2im_conv), _col2im_conv_backward)
kernel_gradient.defvjp(_arguments_saved(kernel_gradient), _kernel_gradient_backward)
conv_and_kernel_gradient.defvjp(_arguments_saved(conv_and_kernel_gradient), _both_backward)


# Patches are [places, h w C] in the order (row, column, channel): the kernel's matrix is a reshape.


def _matrix(k: jax.Array, dtype: Any) -> jax.Array:
  return k.astype(dtype).reshape(-1, k.shape[3])


def _kernel(window: Window, matrix: jax.Array, x: jax.Array) -> jax.Array:
  """Reshapes [D, h w C] to a kernel [h, w, C, D]."""
  return matrix.reshape(-1, window.height, window.width, x.shape[3]).transpose(1, 2, 3, 0)


def _multiply(window: Window, patches: jax.Array, matrix: jax.Array, x: jax.Array) -> jax.Array:
  b, h, w, _ = x.shape
  y = _product(patches, matrix).astype(x.dtype)
  return y.reshape(b, h // window.stride, w // window.stride, -1)


def _kernel_sums(patches: jax.Array, y: jax.Array) -> jax.Array:
  """Sums over places: [places, h w C], [B, H, W, D] -> [D, h w C]."""
  return _product(_rows(y), patches)


def _rows(x: jax.Array) -> jax.Array:
  """Transposes: [..., D] -> [D, the rest]."""
  # XLA on CPU multiplies fast in bfloat16 only if the left factor is contracted along its rows, the
  # right one along its columns, and both are contiguous. The barrier keeps it from folding the
  # transposition into the product, the reshape makes the rows contiguous.
  transposed = _from_bits(_bits(x).transpose(3, 0, 1, 2), x.dtype)
  return lax.optimization_barrier(transposed).reshape(x.shape[3], -1)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
  """Multiplies matrices, adding up in float32."""
  # The barriers keep XLA from folding a transposition beside the product into it: on CPU it then
  # finds no way to multiply in bfloat16, and stops.
  product = jnp.matmul(
    lax.optimization_barrier(a), b, preferred_element_type=jnp.promote_types(a.dtype, jnp.float32)
  )
  return lax.optimization_barrier(product)


def _runs(window: Window) -> tuple[int, int]:
  """Counts the strides in a window, down and across: it is cut and put together in these."""
  return window.height // window.stride, window.width // window.stride


def _im2col(window: Window, x: jax.Array) -> jax.Array:
  """Copies the windows: [B, s H, s W, C] -> [B H W, h w C]."""
  s, (down, across) = window.stride, _runs(window)
  b, h, w, c = x.shape[0], x.shape[1] // s, x.shape[2] // s, x.shape[3]
  top, left = window.padding
  padded = jnp.pad(_bits(x), ((0, 0), (top, top), (left, left), (0, 0)))
  # The neighbouring columns of a stride are one run of s C numbers: fewer and longer copies.
  runs = lax.optimization_barrier(padded).reshape(b, h + down - 1, s, w + across - 1, s * c)
  windows = [
    runs[:, i : i + h, row, j : j + w]
    for i in range(down)
    for row in range(s)
    for j in range(across)
  ]
  patches = _from_bits(jnp.stack(windows, 3), x.dtype)
  return patches.reshape(b * h * w, window.height * window.width * c)


def _col2im(window: Window, patches: jax.Array) -> jax.Array:
  """Adds up what windows share: [B, H, W, h w C] -> [B, s H, s W, C]."""
  s, (down, across), (top, left) = window.stride, _runs(window), window.padding
  b, h, w, c = *patches.shape[:3], patches.shape[3] // (window.height * window.width)
  pieces = patches.reshape(b, h, w, down, s, across, s * c)
  total = jnp.zeros((b, h + down - 1, s, w + across - 1, s * c), patches.dtype)
  for i in range(down):
    for j in range(across):
      piece = pieces[:, :, :, i, :, j].swapaxes(2, 3)
      beside = ((0, 0), (i, down - 1 - i), (0, 0), (j, across - 1 - j), (0, 0))
      total += jnp.pad(piece, beside)
  total = total.reshape(b, s * (h + down - 1), s * (w + across - 1), c)
  return total[:, top : top + s * h, left : left + s * w]


def _bits(x: jax.Array) -> jax.Array:
  # XLA on CPU copies 16-bit floats by way of float32, and integers as they are.
  return lax.bitcast_convert_type(x, jnp.uint16) if x.dtype.itemsize == 2 else x


def _from_bits(x: jax.Array, dtype: Any) -> jax.Array:
  return lax.bitcast_convert_type(x, dtype)


# Chunks of the batch.


def _patch_bytes(window: Window, x: jax.Array) -> int:
  """Counts the bytes of one example's patches."""
  return math.prod(_runs(window)) * math.prod(x.shape[1:]) * x.dtype.itemsize


def _over_batch(
  step: Callable[..., tuple[PyTree, PyTree]], examples: tuple[jax.Array, ...], bytes_each: int
) -> tuple[PyTree, PyTree]:
  """Runs step on one chunk of the batch after the other.

  Args:
    step: chunks of the examples -> (results by example, results to be summed).
    examples: arrays [B, ...].
    bytes_each: bytes that step needs for an example.

  Returns:
    (results by example [B, ...], sums), as step returns them for the whole batch.
  """
  batch = len(examples[0])
  chunk = _chunk(batch, bytes_each)
  if chunk == batch:
    return step(*examples)

  def add(sums: PyTree, chunks: PyTree) -> tuple[PyTree, PyTree]:
    each, more = step(*chunks)
    return jax.tree.map(jnp.add, sums, more), each

  cut = [x.reshape(-1, chunk, *x.shape[1:]) for x in examples]
  one = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in cut]
  shapes = jax.eval_shape(step, *one)[1]
  zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
  sums, each = lax.scan(add, zeros, cut)
  return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), each), sums


def _chunk(batch: int, bytes_each: int) -> int:
  """Returns the largest divisor of the batch whose patches fit PATCH_BYTES.

  With several devices it is the whole batch: that may lie in parts on all of them, and cutting it
  across those parts would send activations from device to device.
  """
  if jax.device_count() > 1:
    return batch
  most = max(1, PATCH_BYTES // bytes_each)
  return max(n for n in range(1, min(batch, most) + 1) if batch % n == 0)
