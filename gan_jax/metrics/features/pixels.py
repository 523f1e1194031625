"""Features without a network, of any array: its numbers, and a fixed random projection of them."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gan_jax.metrics.features.extractor import Extractor

VERSION = 1  # of how the projection is drawn
WIDTH = 512  # of the projection


def pixels() -> Extractor:
  """Builds the extractor whose features are the pixels, from 0 to 1.

  Returns:
    Features [B, d], one for each number of an example.
  """
  card = {"name": "pixels", "version": VERSION, "sha256": None, "width": None}
  return Extractor({**card, "range": [0, 1], "resize": None}, _pixels, any_shape=True)


def random_projection(shape: tuple[int, ...], *, width: int = WIDTH, seed: int = 0) -> Extractor:
  """Builds the extractor whose features are a fixed Gaussian projection of the pixels.

  It keeps squared distances in the mean over seeds, and each to about √(2 / width) of itself
  (Johnson & Lindenstrauss 1984).

  Args:
    shape: of the examples.
    width: of the features.
    seed: of the projection; the same shape, width and seed give the same numbers for good.

  Returns:
    Features [B, width]; images of another shape raise a ValueError.

  Raises:
    ValueError: a width that is not positive.
  """
  if width < 1:
    raise ValueError(f"width is {width}: expected 1 or more")
  matrix = _gaussian(tuple(shape), width, seed)
  card = {
    "name": "random projection",
    "version": VERSION,
    "sha256": hashlib.sha256(matrix.data).hexdigest(),
    "width": width,
    "seed": seed,
    "range": [0, 1],
    "resize": None,
  }
  return Extractor(card, Partial(_project, jnp.asarray(matrix)), any_shape=True)


def _pixels(images: jax.Array) -> dict[str, jax.Array]:
  return {"features": images.reshape(len(images), -1).astype(jnp.float32) / 255}


def _project(matrix: jax.Array, images: jax.Array) -> dict[str, jax.Array]:
  flat = _pixels(images)["features"]
  if flat.shape[1] != len(matrix):
    raise ValueError(
      f"images {list(images.shape)} have {flat.shape[1]} numbers each: this projection was made for"
      f" {len(matrix)}"
    )
  return {"features": flat @ matrix}


def _gaussian(shape: tuple[int, ...], width: int, seed: int) -> np.ndarray:
  """Samples a matrix of N(0, 1 / width), float32 [H W C, width]."""
  rng = np.random.RandomState(seed)  # the one generator whose numbers NumPy promises not to change
  rows = [rng.standard_normal(width).astype(np.float32) for _ in range(int(np.prod(shape)))]
  return np.stack(rows) / np.float32(np.sqrt(width))
