"""Two-dimensional Gaussian mixtures, the classic test for mode collapse.

Ring as in Metz et al. 2017 (arXiv:1611.02163), grid as in Srivastava et al. 2017
(arXiv:1705.07761). They are endless: example p is a pure function of (seed, p). The label of a
point is its mode.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.source import Seed, Source
from gan_jax.game.random import make_key


class Mixture(NamedTuple):
  """Equally likely isotropic Gaussians.

  Attributes:
    centers: float32 [modes, 2].
    std: standard deviation of each mode, along each axis.
  """

  centers: np.ndarray
  std: float


def _ring(modes: int, std: float) -> Mixture:
  angle = 2 * np.pi * np.arange(modes) / modes  # without the endpoint, or mode 0 would count twice
  return Mixture(np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32), std)


def _grid(ticks: np.ndarray, std: float) -> Mixture:
  return Mixture(
    np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32),
    std,
  )


RING8 = _ring(8, 0.01)
GRID25 = _grid(np.array([-4, -2, 0, 2, 4]), 0.05)
DIRAC = Mixture(np.zeros((1, 1), np.float32), 0.0)  # of Mescheder et al. 2018, arXiv:1801.04406
MIXTURES = {"ring8": RING8, "grid25": GRID25}  # with modes to be scored by
POINTS = MIXTURES | {"dirac": DIRAC}


def position_keys(seed: Seed, positions: jax.Array) -> jax.Array:
  """Makes one key for each position [n] of an endless source."""
  key = make_key(jnp.asarray(seed, jnp.uint32))
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, positions)


def below(n: int, bits: jax.Array) -> jax.Array:
  """Turns random uint32 into random int32 below n, uniform but for a bias of n / 2**32."""
  return (bits % np.uint32(n)).astype(jnp.int32)


def mixture_source(name: str, mixture: Mixture) -> Source:
  """Makes the endless source of points {"x": float32 [n, 2], "y": int32 [n]} of a mixture."""
  modes, dimension = mixture.centers.shape

  def point(key: jax.Array) -> dict[str, jax.Array]:
    mode_key, noise_key = jax.random.split(key)
    mode = below(modes, jax.random.bits(mode_key))
    noise = jax.random.normal(noise_key, (dimension,), jnp.float32)
    return {"x": jnp.asarray(mixture.centers)[mode] + mixture.std * noise, "y": mode}

  def draw(
    arrays: Mapping[str, jax.Array], positions: jax.Array, seed: Seed
  ) -> dict[str, jax.Array]:
    del arrays
    return jax.vmap(point)(position_keys(seed, positions))

  return Source(name, (dimension,), None, modes, {}, draw=draw)
