"""The extractor of InceptionV3 of 2015-12-05: its weights loaded, its images prepared.

Scores compare only if the images reached the network in the same way. Here they are resized to
299 x 299 by bilinear interpolation between pixel centres (half-pixel, no antialiasing) and scaled
by 2x/255 - 1, as in pytorch-fid. The TensorFlow graph, and torch-fidelity with it, leaves out the
half pixel, which moves an image of 32 x 32 by 4 of the 299 pixels, and scales by (x - 128) / 128:
on CIFAR-10, inputs from -1 to 1 differ by 0.067 on average (first 1,000 test images). clean-fid
resizes with an antialiasing bicubic filter. The card says which it was.
"""

import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gan_jax.game.random import make_key
from gan_jax.metrics.features import weights
from gan_jax.metrics.features.extractor import Extractor
from gan_jax.metrics.features.inception.network import Network

VERSION = 1  # of all that changes the features, in `network.py` as well
SIZE = 299  # pixels of a side
WIDTH = 2048  # of the features


def inception(
  path: str | os.PathLike[str] | None = None, *, sha256: str | None = weights.SHA256
) -> Extractor:
  """Builds the extractor of what `Network` returns, of images of 1 or 3 channels.

  Args:
    path: of its weights, a PyTorch file or an .npz of ours; see `weights.find` for where it is
      looked for if None.
    sha256: checksum that the PyTorch file must have; None allows other weights.

  Returns:
    The extractor, of uint8 images [B, H, W, 1 or 3].

  Raises:
    FileNotFoundError: there are no weights; says where to get them.
    ValueError: the file is damaged, or of something else.
  """
  loaded = weights.load(path, sha256=sha256)
  card = {
    "name": "InceptionV3 of 2015-12-05",
    "version": VERSION,
    "width": WIDTH,
    "sha256": loaded.sha256,
    "resize": f"{SIZE} x {SIZE}, bilinear, half-pixel, no antialiasing",
    "range": "2x/255 - 1",
    "logits": "without bias",
  }
  return Extractor(card, Partial(_forward, jax.device_put(variables_of(loaded.arrays))))


def prepare(images: jax.Array) -> jax.Array:
  """Brings images to the size and range of the network.

  Args:
    images: [B, H, W, C] from 0 to 255, uint8 or, where rounding would hide a step, float; gray
      ones (C = 1) are repeated to 3 channels.

  Returns:
    float32 [B, 299, 299, 3] from -1 to 1.

  Raises:
    ValueError: another type or shape.
  """
  number = images.dtype == jnp.uint8 or jnp.issubdtype(images.dtype, jnp.floating)
  if not number or images.ndim != 4 or images.shape[-1] not in (1, 3):
    raise ValueError(
      f"images are {images.dtype} {list(images.shape)}: InceptionV3 expects uint8 [B, H, W, 1 or 3]"
    )
  x = jax.image.resize(
    images.astype(jnp.float32),
    (len(images), SIZE, SIZE, images.shape[-1]),
    "bilinear",
    antialias=False,
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.broadcast_to(2 * x / 255 - 1, (*x.shape[:-1], 3))


def variables_of(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Arranges weights as the network has them.

  Args:
    arrays: the arrays of the PyTorch file by their names; those that the network has no use for
      ("fc.bias" and counters of training steps) may be missing.

  Returns:
    {"params": ..., "batch_stats": ...} in float32, on the host.

  Raises:
    ValueError: an array is missing, or has another shape.
  """
  take = lambda path, leaf: _take(arrays, [key.key for key in path[1:]], leaf.shape)
  return jax.tree_util.tree_map_with_path(take, _shapes())


@functools.cache
def _shapes() -> Any:
  image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
  return jax.eval_shape(Network().init, make_key(0), image)


_NAMES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def _take(arrays: Mapping[str, np.ndarray], path: list[str], shape: tuple[int, ...]) -> np.ndarray:
  """Returns the array of one leaf: a kernel of PyTorch is [O, I, *window], ours [*window, I, O]."""
  *modules, leaf = path
  name = ".".join([*modules, _NAMES.get(leaf, leaf)])
  if name not in arrays:
    raise ValueError(f"the weights have no {name}: these are not of InceptionV3 as FID uses it")
  axes = [*range(2, len(shape)), 1, 0] if leaf == "kernel" else [0]
  array = np.asarray(arrays[name], np.float32)
  if array.ndim != len(axes) or array.transpose(axes).shape != shape:
    expected = [shape[axes.index(i)] for i in range(len(axes))]
    raise ValueError(
      f"the weights have {name} of shape {list(array.shape)}: InceptionV3 of 2015-12-05, as FID"
      f" uses it, has {expected}"
    )
  return np.ascontiguousarray(array.transpose(axes))


def _forward(variables: Any, images: jax.Array) -> Any:
  return Network().apply(variables, prepare(images))
