"""The pool of earlier fakes, which D is shown again: Shrivastava et al. 2017, arXiv:1612.07828."""

from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.game.core import PyTree, StepContext
from gan_jax.game.random import named_key


def new_pool(size: int, shape: tuple[int, ...]) -> dict[str, jax.Array]:
  """Builds an empty pool of `size` images: {"images": [size, ...], "count": int32}."""
  return {"images": jnp.zeros((size, *shape)), "count": jnp.zeros((), jnp.int32)}


def draw_from_pool(
  pool: PyTree, images: jax.Array, swap: jax.Array, place: jax.Array
) -> tuple[jax.Array, PyTree]:
  """Exchanges images with a pool of earlier ones, one after the other.

  Shrivastava et al. 2017, arXiv:1612.07828. While the pool has room an image is kept and shown.
  Then either it takes the place of an earlier one, which is shown, or it is shown and not kept.

  Args:
    pool: the pool.
    images: images [B, ...].
    swap: bool [B], whether an image takes the place of an earlier one, once the pool is full.
    place: int [B], the place that it takes.

  Returns:
    (images to show [B, ...], the pool after).
  """
  size = len(pool["images"])

  def exchange(pool: PyTree, given: Any) -> tuple[PyTree, jax.Array]:
    image, swap, place = given
    has_room = pool["count"] < size
    # Filled from the front; an image that finds room is shown at once, and kept as well.
    place = jnp.where(has_room, pool["count"], place)
    earlier = pool["images"][place]
    stored = jnp.where(has_room | swap, image, earlier)
    new = {
      "images": pool["images"].at[place].set(stored),
      "count": jnp.minimum(pool["count"] + 1, size),
    }
    return new, jnp.where(swap & ~has_room, earlier, image)

  # One by one, as published: an image may be exchanged for one of the same batch.
  pool, to_show = jax.lax.scan(exchange, pool, (images, swap, place))
  return to_show, pool


def from_pool(
  pool: PyTree, name: str, fake: jax.Array, context: StepContext
) -> tuple[jax.Array, PyTree]:
  """Exchanges the fakes of the global batch with a pool.

  Args:
    pool: the pool.
    name: its name in `State.carried`, which its draws are keyed by.
    fake: fakes [B, ...], this device's share.
    context: context of the move.

  Returns:
    (fakes to show [B, ...], the pool after, equal on all devices).

  Raises:
    ValueError: the batch comes in microbatches.
  """
  if context.microbatch.count > 1:
    raise ValueError(
      "a pool exchanges the fakes of a batch one after the other: set microbatches = 1, or pool = 0"
    )
  key, n, size = named_key(context.key, name), len(fake), len(pool["images"])
  # By example, so that the exchange is the same on every layout.
  draw = lambda key: (
    jax.random.uniform(jax.random.fold_in(key, 0)) > 0.5,
    jax.random.randint(jax.random.fold_in(key, 1), (), 0, size),
  )
  given = fake, *jax.vmap(draw)(context.example_keys(key, n))
  if context.axis_name is None:
    return draw_from_pool(pool, *given)
  # All devices exchange the fakes of all, in one order: the pool stays equal on them.
  gathered = jax.lax.all_gather(given, context.axis_name, tiled=True)
  to_show, pool = draw_from_pool(pool, *gathered)
  first = n * jax.lax.axis_index(context.axis_name)
  return jax.lax.dynamic_slice_in_dim(to_show, first, n), pool
