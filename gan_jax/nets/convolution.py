"""Convolutions that halve (`down`), double (`up`) or keep (`same`) height and width.

On GPU and TPU they are XLA's own. On CPU they are matrix products of patches: XLA takes seconds for
the kernel gradient of a transposed convolution, takes up to a hundred times as long for any
gradient of a convolution within a loop (`lax.scan`, `lax.map`) as outside it, and gains nothing
from bfloat16. Both forms agree to rounding and differentiate any number of times in reverse mode.

The matrix form rests on one trilinear function of an image x, a kernel k and an image y, which has
a place for each window of x (see `Window`),

  T(x, k, y) = <gather(x, k), y> = <x, spread(y, k)> = <k, correlate(x, y)>.

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
  """What a place of y sees of x: a rectangle around it, beyond the border of zeros.

  Attributes:
    height: in pixels, a multiple of the stride, from which it differs by an even number.
    width: the same.
    stride: how many pixels of x, down and across, go to a place of y.
  """

  height: int
  width: int
  stride: int

  @property
  def padding(self) -> tuple[int, int]:
    return (self.height - self.stride) // 2, (self.width - self.stride) // 2


HALVING = Window(4, 4, 2)


def down(x: jax.Array, kernel: jax.Array) -> jax.Array:
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
    raise ValueError(f"down halves height and width, so they must be even; x is {x.shape}.")
  return gather(HALVING, x, kernel) if jax.default_backend() == "cpu" else lax_down(x, kernel)


def up(x: jax.Array, kernel: jax.Array) -> jax.Array:
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
  return matmul_up(x, kernel) if jax.default_backend() == "cpu" else lax_up(x, kernel)


def same(x: jax.Array, kernel: jax.Array) -> jax.Array:
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
  return matmul_same(x, kernel) if jax.default_backend() == "cpu" else lax_same(x, kernel)


def _check(x: jax.Array, kernel: jax.Array, window: tuple[int, ...]) -> None:
  expected = (*window, *x.shape[3:])
  if x.ndim != 4 or kernel.ndim != 4 or kernel.shape[:3] != expected:
    extent = ", ".join(map(str, window))
    raise ValueError(
      f"Expected x [B, H, W, I] and a kernel [{extent}, I, O] with the same I; "
      f"got x {x.shape} and a kernel {kernel.shape}."
    )


def lax_down(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `down` by XLA's convolution."""
  return lax.conv_general_dilated(
    x, kernel.astype(x.dtype), (2, 2), ((1, 1), (1, 1)), dimension_numbers=DIMENSIONS
  )


def lax_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `up` by XLA's convolution."""
  return lax.conv_transpose(
    x, kernel.astype(x.dtype), (2, 2), ((2, 2), (2, 2)), dimension_numbers=DIMENSIONS
  )


