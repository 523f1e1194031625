"""Numbers that depend neither on how the work is laid out, nor on JAX's switches.

Every draw that belongs to one example comes from a key of its own, made from the place of that
example in the *global* batch. The same seed then gives the same numbers on one device, on eight,
and on several hosts, whether the step runs under jit, pmap or shard_map.

JAX_ENABLE_X64, JAX_THREEFRY_PARTITIONABLE, JAX_DEFAULT_PRNG_IMPL and JAX_NUMPY_DTYPE_PROMOTION may
be set for other code; functions that are `fixed` compute the same numbers under all of them.
"""

import contextlib
import functools
import zlib
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from flax import struct

P = ParamSpec("P")
R = TypeVar("R")

# Draws of a batch of keys of the kind "rbg" depend on the first key alone, and so on the layout.
KEYS = "threefry2x32"
FIXED: dict[str, Any] = {
  "enable_x64": False,
  "threefry_partitionable": True,
  "default_prng_impl": KEYS,
  "numpy_dtype_promotion": "standard",
}
AxisName = str | tuple[str, ...] | None  # of the mapped axes that split a batch, if any
EXAMPLES = "examples"  # collection of variables that tells a network which examples it is given


class Microbatch(struct.PyTreeNode):
  """One of the `count` microbatches of a batch: its examples index, index + count, ...

  Strided, not consecutive: on several devices each holds some of every microbatch, and no example
  is sent.
  """

  index: jax.Array | int = 0
  # Static: the number of parts shapes the program, whose loop over them traces the index.
  count: int = struct.field(pytree_node=False, default=1)


WHOLE_BATCH = Microbatch()


def fixed(function: Callable[P, R]) -> Callable[P, R]:
  """Wraps a function so that JAX's switches change none of its numbers, traced or not."""

  @functools.wraps(function)
  def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
    # For each call, and in this thread alone: other code keeps the switches that it has set.
    with contextlib.ExitStack() as stack:
      for name, value in FIXED.items():
        stack.enter_context(getattr(jax, name)(value))
      return function(*args, **kwargs)

  return wrapped


def in_32_bits(x: jax.Array) -> jax.Array:
  """Converts an array made under JAX_ENABLE_X64 to its dtype without; within `fixed`."""
  return jnp.asarray(x, dtype_in_32_bits(x))


def dtype_in_32_bits(x: Any) -> Any:
  """Returns the dtype that an array has without JAX_ENABLE_X64; within `fixed`."""
  # Typed keys have an extended dtype, which is left as it is.
  return jax.dtypes.canonicalize_dtype(x.dtype, allow_extended_dtype=True)


@fixed
def make_key(seed: int | jax.Array) -> jax.Array:
  """Builds a key of the one kind that games draw from, whatever JAX's default is.

  Raises:
    ValueError: a number outside of [0, 2^32), of which JAX would keep the last 32 bits alone.
  """
  if isinstance(seed, int) and not 0 <= seed < 2**32:
    raise ValueError(f"seed is {seed}: expected 0 <= seed < 2**32")
  return jax.random.key(seed, impl=KEYS)


def as_key(key: jax.Array) -> jax.Array:
  """Converts a key of any kind to the kind that games draw from, a seed's key to that seed's."""
  typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
  if not typed or jax.random.key_impl(key) == KEYS:
    return key
  # A key of the kind "rbg" is two equal threefry keys side by side.
  return jax.random.wrap_key_data(jax.random.key_data(key)[..., :2], impl=KEYS)


def example_keys(
  key: jax.Array, n: int, axis_name: AxisName = None, microbatch: Microbatch = WHOLE_BATCH
) -> jax.Array:
  """Derives one key for each example of this device's share of the batch.

  Args:
    key: a typed PRNG key.
    n: number of examples on this device.
    axis_name: mapped axis, or axes, that split the global batch into consecutive shares, if any.
    microbatch: microbatch that the examples form; the whole batch by default.

  Returns:
    [n] typed keys; key i is `fold_in(key, global index of example i)`.
  """
  return keys_at(key, example_places(n, axis_name, microbatch))


def keys_at(key: jax.Array, places: jax.Array) -> jax.Array:
  """Derives one key for each of these places in the global batch, int32 [n]."""
  # Folded in, not split: a place has one key, however many places this device has.
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(as_key(key), places)


def example_places(
  n: int, axis_name: AxisName = None, microbatch: Microbatch = WHOLE_BATCH
) -> jax.Array:
  """Computes the places of a device's examples in the global batch, int32 [n].

  Args:
    n: number of examples on this device.
    axis_name: mapped axis, or axes, that split the global batch into consecutive shares, if any.
    microbatch: microbatch that the examples form; the whole batch by default.
  """
  first = 0 if axis_name is None else n * jax.lax.axis_index(axis_name)
  return microbatch.index + microbatch.count * (first + jnp.arange(n))


def draw_like(draw: Callable[..., jax.Array], keys: jax.Array, x: jax.Array) -> jax.Array:
  """Samples an array like x, each example from its own key."""
  return jax.vmap(lambda key: draw(key, x.shape[1:], x.dtype))(keys)


def named_key(key: jax.Array, name: str) -> jax.Array:
  """Derives a key from a name, by a hash that is the same in every process, unlike Python's own."""
  return jax.random.fold_in(key, zlib.crc32(name.encode()))
