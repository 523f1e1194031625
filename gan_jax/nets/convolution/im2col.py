"""Convolutions as matrix products of patches, each other's derivatives.

They rest on one trilinear function of an image x, a kernel k and an image y, which has a place for
each window of x (see `Window`),

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

  @property
  def runs(self) -> tuple[int, int]:
    """Strides in a window, down and across: it is cut and put together in these."""
    return self.height // self.stride, self.width // self.stride


HALVING = Window(4, 4, 2)

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
  step = lambda x, y: ((), _product(_rows(y), _im2col(window, x)))
  return _kernel(window, _over_batch(step, (x, y), _patch_bytes(window, x))[1], x)


@_with_vjp
def conv_and_kernel_gradient(
  window: Window, x: jax.Array, k: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Computes im2col_conv(x, k) and kernel_gradient(x, y) from one im2col: `col2im_conv`'s vjp."""
  matrix = _matrix(k, x.dtype)

  def step(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches = _im2col(window, x)
    return _multiply(window, patches, matrix, x), _product(_rows(y), patches)

  out, sums = _over_batch(step, (x, y), _patch_bytes(window, x))
  return out, _kernel(window, sums, x)


def _arguments_saved(function: Callable) -> Callable:
  return lambda window, *arguments: (function(window, *arguments), arguments)


def _im2col_conv_backward(window: Window, saved: Any, g: jax.Array) -> Any:
  x, k = saved
  return col2im_conv(window, g, k), kernel_gradient(window, x, g).astype(k.dtype)


def _col2im_conv_backward(window: Window, saved: Any, g: jax.Array) -> Any:
  y, k = saved
  y_gradient, k_gradient = conv_and_kernel_gradient(window, g, k, y)
  return y_gradient, k_gradient.astype(k.dtype)


def _kernel_gradient_backward(window: Window, saved: Any, g: jax.Array) -> Any:
  x, y = saved
  return col2im_conv(window, y, g), im2col_conv(window, x, g)


def _both_backward(window: Window, saved: Any, g: Any) -> Any:
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
  """Reshapes sums over places, [D, h w C], to a kernel [h, w, C, D]."""
  return matrix.reshape(-1, window.height, window.width, x.shape[3]).transpose(1, 2, 3, 0)


def _multiply(window: Window, patches: jax.Array, matrix: jax.Array, x: jax.Array) -> jax.Array:
  b, h, w, _ = x.shape
  y = _product(patches, matrix).astype(x.dtype)
  return y.reshape(b, h // window.stride, w // window.stride, -1)


def _rows(x: jax.Array) -> jax.Array:
  """Transposes: [..., D] -> [D, the rest]."""
  # XLA on CPU multiplies fast in bfloat16 only if the left factor is contracted along its rows, the
  # right one along its columns, and both are contiguous. The barrier keeps it from folding the
  # transposition into the product, the reshape makes the rows contiguous.
  transposed = lax.bitcast_convert_type(_bits(x).transpose(3, 0, 1, 2), x.dtype)
  return lax.optimization_barrier(transposed).reshape(x.shape[3], -1)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
  """Multiplies matrices, adding up in float32."""
  # The barriers keep XLA from folding a transposition beside the product into it: on CPU it then
  # finds no way to multiply in bfloat16, and stops.
  product = jnp.matmul(
    lax.optimization_barrier(a), b, preferred_element_type=jnp.promote_types(a.dtype, jnp.float32)
  )
  return lax.optimization_barrier(product)


def _im2col(window: Window, x: jax.Array) -> jax.Array:
  """Copies the windows: [B, s H, s W, C] -> [B H W, h w C]."""
  s, (down, across) = window.stride, window.runs
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
  patches = lax.bitcast_convert_type(jnp.stack(windows, 3), x.dtype)
  return patches.reshape(b * h * w, window.height * window.width * c)


def _col2im(window: Window, patches: jax.Array) -> jax.Array:
  """Adds up what windows share: [B, H, W, h w C] -> [B, s H, s W, C]."""
  s, (down, across), (top, left) = window.stride, window.runs, window.padding
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


def _patch_bytes(window: Window, x: jax.Array) -> int:
  """Counts the bytes of one example's patches."""
  return math.prod(window.runs) * math.prod(x.shape[1:]) * x.dtype.itemsize


def _over_batch(
  step: Callable[..., tuple[Any, Any]], examples: tuple[jax.Array, ...], bytes_each: int
) -> tuple[Any, Any]:
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

  def add(sums: Any, chunks: Any) -> tuple[Any, Any]:
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
