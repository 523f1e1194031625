"""Batches in chunks: what a convolution makes of one is still in cache when it is read."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.nets.convolution.products import bits

# A chunk of patches this large (bytes) is still in cache when it is multiplied.
PATCH_BYTES = 10 * 2**20


def over_batch(
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

  cut = [x.reshape(-1, chunk, *x.shape[1:]) for x in examples]
  one = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in cut]
  shapes = jax.eval_shape(step, *one)

  # Into and out of the loop 16-bit floats go as bits: with every chunk XLA on CPU would convert the
  # results of all chunks to float32 and back.
  def add(sums: Any, chunks: Any) -> tuple[Any, Any]:
    # Behind a barrier all threads compute the results, which XLA on CPU would compute by one where
    # it puts them among those of other chunks.
    each, more = lax.optimization_barrier(step(*map(_floats, chunks, one)))
    return jax.tree.map(jnp.add, sums, more), jax.tree.map(bits, each)

  zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes[1])
  sums, each = lax.scan(add, zeros, [bits(x) for x in cut])
  each = jax.tree.map(_floats, each, shapes[0])
  return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), each), sums


def _floats(x: jax.Array, like: jax.ShapeDtypeStruct) -> jax.Array:
  """Returns `bits` as the floats that they are of."""
  return lax.bitcast_convert_type(x, like.dtype) if x.dtype != like.dtype else x


def _chunk(batch: int, bytes_each: int) -> int:
  """Returns the largest divisor of the batch whose patches fit PATCH_BYTES.

  With several devices it is the whole batch: that may lie in parts on all of them, and cutting it
  across those parts would send activations from device to device.
  """
  if jax.device_count() > 1:
    return batch
  most = max(1, PATCH_BYTES // bytes_each)
  return max(n for n in range(1, min(batch, most) + 1) if batch % n == 0)
