"""Randomness that does not depend on how the work is laid out.

Every draw that belongs to one example comes from a key of its own, made from the place of that
example in the *global* batch. The same seed then gives the same numbers on one device, on eight,
and on several hosts, whether the step runs under jit, pmap or shard_map.
"""

import jax
import jax.numpy as jnp

AxisName = str | tuple[str, ...] | None  # of the mapped axes that split a batch, if any


def example_keys(key: jax.Array, n: int, axis_name: AxisName = None) -> jax.Array:
  """Makes one key for each example of this device's part of the batch.

  Args:
    key: a typed PRNG key.
    n: number of examples on this device.
    axis_name: mapped axis, or axes, that split the global batch into consecutive parts, if any.

  Returns:
    [n] typed keys; key i is `fold_in(key, global index of example i)`.
  """
  first = 0 if axis_name is None else n * jax.lax.axis_index(axis_name)
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, first + jnp.arange(n))
