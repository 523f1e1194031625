"""Convolutions that halve, double or keep every side: strided, transposed and plain.

They are of series [B, T, C], images [B, H, W, C] and volumes [B, D, H, W, C] alike.

On GPU and TPU they are XLA's own. XLA on CPU takes seconds for the kernel gradient of a transposed
convolution, takes up to a hundred times as long for any gradient of a convolution within a loop
(`lax.scan`, `lax.map`) as outside it, and gains nothing from bfloat16. There they are matrix
products of patches (`im2col.py`); at stride 1 also, by shape and dtype, products of tiles
(`winograd.py`), or XLA's own with gradients in another form (`direct.py`). All forms agree to
rounding and differentiate any number of times in reverse mode.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.nets.convolution.direct import direct_conv, turned
from gan_jax.nets.convolution.im2col import Window, col2im_conv, im2col_conv
from gan_jax.nets.convolution.products import multiply, repeat_row, sum_rows
from gan_jax.nets.convolution.winograd import winograd_conv


def dense(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Multiplies along the last axis: x [..., I] and a kernel [I, O] -> [..., O] of x's dtype."""
  if not _on_cpu(x.shape[0]) or x.dtype.itemsize != 2:
    return x @ kernel.astype(x.dtype)
  rows = x.reshape(-1, x.shape[-1])
  return multiply(rows, kernel).reshape(*x.shape[:-1], kernel.shape[1])


