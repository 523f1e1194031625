"""Randomness that does not depend on how the work is laid out.

Every draw that belongs to one example comes from a key of its own, made from the place of that
example in the *global* batch. The same seed then gives the same numbers on one device, on eight,
and on several hosts, whether the step runs under jit, pmap or shard_map.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.checks import shown
from gan_jax.game.switches import KEYS, fixed

AxisName = str | tuple[str, ...] | None  # of the mapped axes that split a batch, if any


class Part(NamedTuple):
  """Which of a batch's examples are looked at at one time: number `first`, and every `of`th on.

  Not consecutive ones: on several devices each has some of every part, and none are sent.
  """

  first: jax.Array | int = 0
  of: int = 1


ALL = Part()


@fixed
def make_key(seed: int | jax.Array) -> jax.Array:
  """Makes a key of the one kind that games draw from, whatever JAX's default is."""
  return jax.random.key(seed, impl=KEYS)


def as_key(key: jax.Array) -> jax.Array:
  """Makes a key of the kind that games draw from of one of any kind; of a seed's, the seed's."""
  typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
  if not typed or jax.random.key_impl(key) == KEYS:
    return key
  # Keys of the kind "rbg" are two of ours, alike and carried along side by side.
  return jax.random.wrap_key_data(jax.random.key_data(key)[..., :2], impl=KEYS)


def example_keys(key: jax.Array, n: int, axis_name: AxisName = None, part: Part = ALL) -> jax.Array:
  """Makes one key for each example of this device's part of the batch.

  Args:
    key: a typed PRNG key.
    n: number of examples on this device.
    axis_name: mapped axis, or axes, that split the global batch into consecutive parts, if any.
    part: which of the examples they are; all by default.

  Returns:
    [n] typed keys; key i is `fold_in(key, global index of example i)`.
  """
  first = 0 if axis_name is None else n * jax.lax.axis_index(axis_name)
  places = part.first + part.of * (first + jnp.arange(n))
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(as_key(key), places)


def check_key(key: Any) -> None:
  """Refuses anything but one typed PRNG key: a seed, a key of the old kind, several keys."""
  dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
  if dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) and shape == ():
    return
  old = dtype == jnp.uint32 and len(shape or ()) == 1
  hint = "; of an old one jax.random.wrap_key_data(key) makes such a key" if old else ""
  raise ValueError(f"key is {shown(key)}: expected one typed key, as jax.random.key(0){hint}")
