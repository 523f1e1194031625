"""Matrix products that add up in float32, each other's derivatives, in the form that a CPU needs.

XLA on CPU multiplies 16-bit floats fast only where the result is float32, the left factor is
contracted along its rows, and both are contiguous; a transposition of a matrix it folds into the
product, which then is one of float32 (seen in the optimised HLO of jax 0.10).

They rest on one trilinear function of x [B, C], k [C, D] and y [B, D],

  <multiply(x, k), y> = <x, multiply_back(y, k)> = <k, outer(x, y)>,

whose three partial derivatives are three products, each the derivative of the other two. Sums over
rows, which the gradients of biases and the statistics of batches are, are products as well.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


@jax.custom_vjp
def multiply(x: jax.Array, k: jax.Array) -> jax.Array:
  """Computes y = x k, of x's dtype, from x [B, C] and k [C, D] of any."""
  return product(x, k.astype(x.dtype)).astype(x.dtype)


@jax.custom_vjp
def multiply_back(y: jax.Array, k: jax.Array) -> jax.Array:
  """Computes x = y kᵀ, of y's dtype."""
  return product(y, k.astype(y.dtype), axis=1).astype(y.dtype)


@jax.custom_vjp
def outer(x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes k = xᵀ y, float32."""
  (b, c), d = x.shape, y.shape[1]
  if b * (c - d) > 2 * c * d:  # y and the result are quicker to transpose than x
    return rows(product(rows(y), x))
  return product(rows(x), y)


def _multiply_backward(saved: Any, g: jax.Array) -> Any:
  x, k = saved
  return multiply_back(g, k), outer(x, g).astype(k.dtype)


def _multiply_back_backward(saved: Any, g: jax.Array) -> Any:
  y, k = saved
  return multiply(g, k), outer(g, y).astype(k.dtype)


def _outer_backward(saved: Any, g: jax.Array) -> Any:
  x, y = saved
  return multiply_back(y, g), multiply(x, g)


multiply.defvjp(lambda *given: (multiply(*given), given), _multiply_backward)
multiply_back.defvjp(lambda *given: (multiply_back(*given), given), _multiply_back_backward)
outer.defvjp(lambda *given: (outer(*given), given), _outer_backward)


# Without rules of their own, so that networks in float32 differentiate in forward mode too: each is
# what JAX derives of the other. XLA turns a product with one column of ones into a repetition.


def sum_rows(x: jax.Array) -> jax.Array:
  """Adds up the rows of x [N, C]: [C], float32 of 16-bit floats."""
  # As a product: XLA on CPU adds up columns on one thread, one number after the other.
  sums = jnp.promote_types(x.dtype, jnp.float32)
  return jnp.matmul(jnp.ones((1, len(x)), x.dtype), x, preferred_element_type=sums)[0]


def repeat_row(row: jax.Array, n: int) -> jax.Array:
  """Repeats a row [C] n times: [n, C]."""
  return jnp.ones((n, 1), row.dtype) @ row[None]


def product(a: jax.Array, b: jax.Array, axis: int = 0) -> jax.Array:
  """Multiplies matrices along the last axis of a and an axis of b, adding up in float32."""
  # The barriers keep XLA from folding a transposition beside the product into it: on CPU it then
  # finds no way to multiply in bfloat16, and stops.
  total = lax.dot_general(
    lax.optimization_barrier(a),
    b,
    (((1,), (axis,)), ((), ())),
    preferred_element_type=jnp.promote_types(a.dtype, jnp.float32),
  )
  return lax.optimization_barrier(total)


def rows(x: jax.Array) -> jax.Array:
  """Transposes: [..., D] -> [D, the rest]."""
  # The barrier keeps XLA from folding the transposition into the product, the reshape makes the
  # rows contiguous; of a matrix it would be none, and XLA would multiply in float32.
  x = x[:, None] if x.ndim == 2 else x
  transposed = lax.bitcast_convert_type(jnp.moveaxis(bits(x), -1, 0), x.dtype)
  return lax.optimization_barrier(transposed).reshape(x.shape[-1], -1)


def bits(x: jax.Array) -> jax.Array:
  """Returns 16-bit floats as the integers of the same bits, and all else as it is."""
  # XLA on CPU copies 16-bit floats by way of float32, and integers as they are.
  return lax.bitcast_convert_type(x, jnp.uint16) if x.dtype.itemsize == 2 else x
