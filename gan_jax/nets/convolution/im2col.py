"""Convolutions as matrix products of patches, each other's derivatives.

They rest on one trilinear function of an array x, a kernel k and an array y, which has a place for
each window of x (see `Window`), over any number of axes: series, images and volumes alike,

  T(x, k, y) = <im2col_conv(x, k), y> = <x, col2im_conv(y, k)> = <k, kernel_gradient(x, y)>.

Its three partial derivatives are three products, and each is the derivative of the other two: a
handful of rules closes the family under differentiation.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.nets.convolution.chunks import over_batch
from gan_jax.nets.convolution.products import bits, product, rows

# Places of a window from which on patches are made axis by axis. So a gradient of 7 x 7 compiles in
# two thirds of the time and is as quick, but one of 3 x 3 takes up to twice as long.
MANY = 25


class Window(NamedTuple):
  """The window of x that a place of y depends on: a box around it, zeros beyond the border.

  Attributes:
    extent: length along each axis of space, a multiple of the stride, from which it differs by an
      even number.
    stride: places of x between the windows of neighbouring places of y.
  """

  extent: tuple[int, ...]
  stride: int

  @property
  def padding(self) -> tuple[int, ...]:
    return tuple((length - self.stride) // 2 for length in self.extent)

  @property
  def by_axis(self) -> bool:
    """Whether patches are made axis by axis, from MANY places on: there copies are too many."""
    return self.stride == 1 and math.prod(self.extent) >= MANY

  @property
  def runs(self) -> tuple[int, ...]:
    """Strides in a window, along each axis: it is cut and put together in these."""
    return tuple(length // self.stride for length in self.extent)


# The three derivatives of T, in the plane for a window of [h, w] at stride s, x [B, s H, s W, C],
# k [h, w, C, D] and y [B, H, W, D].

_with_vjp = functools.partial(jax.custom_vjp, nondiff_argnums=(0,))


@_with_vjp
def im2col_conv(window: Window, x: jax.Array, k: jax.Array) -> jax.Array:
  """Convolves by matrix products: y = im2col(x) k."""
  matrix = _matrix(window, k, x.dtype)
  step = lambda x: (_multiply(window, _im2col(window, x), matrix, x), ())
  return over_batch(step, (x,), _patch_bytes(window, x))[0]


@_with_vjp
def col2im_conv(window: Window, y: jax.Array, k: jax.Array) -> jax.Array:
  """Applies the adjoint of `im2col_conv`: x = col2im(y kᵀ), sums of overlapping windows."""
  matrix = _matrix(window, k, y.dtype)
  _, *size, d = y.shape

  def step(y: jax.Array) -> tuple[jax.Array, tuple[()]]:
    patches = product(y.reshape(-1, d), matrix, axis=1)
    return _col2im(window, patches.reshape(-1, *size, len(matrix))).astype(y.dtype), ()

  bytes_each = math.prod(size) * len(matrix) * 4  # patches are float32 here
  return over_batch(step, (y,), bytes_each)[0]


@_with_vjp
def kernel_gradient(window: Window, x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes the gradient in k of `im2col_conv`, from x and the gradient y: float32."""
  step = lambda x, y: ((), product(rows(y), _im2col(window, x)))
  return _kernel(window, over_batch(step, (x, y), _patch_bytes(window, x))[1], x)