def spread(row: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Repeats a row [C] at all places of an array [..., C] of this shape."""
  if not _on_cpu(shape[0]):
    return jnp.broadcast_to(row, shape)
  return repeat_row(row, math.prod(shape[:-1])).reshape(shape)


def mean_of_places(x: jax.Array) -> jax.Array:
  """Averages x [..., C] over all axes but the last: [C], in float32 at least."""
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32)).reshape(-1, x.shape[-1])
  return sum_rows(x) / len(x) if _on_cpu(x.shape[0]) else jnp.mean(x, axis=0)


def addable(x: jax.Array) -> jax.Array:
  """Returns an array as the sums are to be of that it enters: 16-bit floats on CPU as float32."""
  # There XLA rounds each such sum on its own, which takes longer than the sums.
  return x.astype(jnp.promote_types(x.dtype, jnp.float32)) if _on_cpu(x.shape[0]) else x


def strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves at stride 2, with as many zeros on either side: sides are halved.

  Args:
    x: [B, 2H, 2W, I], or of one or three axes; its dtype is the one computed in, with sums in
      float32.
    kernel: [h, w, I, O], h and w even (of 4 and padding 1, of 6 and padding 2), with as many axes.

  Returns:
    [B, H, W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [h, w, I, O] with even h and w, or a side is odd.
  """
  window = _even_window(x, kernel)
  if any(side % 2 for side in x.shape[1:-1]):
    raise ValueError(f"strided_conv halves every side, so they must be even; x is {x.shape}.")
  return im2col_conv(window, x, kernel) if _on_cpu(x.shape[0]) else lax_strided_conv(x, kernel)


def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Applies the transpose of a convolution such as `strided_conv`: sides are doubled.

  The kernel is laid out as in `lax.conv_transpose` and `flax.linen.ConvTranspose`.

  Args:
    x: [B, H, W, I], or of one or three axes; its dtype is the one computed in, with sums in
      float32.
    kernel: [h, w, I, O], h and w even, with as many axes.

  Returns:
    [B, 2H, 2W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [h, w, I, O] with even h and w.
  """
  _even_window(x, kernel)
  return (
    matmul_transposed_conv(x, kernel) if _on_cpu(x.shape[0]) else lax_transposed_conv(x, kernel)
  )


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves at stride 1 with zeros around: sides are kept.

  Args:
    x: [B, H, W, I], or of one or three axes; its dtype is the one computed in, with sums in
      float32.
    kernel: [h, w, I, O], h and w odd, with as many axes.

  Returns:
    [B, H, W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [h, w, I, O] with odd h and w.
  """
  window = kernel.shape[:-2]
  _check(x, kernel, window)
  if not all(extent % 2 for extent in window):
    raise ValueError(f"Expected a kernel [h, w, I, O] with odd h and w; got {kernel.shape}.")
  if not _on_cpu(x.shape[0]):
    return lax_conv(x, kernel)
  if _quicker_by_tiles(x, kernel):
    return winograd_conv(x, kernel)
  quicker = _quicker_directly(x, *kernel.shape[-2:])
  return direct_conv(x, kernel) if quicker else matmul_conv(x, kernel)


def grouped_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Convolves each group of channels by itself, at stride 1 with zeros around: sides are kept.

  Args:
    x: [B, H, W, I]; its dtype is the one computed in, with sums in float32.
    kernel: [h, w, I / groups, O], h and w odd, groups one after the other.

  Returns:
    [B, H, W, O] of x's dtype.

  Raises:
    ValueError: the kernel is not [h, w, I / groups, O] with odd h and w, and groups that divide O.
  """
  (height, width, inputs, outputs), groups = kernel.shape, x.shape[-1] // kernel.shape[-2]
  if groups * inputs != x.shape[-1] or outputs % groups or not height % 2 == width % 2 == 1:
    raise ValueError(
      "Expected x [B, H, W, I] and a kernel [h, w, I / groups, O] with odd h and w, and groups"
      f" that divide O; got x {x.shape} and a kernel {kernel.shape}."
    )
  if groups == 1:
    return conv(x, kernel)
  if not _on_cpu(x.shape[0]):
    return lax_grouped_conv(x, kernel)
  # Of two groups, half of a kernel of zeros costs less than an axis of groups.
  if groups == 2 and _quicker_directly(x, inputs, outputs // 2):
    return direct_conv(x, block_diagonal(kernel, groups))
  return matmul_grouped_conv(x, kernel)


def _on_cpu(batch: int) -> bool:
  """Checks for a CPU, and a batch of a known size, which chunks of patches are cut from.

  A program for batches of any size, as `jax.export` makes it, may run on any device: it has XLA's
  own forms.
  """
  return jax.default_backend() == "cpu" and isinstance(batch, int)


def _even_window(x: jax.Array, kernel: jax.Array) -> Window:
  """Returns the window of a kernel that halves or doubles, or refuses it."""
  extent = kernel.shape[:-2]
  _check(x, kernel, extent)
  if any(length % 2 for length in extent):
    raise ValueError(f"Expected a kernel [h, w, I, O] with even h and w; got {kernel.shape}.")
  return Window(extent, 2)


def _check(x: jax.Array, kernel: jax.Array, window: tuple[int, ...]) -> None:
  if x.ndim < 3 or kernel.ndim != x.ndim or kernel.shape[:-1] != (*window, x.shape[-1]):
    extent, sides = ", ".join(map(str, window)), ", ".join("DHW"[-len(window) :])
    raise ValueError(
      f"Expected x [B, {sides}, I] and a kernel [{extent}, I, O] with the same I; "
      f"got x {x.shape} and a kernel {kernel.shape}."
    )


def lax_strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `strided_conv` by XLA's convolution."""
  axes = x.ndim - 2
  sides = [(length // 2 - 1,) * 2 for length in kernel.shape[:-2]]
  return lax.conv_general_dilated(
    x, kernel.astype(x.dtype), (2,) * axes, sides, dimension_numbers=_layout(axes)
  )


def lax_transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `transposed_conv` by XLA's convolution."""
  axes = x.ndim - 2
  sides = [(length // 2,) * 2 for length in kernel.shape[:-2]]
  return lax.conv_transpose(
    x, kernel.astype(x.dtype), (2,) * axes, sides, dimension_numbers=_layout(axes)
  )


def lax_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `conv` by XLA's convolution."""
  axes = x.ndim - 2
  return lax.conv_general_dilated(
    x, kernel.astype(x.dtype), (1,) * axes, "SAME", dimension_numbers=_layout(axes)
  )


def lax_grouped_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `grouped_conv` by XLA's convolution."""
  groups = x.shape[-1] // kernel.shape[-2]
  return lax.conv_general_dilated(
    x,
    kernel.astype(x.dtype),
    (1, 1),
    "SAME",
    dimension_numbers=_layout(2),
    feature_group_count=groups,
  )


def _layout(axes: int) -> tuple[str, str, str]:
  """Returns the order of axes of x, kernel and result, channels last."""
  space = "DHW"[-axes:]
  return f"N{space}C", f"{space}IO", f"N{space}C"


def matmul_transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `transposed_conv` by matrix products, as the adjoint of a strided convolution."""
  return col2im_conv(Window(kernel.shape[:-2], 2), x, turned(kernel))


def matmul_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `conv` by matrix products of patches.

  At stride 1 x and y may change places. Patches are made of the one with fewer channels, in the
  gradients too; if they have as many, `col2im_conv` has the cheaper ones.
  """
  *window, inputs, outputs = kernel.shape
  around = Window(tuple(window), 1)
  if inputs < outputs:
    return im2col_conv(around, x, kernel)
  return col2im_conv(around, x, turned(kernel))


def _quicker_by_tiles(x: jax.Array, kernel: jax.Array) -> bool:
  """Checks for a convolution that `winograd_conv` takes less time for than patches do, on CPU.

  It has 3 x 3 places, even sides and no fewer than 32 channels, is of floats (integers have no half
  of a kernel), and has so many places that 16 products of matrices are large, and 16 matrices for 9
  are little: in float32 they are, so that 16-bit floats, whose patches are multiplied in half the
  time, take more places (measured by `experiments.bench.convolutions`).
  """
  if x.ndim != 4 or kernel.shape[:2] != (3, 3) or not jnp.issubdtype(x.dtype, jnp.floating):
    return False
  (batch, height, width, _), channels = x.shape, kernel.shape[2:]
  tiles, most = batch * height * width // 4, max(channels)
  even = height % 2 == width % 2 == 0
  enough = tiles >= most * (4 if x.dtype.itemsize == 2 else 1) and tiles * most >= 2**16
  return even and min(channels) >= 32 and enough


def _quicker_directly(x: jax.Array, inputs: int, outputs: int) -> bool:
  """Checks for a convolution that `direct_conv` takes less time for than patches do, on CPU.

  It has channels enough to make patches dear, and in bfloat16, which XLA convolves in float32, so
  few that products are the smaller part (measured likewise).
  """
  most = {"float32": math.inf, "float64": math.inf, "bfloat16": 32}.get(x.dtype.name, 0)
  return min(inputs, outputs) >= 8 and max(inputs, outputs) <= most


def block_diagonal(kernel: jax.Array, groups: int) -> jax.Array:
  """Builds the kernel [h, w, I, O] that does what one of groups does, [h, w, I / groups, O]."""
  h, w, inputs, outputs = kernel.shape
  diagonal = jnp.eye(groups, dtype=kernel.dtype).reshape(1, 1, groups, 1, groups, 1)
  blocks = kernel.reshape(h, w, 1, inputs, groups, -1) * diagonal
  return blocks.reshape(h, w, groups * inputs, outputs)


def matmul_grouped_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Computes `grouped_conv` by a product of patches for each group.

  In float32: on CPU products of 16-bit floats are slow with an axis of groups.
  """
  (b, height, width, channels), (h, w, inputs, outputs) = x.shape, kernel.shape
  groups = channels // inputs
  around = ((0, 0), (h // 2, h // 2), (w // 2, w // 2), (0, 0))
  padded = jnp.pad(x.astype(jnp.float32), around).reshape(b, height + h - 1, -1, groups, inputs)
  padded = jnp.moveaxis(padded, 3, 0)
  window = lambda i, j: padded[:, :, i : i + height, j : j + width]
  patches = jnp.stack([window(i, j) for i in range(h) for j in range(w)], axis=4)
  kernels = jnp.moveaxis(kernel.reshape(h * w * inputs, groups, -1), 1, 0).astype(jnp.float32)
  y = patches.reshape(groups, b * height * width, -1) @ kernels
  y = jnp.moveaxis(y.reshape(groups, b, height, width, -1), 0, 3)
  return y.reshape(b, height, width, outputs).astype(x.dtype)
