"""Keys by which every draw of a normal distribution is one."""

import statistics

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

# Draws are the quantile of 23 random bits, and that of these is 1 to a millionth.
BITS = round(statistics.NormalDist().cdf(1.0) * 2**23) << 9


def key() -> jax.Array:
  """Makes such a key; what is split from it and folded into it is one too."""
  return jax.random.key(0, impl=IMPLEMENTATION)


def _bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
  assert width == 32, "draws in float32 alone"
  return jnp.full(shape, BITS, jnp.uint32)


IMPLEMENTATION = define_prng_impl(
  key_shape=(1,),
  seed=lambda seed: jnp.zeros(1, jnp.uint32),
  split=lambda key, shape: jnp.zeros((*shape, 1), jnp.uint32),
  fold_in=lambda key, data: key,
  random_bits=_bits,
  name="ones",
  tag="ones",
)
