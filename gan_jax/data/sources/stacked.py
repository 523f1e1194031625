"""Stacked MNIST: three random digits as the three channels of one image, hence 1000 modes.

Metz et al. 2017 (arXiv:1611.02163), Srivastava et al. 2017 (arXiv:1705.07761).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from gan_jax.data.source import Seed, Source
from gan_jax.data.sources.mixtures import below, position_keys


def stack(name: str, digits: Source) -> Source:
  """Makes the endless source of three stacked digits, labelled 100a + 10b + c.

  Args:
    name: of the new source.
    digits: grayscale images of ten classes, in memory.

  Raises:
    ValueError: the base is something else.
  """
  if digits.num_classes != 10 or digits.shape[2:] != (1,) or "x" not in digits.arrays:
    raise ValueError(
      f"{name} stacks grayscale digits of 10 classes that are in memory; {digits.name} has shape"
      f" {digits.shape}, {digits.num_classes} classes, and is"
      f" {'' if digits.arrays else 'not '}in memory. Use stacked:mnist10k, stacked:tfds:mnist or"
      " stacked:idx:<dir>"
    )
  size = len(digits.arrays["x"])

  def draw(
    arrays: Mapping[str, jax.Array], positions: jax.Array, seed: Seed
  ) -> dict[str, jax.Array]:
    bits = jax.vmap(lambda key: jax.random.bits(key, (3,)))(position_keys(seed, positions))
    chosen = below(size, bits)  # [n, 3]
    x, y = jnp.asarray(arrays["x"])[chosen, :, :, 0], jnp.asarray(arrays["y"])[chosen]
    return {"x": jnp.moveaxis(x, 1, -1), "y": 100 * y[:, 0] + 10 * y[:, 1] + y[:, 2]}

  return Source(name, (*digits.shape[:2], 3), None, 1000, digits.arrays, draw=draw)
