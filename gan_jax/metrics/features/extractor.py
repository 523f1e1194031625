"""The one interface of all that looks at images: uint8 [N, H, W, C] -> features [N, d].

    features = extract(pixels(), images)["features"]
    total = functools.reduce(merge, (moments(x["features"]) for x in stream(pixels(), images)))

Images are scaled by a fixed range, never by what a batch holds; every device takes its share of a
batch; the last batch is filled up, so that one program is compiled, and the filling is dropped.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.tree_util import Partial

from gan_jax.game.random import fixed
from gan_jax.parallel.mesh import replicate, split

Outputs = dict[str, np.ndarray]


class Extractor(NamedTuple):
  """A way to look at images.

  Attributes:
    card: what every score made with it has to say: its "name", "version", the "sha256" of its
      weights or None, the "width" of its features, the "range" that pixels are scaled to, and how
      images are "resize"d or None.
    apply: uint8 images [B, H, W, C] -> {"features": float32 [B, d]}, and "logits" [B, k] or
      "spatial" [B, s] where there are any. A pure function that looks at each image alone. With
      weights it is a `jax.tree_util.Partial(function, weights)`, so that these are handed to the
      compiled program and not copied into it. Called directly, it takes float images from 0 to 255
      as well (see `look`).
  """

  card: dict[str, Any]
  apply: Callable[[jax.Array], dict[str, jax.Array]]


def extract(extractor: Extractor, images: np.ndarray, *, batch_size: int = 100) -> Outputs:
  """Looks at images.

  Args:
    extractor: what looks.
    images: uint8 [N, H, W, C], N >= 1.
    batch_size: images at a time, over all devices of this process; rounded up to a multiple of
      their number, and no more than all images.

  Returns:
    {name: float32 [N, ...]} on the host, with the names that `extractor.apply` returns. The numbers
    do not depend on the batch size or the devices, but for rounding.

  Raises:
    ValueError: other images or none, or a batch size that is not positive.
  """
  parts = list(stream(extractor, images, batch_size=batch_size))
  return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stream(extractor: Extractor, images: np.ndarray, *, batch_size: int = 100) -> Iterator[Outputs]:
  """Looks at images as `extract` does, a batch at a time, for what need not be held all at once.

  Yields:
    {name: float32 [n, ...]}, n at most the batch size and without what was filled in.
  """
  _check(images, batch_size)
  # The devices of this process: on several hosts, each looks at its own images.
  mesh = Mesh(np.array(jax.local_devices()), ("data",))
  size = -(-min(batch_size, len(images)) // mesh.size) * mesh.size
  apply = replicate(_partial(extractor), mesh)
  waiting: tuple[Any, int] | None = None
  for first in range(0, len(images), size):
    batch = np.asarray(images[first : first + size])
    fill = np.zeros((size - len(batch), *batch.shape[1:]), np.uint8)
    begun = _look(apply, split(np.concatenate([batch, fill]), mesh)), len(batch)
    if waiting is not None:  # fetched while the devices work on the next
      yield _fetch(*waiting)
    waiting = begun
  assert waiting is not None
  yield _fetch(*waiting)


def look(extractor: Extractor, images: jax.Array) -> dict[str, jax.Array]:
  """Looks at one batch where it lies, for what must be differentiable or must not be rounded.

  Args:
    extractor: what looks.
    images: [B, H, W, C], uint8 or float from 0 to 255.

  Returns:
    What `extractor.apply` returns, on the device.
  """
  return _look(_partial(extractor), images)


@jax.jit
@fixed
def _look(apply: Partial, images: jax.Array) -> dict[str, jax.Array]:
  with jax.default_matmul_precision("highest"):  # bfloat16 or tf32 would be a device's own score
    return apply(images)


def _partial(extractor: Extractor) -> Partial:
  apply = extractor.apply
  return apply if isinstance(apply, Partial) else Partial(apply)


def _fetch(outputs: dict[str, jax.Array], n: int) -> Outputs:
  return {name: np.asarray(x)[:n] for name, x in outputs.items()}


def _check(images: np.ndarray, batch_size: int) -> None:
  if images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
    raise ValueError(
      f"images are {images.dtype} {list(images.shape)}: expected uint8 [N, H, W, C] with N >= 1; "
      "quantise what a generator makes, as a saved PNG would"
    )
  if batch_size < 1:
    raise ValueError(f"batch_size is {batch_size}: expected 1 or more")