@_with_vjp
def conv_and_kernel_gradient(
  window: Window, x: jax.Array, k: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Computes im2col_conv(x, k) and kernel_gradient(x, y) from one im2col: `col2im_conv`'s vjp."""
  matrix = _matrix(window, k, x.dtype)

  def step(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches = _im2col(window, x)
    return _multiply(window, patches, matrix, x), product(rows(y), patches)

  out, sums = over_batch(step, (x, y), _patch_bytes(window, x))
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


def _matrix(window: Window, k: jax.Array, dtype: Any) -> jax.Array:
  return _in_order(window, k.astype(dtype)).reshape(-1, k.shape[-1])


def _in_order(window: Window, k: jax.Array) -> jax.Array:
  """Orders the axes of a window as patches have them: made axis by axis, the last comes first."""
  axes = len(window.extent)
  return k.transpose(*reversed(range(axes)), axes, axes + 1) if window.by_axis else k


def _kernel(window: Window, matrix: jax.Array, x: jax.Array) -> jax.Array:
  """Reshapes sums over places, [D, h w C], to a kernel [h, w, C, D]."""
  extent = window.extent[::-1] if window.by_axis else window.extent
  return _in_order(window, jnp.moveaxis(matrix.reshape(-1, *extent, x.shape[-1]), 0, -1))


def _multiply(window: Window, patches: jax.Array, matrix: jax.Array, x: jax.Array) -> jax.Array:
  y = product(patches, matrix).astype(x.dtype)
  return y.reshape(len(x), *(length // window.stride for length in x.shape[1:-1]), -1)


def _im2col(window: Window, x: jax.Array) -> jax.Array:
  """Copies the windows: [B, s H, s W, C] -> [B H W, h w C]."""
  if window.by_axis:
    return _im2col_by_axis(window, x)
  s, (*extent, _), c = window.stride, window.extent, x.shape[-1]
  (*size, last) = (length // s for length in x.shape[1:-1])
  padded = jnp.pad(bits(x), ((0, 0), *((n, n) for n in window.padding), (0, 0)))
  # Along the last axis neighbours of a stride are one run of s C numbers: fewer, longer copies.
  runs = lax.optimization_barrier(padded).reshape(_in_runs(window, x.shape))
  windows = []
  for *places, j in itertools.product(*map(range, extent), range(window.runs[-1])):
    axes = ((slice(p // s, p // s + n), p % s) for p, n in zip(places, size, strict=True))
    windows.append(runs[(slice(None), *itertools.chain(*axes), slice(j, j + last))])
  patches = lax.bitcast_convert_type(jnp.stack(windows, x.ndim - 1), x.dtype)
  return patches.reshape(len(x) * math.prod(size) * last, math.prod(window.extent) * c)


def _col2im(window: Window, patches: jax.Array) -> jax.Array:
  """Adds up what windows share: [B, H, W, h w C] -> [B, s H, s W, C]."""
  if window.by_axis:
    return _col2im_by_axis(window, patches)
  s, b, *size = window.stride, *patches.shape[:-1]
  c, n = patches.shape[-1] // math.prod(window.extent), len(size)
  shape = (b, *(s * length for length in size), c)
  cut = itertools.chain(*((count, s) for count in window.runs[:-1]))
  pieces = patches.reshape(b, *size, *cut, window.runs[-1], s * c)
  # From [B, H, W, s, s C] to [B, H, s, W, s C].
  order = (0, *itertools.chain(*((1 + i, 1 + n + i) for i in range(n - 1))), n, 2 * n)
  total = jnp.zeros(_in_runs(window, shape), patches.dtype)
  for *places, j in itertools.product(*map(range, window.runs)):
    axes = itertools.chain(*((i, slice(None)) for i in places))
    piece = pieces[(*(slice(None),) * (n + 1), *axes, j)].transpose(order)
    around = [(i, count - 1 - i) for i, count in zip((*places, j), window.runs, strict=True)]
    between = itertools.chain(*((pair, (0, 0)) for pair in around[:-1]))
    total += jnp.pad(piece, ((0, 0), *between, around[-1], (0, 0)))
  total = total.reshape(b, *(s * (m + r - 1) for m, r in zip(size, window.runs, strict=True)), c)
  inner = (slice(p, p + length) for p, length in zip(window.padding, shape[1:-1], strict=True))
  return total[(slice(None), *inner)]


def _im2col_by_axis(window: Window, x: jax.Array) -> jax.Array:
  """Does what `_im2col` does, axis by axis: a window of 7 x 7 takes 14 copies, and not 49."""
  patches = jnp.pad(bits(x), ((0, 0), *((n, n) for n in window.padding), (0, 0)))
  for axis, (length, size) in enumerate(zip(window.extent, x.shape[1:-1], strict=True), 1):
    windows = [lax.slice_in_dim(patches, i, i + size, axis=axis) for i in range(length)]
    patches = jnp.stack(windows, x.ndim - 1)
  patches = lax.bitcast_convert_type(patches, x.dtype)
  return patches.reshape(-1, math.prod(window.extent) * x.shape[-1])


def _col2im_by_axis(window: Window, patches: jax.Array) -> jax.Array:
  """Does what `_col2im` does, axis by axis: the adjoint of `_im2col_by_axis`."""
  *places, last = patches.shape
  axes, size = len(window.extent), places[1:]
  total = patches.reshape(*places, *window.extent[::-1], last // math.prod(window.extent))
  for axis in range(axes, 0, -1):
    length = window.extent[axis - 1]
    pieces = [lax.index_in_dim(total, i, axes + 1, keepdims=False) for i in range(length)]
    around = lambda i, n, axis=axis, length=length: [
      (i, length - 1 - i) if at == axis else (0, 0) for at in range(n)
    ]
    padded = [jnp.pad(piece, around(i, piece.ndim)) for i, piece in enumerate(pieces)]
    total = functools.reduce(jnp.add, padded)
  inner = (slice(p, p + n) for p, n in zip(window.padding, size, strict=True))
  return total[(slice(None), *inner)]


def _in_runs(window: Window, shape: Sequence[int]) -> tuple[int, ...]:
  """Computes the shape of x with its border, of which strides are cut: [B, H', s, W', s C]."""
  s = window.stride
  *counts, last = (m // s + r - 1 for m, r in zip(shape[1:-1], window.runs, strict=True))
  return (shape[0], *itertools.chain(*((count, s) for count in counts)), last, s * shape[-1])


def _patch_bytes(window: Window, x: jax.Array) -> int:
  """Counts the bytes of one example's patches."""
  return math.prod(window.runs) * math.prod(x.shape[1:]) * x.dtype.itemsize
