"""The convolutions of a DCGAN: kernel 4, stride 2, padding 1, halving (`down`) or doubling (`up`).

On GPU and TPU they are XLA's own. On CPU, XLA takes seconds for the kernel gradient of a transposed
convolution and gains nothing from bfloat16, so there they are matrix products of 4x4 patches. Both
forms agree to rounding and differentiate any number of times in reverse mode.

The matrix form rests on one trilinear function of an image x, a kernel k and an image y of half the
size,

  T(x, k, y) = <gather(x, k), y> = <x, spread(y, k)> = <k, correlate(x, y)>.

Its three partial derivatives are three products, and each is the derivative of the other two: a
handful of rules closes the family under differentiation.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# A chunk of patches this large (bytes) is still in cache when it is multiplied.
PATCH_BYTES = 10 * 2**20

DIMENSIONS = ("NHWC", "HWIO", "NHWC")

PyTree = Any


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
  _check(x, kernel)
  if x.shape[1] % 2 or x.shape[2] % 2:
    raise ValueError(f"down halves height and width, so they must be even; x is {x.shape}.")
  return gather(x, kernel) if jax.default_backend() == "cpu" else lax_down(x, kernel)


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
  _check(x, kernel)
  return matmul_up(x, kernel) if jax.default_backend() == "cpu" else lax_up(x, kernel)


def _check(x: jax.Array, kernel: jax.Array) -> None:
  if x.ndim != 4 or kernel.ndim != 4 or kernel.shape[:3] != (4, 4, x.shape[3]):
    raise ValueError(
      "Expected x [B, H, W, I] and a kernel [4, 4, I, O] with the same I; "
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


def matmul_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `up` by matrix products: the adjoint of a convolution with the turned kernel."""
  return spread(x, kernel[::-1, ::-1].swapaxes(2, 3))


# The three derivatives of T, for x [B, 2H, 2W, C], k [4, 4, C, D] and y [B, H, W, D].


@jax.custom_vjp
def gather(x: jax.Array, k: jax.Array) -> jax.Array:
  """Computes `down` by matrix products: each place of y gathers its 4x4 window of x."""
  matrix = _matrix(k, x.dtype)
  return _over_batch(lambda x: (_gather(_patches(x), matrix, x), ()), (x,), _patch_bytes(x))[0]


@jax.custom_vjp
def spread(y: jax.Array, k: jax.Array) -> jax.Array:
  """Spreads each place of y over its 4x4 window of x, and adds up: the adjoint of `gather`."""
  matrix = _rows(k.astype(y.dtype))
  _, h, w, d = y.shape

  def step(y: jax.Array) -> tuple[jax.Array, tuple[()]]:
    patches = _product(y.reshape(-1, d), matrix)
    return _overlap_add(patches.reshape(-1, h, w, matrix.shape[1])).astype(y.dtype), ()

  bytes_each = h * w * matrix.shape[1] * 4  # patches are float32 here
  return _over_batch(step, (y,), bytes_each)[0]


@jax.custom_vjp
def correlate(x: jax.Array, y: jax.Array) -> jax.Array:
  """Correlates each 4x4 window of x with its place of y: the kernel gradient, float32."""
  sums = _over_batch(lambda x, y: ((), _correlate(_patches(x), y)), (x, y), _patch_bytes(x))[1]
  return _kernel(sums, x.shape[3])