def lax_same(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `same` by XLA's convolution."""
  return lax.conv_general_dilated(
    x, kernel.astype(x.dtype), (1, 1), "SAME", dimension_numbers=DIMENSIONS
  )


def matmul_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `up` by matrix products: the adjoint of a convolution with the turned kernel."""
  return spread(HALVING, x, _turned(kernel))


def matmul_same(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `same` by matrix products.

  At stride 1 x and y may change places. Patches are made of the one with fewer channels, in the
  gradients too; if they have as many, `spread` has the cheaper ones.
  """
  h, w, inputs, outputs = kernel.shape
  window = Window(h, w, 1)
  if inputs < outputs:
    return gather(window, x, kernel)
  return spread(window, x, _turned(kernel))


def _turned(kernel: jax.Array) -> jax.Array:
  return kernel[::-1, ::-1].swapaxes(2, 3)


# The three derivatives of T, for a window of [h, w] at stride s, x [B, s H, s W, C],
# k [h, w, C, D] and y [B, H, W, D].

_trilinear = functools.partial(jax.custom_vjp, nondiff_argnums=(0,))


@_trilinear
def gather(window: Window, x: jax.Array, k: jax.Array) -> jax.Array:
  """Convolves by matrix products: each place of y gathers its window of x."""
  matrix = _matrix(k, x.dtype)
  step = lambda x: (_gather(window, _patches(window, x), matrix, x), ())
  return _over_batch(step, (x,), _patch_bytes(window, x))[0]


@_trilinear
def spread(window: Window, y: jax.Array, k: jax.Array) -> jax.Array:
  """Spreads each place of y over its window of x, and adds up: the adjoint of `gather`."""
  matrix = _rows(k.astype(y.dtype))
  _, h, w, d = y.shape

  def step(y: jax.Array) -> tuple[jax.Array, tuple[()]]:
    patches = _product(y.reshape(-1, d), matrix)
    return _overlap_add(window, patches.reshape(-1, h, w, matrix.shape[1])).astype(y.dtype), ()

  bytes_each = h * w * matrix.shape[1] * 4  # patches are float32 here
  return _over_batch(step, (y,), bytes_each)[0]


@_trilinear
def correlate(window: Window, x: jax.Array, y: jax.Array) -> jax.Array:
  """Correlates each window of x with its place of y: the kernel gradient, float32."""
  step = lambda x, y: ((), _correlate(_patches(window, x), y))
  return _kernel(window, _over_batch(step, (x, y), _patch_bytes(window, x))[1], x)


@_trilinear
def gather_and_correlate(
  window: Window, x: jax.Array, k: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Computes gather(x, k) and correlate(x, y), the derivative of `spread`, from one copy."""
  matrix = _matrix(k, x.dtype)

  def step(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches = _patches(window, x)
    return _gather(window, patches, matrix, x), _correlate(patches, y)

  gathered, sums = _over_batch(step, (x, y), _patch_bytes(window, x))
  return gathered, _kernel(window, sums, x)


def _arguments_saved(function: Callable) -> Callable:
  return lambda window, *arguments: (function(window, *arguments), arguments)


def _gather_backward(window: Window, saved: PyTree, g: jax.Array) -> PyTree:
  x, k = saved
  return spread(window, g, k), correlate(window, x, g).astype(k.dtype)


def _spread_backward(window: Window, saved: PyTree, g: jax.Array) -> PyTree:
  y, k = saved
  gathered, correlated = gather_and_correlate(window, g, k, y)
  return gathered, correlated.astype(k.dtype)


def _correlate_backward(window: Window, saved: PyTree, g: jax.Array) -> PyTree:
  x, y = saved
  return spread(window, y, g), gather(window, x, g)


def _gather_and_correlate_backward(window: Window, saved: PyTree, g: PyTree) -> PyTree:
  (x, k, y), (g_y, g_k) = saved, g
  g_x = spread(window, g_y, k) + spread(window, y, g_k)
  return g_x, correlate(window, x, g_y).astype(k.dtype), gather(window, x, g_k)


gather.defvjp(_arguments_saved(gather), _gather_backward)
spread.defvjp(_arguments_saved(spread), _spread_backward)
correlate.defvjp(_arguments_saved(correlate), _correlate_backward)
gather_and_correlate.defvjp(_arguments_saved(gather_and_correlate), _gather_and_correlate_backward)


# Patches are [places, h w C] in the order (row, column, channel): the kernel's matrix is a reshape.


def _matrix(k: jax.Array, dtype: Any) -> jax.Array:
  return k.astype(dtype).reshape(-1, k.shape[3])


def _kernel(window: Window, matrix: jax.Array, x: jax.Array) -> jax.Array:
  """Turns [D, h w C] back into a kernel [h, w, C, D]."""
  return matrix.reshape(-1, window.height, window.width, x.shape[3]).transpose(1, 2, 3, 0)


def _gather(window: Window, patches: jax.Array, matrix: jax.Array, x: jax.Array) -> jax.Array:
  b, h, w, _ = x.shape
  y = _product(patches, matrix).astype(x.dtype)
  return y.reshape(b, h // window.stride, w // window.stride, -1)


def _correlate(patches: jax.Array, y: jax.Array) -> jax.Array:
  """Sums over places: [places, h w C], [B, H, W, D] -> [D, h w C]."""
  return _product(_rows(y), patches)


def _rows(x: jax.Array) -> jax.Array:
  """Transposes: [..., D] -> [D, the rest]."""
  # XLA on CPU multiplies fast in bfloat16 only if the left factor is contracted along its rows, the
  # right one along its columns, and both are contiguous. The barrier keeps it from folding the
  # transposition into the product, the reshape makes the rows contiguous.
  turned = _from_bits(_bits(x).transpose(3, 0, 1, 2), x.dtype)
  return lax.optimization_barrier(turned).reshape(x.shape[3], -1)


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


def _patches(window: Window, x: jax.Array) -> jax.Array:
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


def _overlap_add(window: Window, patches: jax.Array) -> jax.Array:
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
