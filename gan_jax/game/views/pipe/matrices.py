"""Homogeneous matrices of the plane, [..., 3, 3], and of colours, [..., 4, 4].

Karras et al. 2020, arXiv:2006.06676, appendix B. Points are columns (x, y, 1) and (r, g, b, 1);
arguments are numbers or arrays of one shape, whose matrices are stacked.
"""

from typing import Any

import jax
import jax.numpy as jnp


def matrix(*rows: tuple[Any, ...]) -> jax.Array:
  """Builds matrices of rows of entries, each a number or an array [...]."""
  entries = [jnp.asarray(x, jnp.float32) for row in rows for x in row]
  stacked = jnp.stack(jnp.broadcast_arrays(*entries), axis=-1)
  return stacked.reshape(*stacked.shape[:-1], len(rows), len(rows[0]))


def product(*factors: jax.Array) -> jax.Array:
  """Computes the product of matrices, in full precision on every device."""
  total = factors[0]
  for factor in factors[1:]:
    total = jnp.matmul(total, factor, precision=jax.lax.Precision.HIGHEST)
  return total


def translate2d(tx: Any, ty: Any) -> jax.Array:
  """Builds the translation by (tx, ty)."""
  return matrix((1, 0, tx), (0, 1, ty), (0, 0, 1))


def scale2d(sx: Any, sy: Any) -> jax.Array:
  """Builds the scaling by (sx, sy)."""
  return matrix((sx, 0, 0), (0, sy, 0), (0, 0, 1))


def rotate2d(theta: Any) -> jax.Array:
  """Builds the rotation by an angle in radians, from x to y."""
  cos, sin = jnp.cos(theta), jnp.sin(theta)
  return matrix((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))


def translate2d_inv(tx: Any, ty: Any) -> jax.Array:
  """Builds the inverse of the translation by (tx, ty)."""
  return translate2d(-tx, -ty)


def scale2d_inv(sx: Any, sy: Any) -> jax.Array:
  """Builds the inverse of the scaling by (sx, sy)."""
  return scale2d(1 / sx, 1 / sy)


def rotate2d_inv(theta: Any) -> jax.Array:
  """Builds the inverse of the rotation by an angle."""
  return rotate2d(-theta)


def translate3d(tx: Any, ty: Any, tz: Any) -> jax.Array:
  """Builds the translation by (tx, ty, tz)."""
  return matrix((1, 0, 0, tx), (0, 1, 0, ty), (0, 0, 1, tz), (0, 0, 0, 1))


def scale3d(sx: Any, sy: Any, sz: Any) -> jax.Array:
  """Builds the scaling by (sx, sy, sz)."""
  return matrix((sx, 0, 0, 0), (0, sy, 0, 0), (0, 0, sz, 0), (0, 0, 0, 1))


def rotate3d(v: Any, theta: Any) -> jax.Array:
  """Builds the rotation by an angle about a unit vector, of which three entries are read."""
  x, y, z = v[0], v[1], v[2]
  cos, sin = jnp.cos(theta), jnp.sin(theta)
  rest = 1 - cos
  return matrix(
    (x * x * rest + cos, x * y * rest - z * sin, x * z * rest + y * sin, 0),
    (y * x * rest + z * sin, y * y * rest + cos, y * z * rest - x * sin, 0),
    (z * x * rest - y * sin, z * y * rest + x * sin, z * z * rest + cos, 0),
    (0, 0, 0, 1),
  )