@jax.custom_vjp
def gather_and_correlate(x: jax.Array, k: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Computes gather(x, k) and correlate(x, y), the derivative of `spread`, from one copy."""
  matrix = _matrix(k, x.dtype)

  def step(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches = _patches(x)
    return _gather(patches, matrix, x), _correlate(patches, y)

  gathered, sums = _over_batch(step, (x, y), _patch_bytes(x))
  return gathered, _kernel(sums, x.shape[3])


def _arguments_saved(function: Callable) -> Callable:
  return lambda *arguments: (function(*arguments), arguments)


def _gather_backward(saved: PyTree, g: jax.Array) -> PyTree:
  x, k = saved
  return spread(g, k), correlate(x, g).astype(k.dtype)


def _spread_backward(saved: PyTree, g: jax.Array) -> PyTree:
  y, k = saved
  gathered, correlated = gather_and_correlate(g, k, y)
  return gathered, correlated.astype(k.dtype)


def _correlate_backward(saved: PyTree, g: jax.Array) -> PyTree:
  x, y = saved
  return spread(y, g), gather(x, g)


def _gather_and_correlate_backward(saved: PyTree, g: PyTree) -> PyTree:
  (x, k, y), (g_y, g_k) = saved, g
  return spread(g_y, k) + spread(y, g_k), correlate(x, g_y).astype(k.dtype), gather(x, g_k)


gather.defvjp(_arguments_saved(gather), _gather_backward)
spread.defvjp(_arguments_saved(spread), _spread_backward)
correlate.defvjp(_arguments_saved(correlate), _correlate_backward)
gather_and_correlate.defvjp(_arguments_saved(gather_and_correlate), _gather_and_correlate_backward)


# Patches are [places, 16 C] in the order (row, column, channel): the kernel's matrix is a reshape.


def _matrix(k: jax.Array, dtype: Any) -> jax.Array:
  return k.astype(dtype).reshape(-1, k.shape[3])


def _kernel(matrix: jax.Array, c: int) -> jax.Array:
  """Turns [D, 16 C] back into a kernel [4, 4, C, D]."""
  return matrix.reshape(-1, 4, 4, c).transpose(1, 2, 3, 0)


def _gather(patches: jax.Array, matrix: jax.Array, x: jax.Array) -> jax.Array:
  b, h, w, _ = x.shape
  return _product(patches, matrix).astype(x.dtype).reshape(b, h // 2, w // 2, -1)


def _correlate(patches: jax.Array, y: jax.Array) -> jax.Array:
  """Sums over places: [places, 16 C], [B, H, W, D] -> [D, 16 C]."""
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


def _patches(x: jax.Array) -> jax.Array:
  """Copies the 4x4 windows at stride 2: [B, 2H, 2W, C] -> [B H W, 16 C]."""
  b, h, w, c = x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
  padded = jnp.pad(_bits(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
  # Two neighbouring columns are one run of 2 C numbers: fewer and longer copies.
  pairs = lax.optimization_barrier(padded).reshape(b, h + 1, 2, w + 1, 2 * c)
  windows = [pairs[:, i : i + h, row, j : j + w] for i in (0, 1) for row in (0, 1) for j in (0, 1)]
  return _from_bits(jnp.stack(windows, 3), x.dtype).reshape(b * h * w, 16 * c)


def _overlap_add(patches: jax.Array) -> jax.Array:
  """Adds up what windows at stride 2 share: [B, H, W, 16 C] -> [B, 2H, 2W, C]."""
  b, h, w, c = *patches.shape[:3], patches.shape[3] // 16
  pieces = patches.reshape(b, h, w, 2, 2, 2, 2 * c)
  total = jnp.zeros((b, h + 1, 2, w + 1, 2 * c), patches.dtype)
  for i in (0, 1):
    for j in (0, 1):
      piece = pieces[:, :, :, i, :, j].swapaxes(2, 3)
      total += jnp.pad(piece, ((0, 0), (i, 1 - i), (0, 0), (j, 1 - j), (0, 0)))
  return total.reshape(b, 2 * h + 2, 2 * w + 2, c)[:, 1:-1, 1:-1]


def _bits(x: jax.Array) -> jax.Array:
  # XLA on CPU copies 16-bit floats by way of float32, and integers as they are.
  return lax.bitcast_convert_type(x, jnp.uint16) if x.dtype.itemsize == 2 else x


def _from_bits(x: jax.Array, dtype: Any) -> jax.Array:
  return lax.bitcast_convert_type(x, dtype)


# Chunks of the batch.


def _patch_bytes(x: jax.Array) -> int:
  """Counts the bytes of one example's patches, four times those of the example."""
  return 4 * math.prod(x.shape[1:]) * x.dtype.itemsize


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
