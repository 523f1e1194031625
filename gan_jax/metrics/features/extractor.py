"""The one interface of all feature extractors: uint8 [N, H, W, C] -> features [N, d].

Those without a network look at arrays of any shape [N, ...].

    features = extract(pixels(), images)["features"]
    total = functools.reduce(merge, (moments(x["features"]) for x in stream(pixels(), images)))

Images are scaled by a fixed range, never by what a batch holds; every device takes its share of a
batch; the last batch is filled up, so that one program is compiled, and the filling is dropped.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial

from gan_jax.game.random import fixed
from gan_jax.metrics.features.cache import content_hash, load_or_make, writable_cache_folder
from gan_jax.parallel.mesh import replicate, split

Outputs = dict[str, np.ndarray]


class Extractor(NamedTuple):
  """A feature extractor.

  Attributes:
    card: description for every score card: its "name", "version", the "sha256" of its
      weights or None, the "width" of its features, the "range" that pixels are scaled to, and how
      images are "resize"d or None.
    apply: uint8 images [B, H, W, C] -> {"features": float32 [B, d]}, and "logits" [B, k] or
      "spatial" [B, s] where there are any. A pure function of each image alone. With
      weights it is a `jax.tree_util.Partial(function, weights)`, so that these are handed to the
      compiled program and not copied into it. Called directly, it takes float images from 0 to 255
      as well (see `forward`).
    any_shape: whether it is of arrays of any shape, as those without a network are.
  """

  card: dict[str, Any]
  apply: Callable[[jax.Array], dict[str, jax.Array]]
  any_shape: bool = False


def extract(extractor: Extractor, images: np.ndarray, *, batch_size: int = 100) -> Outputs:
  """Extracts features of images.

  Args:
    extractor: feature extractor.
    images: uint8 [N, H, W, C], N >= 1.
    batch_size: number of images at a time, over all devices of this process; rounded up to a
      multiple of their number, and no more than all images.

  Returns:
    {name: float32 [N, ...]} on the host, with the names that `extractor.apply` returns. The numbers
    do not depend on the batch size or the devices, but for rounding.

  Raises:
    ValueError: other images or none, or a batch size that is not positive.
  """
  parts = list(stream(extractor, images, batch_size=batch_size))
  return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def extract_cached(extractor: Extractor, images: np.ndarray) -> Outputs:
  """Extracts features as `extract` does, or loads those of the same images and network.

  Args:
    extractor: extractor, identified by its card with the checksum of its weights.
    images: uint8 [N, H, W, C].

  Returns:
    Outputs as of `extract`.
  """
  if extractor.card["sha256"] is None:  # no network: faster to compute than to read
    return extract(extractor, images)
  key = content_hash({"x": images}, json.dumps(extractor.card, sort_keys=True))
  path = writable_cache_folder(None) / f"seen-{key[:32]}.msgpack"
  return load_or_make(path, "features", lambda: extract(extractor, images))


def stream(extractor: Extractor, images: np.ndarray, *, batch_size: int = 100) -> Iterator[Outputs]:
  """Extracts features as `extract` does, a batch at a time, to hold no more in memory.

  Yields:
    {name: float32 [n, ...]}, n at most the batch size, padding removed.
  """
  fits = images.ndim == 4 or (extractor.any_shape and images.ndim > 1)
  if images.dtype not in (np.uint8, np.float32) or not fits or len(images) == 0:
    raise ValueError(
      f"images are {images.dtype} {list(images.shape)}: expected uint8 [N, H, W, C] with N >= 1, or"
      " float32 from 0 to 255 of data that are not uint8; quantise what a generator makes, as a"
      " saved PNG would"
    )
  if batch_size < 1:
    raise ValueError(f"batch_size is {batch_size}: expected 1 or more")
  # The devices of this process: on several hosts, each looks at its own images.
  mesh = Mesh(np.array(jax.local_devices()), ("data",))
  size = -(-min(batch_size, len(images)) // mesh.size) * mesh.size
  apply = replicate(_partial(extractor), mesh)
  pending: tuple[Any, int] | None = None
  for first in range(0, len(images), size):
    batch = np.asarray(images[first : first + size])
    padding = np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)
    dispatched = _forward(apply, split(np.concatenate([batch, padding]), mesh)), len(batch)
    if pending is not None:  # fetched while the devices work on the next
      yield _fetch(*pending)
    pending = dispatched
  assert pending is not None
  yield _fetch(*pending)


def forward(extractor: Extractor, images: jax.Array) -> dict[str, jax.Array]:
  """Applies an extractor to one batch on its devices: differentiable, and of unrounded images.

  Args:
    extractor: feature extractor.
    images: [B, H, W, C], uint8 or float from 0 to 255.

  Returns:
    Outputs of `extractor.apply`, on the devices.
  """
  return _forward(_partial(extractor), images)


@jax.jit
@fixed
def _forward(apply: Partial, images: jax.Array) -> dict[str, jax.Array]:
  with jax.default_matmul_precision("highest"):  # bfloat16 or tf32 would be a device's own score
    return apply(images)


def _partial(extractor: Extractor) -> Partial:
  apply = extractor.apply
  return apply if isinstance(apply, Partial) else Partial(apply)


def _fetch(outputs: dict[str, jax.Array], n: int) -> Outputs:
  return {name: np.asarray(x)[:n] for name, x in outputs.items()}
