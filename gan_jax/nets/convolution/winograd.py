"""Convolutions of 3 x 3 with fewer multiplications, by Winograd's products of tiles.

Two neighbouring sums of three products, y[i] = k[0] x[i] + k[1] x[i + 1] + k[2] x[i + 2], take four
multiplications in place of six, and two by two places of a plane 16 in place of 36 (Winograd 1980;
Lavin and Gray 2015, arXiv:1509.09308). Tiles of 2 x 2 are as exact as direct sums in float32, those
of 4 x 4 are not: rounding is three to ten times as large there. Tiles of 16-bit floats are float32,
and round once, at the end: as factors of 16 bits they would round more than plain products do.

With maps of an array x, a kernel k and an array y to the 16 numbers of a tile, the trilinear
function of `im2col.py` is a sum over those numbers, one small product of matrices for each:

  T(x, k, y) = sum over p of <_tiles(x)[p] _points(k)[p], _spread(y)[p]>.

Its derivatives are `winograd_conv` and `kernel_gradient`, each the derivative of the other.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gan_jax.nets.convolution.chunks import over_batch
from gan_jax.nets.convolution.direct import turned

# The three maps along one axis, for tiles of 2 places and 4 numbers: y = Oᵀ [(K k) * (I x)].
_INPUT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OUTPUT = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])


@jax.custom_vjp
def winograd_conv(x: jax.Array, k: jax.Array) -> jax.Array:
  """Convolves x [B, H, W, C] with k [3, 3, C, D] at stride 1, zeros around: [B, H, W, D]."""
  points = lax.optimization_barrier(_points(k.astype(_wide(x.dtype))))

  def step(x: jax.Array) -> tuple[jax.Array, tuple[()]]:
    tiles = lax.optimization_barrier(_tiles(x))
    sums = [tile @ point for tile, point in zip(tiles, points, strict=True)]
    return _joined(lax.optimization_barrier(sums), x.shape).astype(x.dtype), ()

  return over_batch(step, (x,), _tile_bytes(x, k.shape[-1]))[0]


@jax.custom_vjp
def kernel_gradient(x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes the gradient in k of `winograd_conv`, from x and the gradient y: [3, 3, C, D].

  It is of the type of x, and float32 of 16-bit floats.
  """

  def step(x: jax.Array, y: jax.Array) -> tuple[tuple[()], jax.Array]:
    tiles, parts = lax.optimization_barrier((_tiles(x), _spread(y)))
    return (), jnp.stack([tile.T @ part for tile, part in zip(tiles, parts, strict=True)])

  sums = over_batch(step, (x, y), _tile_bytes(x, y.shape[-1]))[1]
  sums = sums.reshape(4, 4, *sums.shape[1:])
  return jnp.einsum("ah,bw,abcd->hwcd", *_kernel_maps(sums), sums, precision="highest")


def _conv_backward(saved: Any, g: jax.Array) -> Any:
  x, k = saved
  return winograd_conv(g, turned(k)), kernel_gradient(x, g).astype(k.dtype)


def _kernel_gradient_backward(saved: Any, g: jax.Array) -> Any:
  x, y = saved
  return winograd_conv(y, turned(g)), winograd_conv(x, g)


winograd_conv.defvjp(lambda *given: (winograd_conv(*given), given), _conv_backward)
kernel_gradient.defvjp(lambda *given: (kernel_gradient(*given), given), _kernel_gradient_backward)


def _wide(dtype: Any) -> Any:
  """Returns the type of tiles: that of an array, and of 16-bit floats float32."""
  return jnp.promote_types(dtype, jnp.float32)


def _tile_bytes(x: jax.Array, outputs: int) -> int:
  """Counts the bytes of one example's tiles, or of their products if those are larger."""
  _, height, width, inputs = x.shape
  return 16 * -(-height // 2) * -(-width // 2) * max(inputs, outputs) * _wide(x.dtype).itemsize


def _points(k: jax.Array) -> jax.Array:
  """Maps a kernel [3, 3, C, D] to matrices [16, C, D]."""
  points = jnp.einsum("ah,bw,hwcd->abcd", *_kernel_maps(k), k, precision="highest")
  return points.reshape(16, *k.shape[2:])


def _kernel_maps(like: jax.Array) -> tuple[jax.Array, jax.Array]:
  return (jnp.asarray(_KERNEL, like.dtype),) * 2


def _tiles(x: jax.Array) -> list[jax.Array]:
  """Maps windows of 4 x 4 at stride 2, with zeros around: 16 of [B H/2 W/2, C], rounded up."""
  pairs = _in_pairs(x.astype(_wide(x.dtype)), 1)
  rows = _windows(pairs[:, :, 0], pairs[:, :, 1], 1)
  tiles = (tile for row in rows for tile in _windows(row[:, :, :, 0], row[:, :, :, 1], 2))
  return [tile.reshape(-1, x.shape[-1]) for tile in tiles]


def _windows(even: jax.Array, odd: jax.Array, axis: int) -> list[jax.Array]:
  """Maps each pair of places along an axis, with the pair after it, to four numbers."""
  first = lambda x: lax.slice_in_dim(x, 0, -1, axis=axis)
  then = lambda x: lax.slice_in_dim(x, 1, None, axis=axis)
  return _combined(_INPUT, [first(even), first(odd), then(even), then(odd)])


def _spread(y: jax.Array) -> list[jax.Array]:
  """Maps squares of 2 x 2 of [B, H, W, D], the last ones with zeros: 16 of [B H/2 W/2, D]."""
  pairs = _in_pairs(y.astype(_wide(y.dtype)), 0)
  rows = _combined(_OUTPUT, [pairs[:, :, 0], pairs[:, :, 1]])
  parts = (part for row in rows for part in _combined(_OUTPUT, [row[:, :, :, 0], row[:, :, :, 1]]))
  return [part.reshape(-1, y.shape[-1]) for part in parts]


def _joined(sums: Sequence[jax.Array], shape: Sequence[int]) -> jax.Array:
  """Maps 16 of [B H/2 W/2, D] to squares: [B, H, W, D], the adjoint of `_spread`."""
  (batch, height, width, _), outputs = shape, sums[0].shape[-1]
  size = (batch, -(-height // 2), -(-width // 2), outputs)
  columns = [_combined(_OUTPUT.T, sums[i::4]) for i in range(4)]
  rows = [_combined(_OUTPUT.T, column) for column in zip(*columns, strict=True)]
  squares = [jnp.stack([place.reshape(size) for place in row], 3) for row in rows]
  y = jnp.stack(squares, 2).reshape(batch, 2 * size[1], 2 * size[2], outputs)
  return y[:, :height, :width]


def _in_pairs(x: jax.Array, around: int) -> jax.Array:
  """Pads both sides to whole pairs: [B, H, W, C] -> [B, H/2, 2, W/2, 2, C]."""
  b, height, width, c = x.shape
  sides = [(around, around + side % 2) for side in (height, width)]
  padded = jnp.pad(x, ((0, 0), *sides, (0, 0)))
  return padded.reshape(b, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2, c)


def _combined(weights: np.ndarray, arrays: Sequence[jax.Array]) -> list[jax.Array]:
  """Adds up arrays with weights of 0, 1 and -1: a sum for each row of weights."""
  return [
    functools.reduce(jnp.add, [int(w) * x for w, x in zip(row, arrays, strict=True) if w])
    for row in weights
  ]
