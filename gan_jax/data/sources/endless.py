"""Endless sources, of which example p is a pure function of (seed, p): mixtures, stacked digits.

Ring as in Metz et al. 2017 (arXiv:1611.02163), grid as in Srivastava et al. 2017
(arXiv:1705.07761): two-dimensional Gaussian mixtures, the classic test for mode collapse.
"""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.pixels import UINT8
from gan_jax.data.source import Seed, Source
from gan_jax.game.random import make_key


class Mixture(NamedTuple):
  """Equally likely isotropic Gaussians.

  Attributes:
    centers: float32 [modes, d].
    std: standard deviation of each mode, along each axis.
  """

  centers: np.ndarray
  std: float


_ANGLES = 2 * np.pi * np.arange(8) / 8  # without the endpoint, or mode 0 would count twice
RING8 = Mixture(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32), 0.01)
GRID25 = Mixture(np.array([*itertools.product((-4, -2, 0, 2, 4), repeat=2)], np.float32), 0.05)
DIRAC = Mixture(np.zeros((1, 1), np.float32), 0.0)  # of Mescheder et al. 2018, arXiv:1801.04406
# On a line, of the notebooks of adversarial flows, arXiv:2511.22475, 2604.11521.
LINE4 = Mixture(np.array([[-1.5], [-0.5], [0.5], [1.5]], np.float32), 0.05)
MIXTURES = {"ring8": RING8, "grid25": GRID25}  # with modes to be scored by
POINTS = MIXTURES | {"line4": LINE4, "dirac": DIRAC}


def position_keys(seed: Seed, positions: jax.Array) -> jax.Array:
  """Derives one key for each position [n]."""
  key = make_key(jnp.asarray(seed, jnp.uint32))
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, positions)


def below(n: int, bits: jax.Array) -> jax.Array:
  """Maps random uint32 to random int32 below n, uniform but for a bias of n / 2**32."""
  return (bits % np.uint32(n)).astype(jnp.int32)


def mixture_source(name: str, mixture: Mixture) -> Source:
  """Builds the source of points {"x": float32 [n, d], "y": int32 [n], the mode} of a mixture."""
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


def stack(name: str, digits: Source) -> Source:
  """Builds the source of three random digits as the channels of an image, labelled 100a + 10b + c.

  Stacked MNIST, hence 1000 modes: Metz et al. 2017 (arXiv:1611.02163), Srivastava et al. 2017
  (arXiv:1705.07761).

  Args:
    name: name of the new source.
    digits: grayscale images of ten classes, in memory.

  Raises:
    ValueError: the digits are something else.
  """
  gray = digits.shape[2:] == (1,) and digits.scale == UINT8
  if digits.num_classes != 10 or not gray or "x" not in digits.arrays:
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
    index = below(size, bits)  # [n, 3]
    x, y = jnp.asarray(arrays["x"])[index, :, :, 0], jnp.asarray(arrays["y"])[index]
    return {"x": jnp.moveaxis(x, 1, -1), "y": 100 * y[:, 0] + 10 * y[:, 1] + y[:, 2]}

  return Source(name, (*digits.shape[:2], 3), None, 1000, digits.arrays, draw=draw)
