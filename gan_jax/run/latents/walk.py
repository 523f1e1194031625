"""Walks through the latent space of a generator, as pictures that move; all close a loop."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from gan_jax import plots
from gan_jax.metrics import lerp, slerp
from gan_jax.nets.layers import ClassShares
from gan_jax.plots.images import enlarged
from gan_jax.run.evaluation.sampling import CHUNK
from gan_jax.run.latents.space import Labels, LatentSpace

Frame = tuple[np.ndarray, Any]  # (latents [n, ...], labels of each or None)
STOPS = 4  # of a walk without seeds of its own
SMALLEST = 256  # pixels that the shorter side of a film has at least


def loop(
  stops: np.ndarray, frames: int, interpolate: Callable[..., np.ndarray] = lerp
) -> np.ndarray:
  """Computes a closed walk from stop to stop and back to the first, which is not repeated.

  Args:
    stops: [k, n, ...], k stops of n walks each.
    frames: number of steps from a stop to the next.
    interpolate: `metrics.slerp` or `metrics.lerp`.

  Returns:
    float32 [k frames, n, ...]; entry i frames is stop i.
  """
  k, n, *shape = stops.shape
  flat = np.asarray(stops, np.float64).reshape(k, n, -1)
  position = np.arange(frames) / frames
  legs = [
    [interpolate(start, end, np.full(n, t)) for t in position]
    for start, end in zip(flat, np.roll(flat, -1, axis=0), strict=True)
  ]
  return np.array(legs, np.float32).reshape(k * frames, n, *shape)


def of_latents(
  space: LatentSpace, z: np.ndarray, labels: Labels, frames: int, bound: float | None = None
) -> Iterator[Frame]:
  """Walks from latent to latent: along great circles in z, along straight lines in w.

  Args:
    space: space of latents.
    z: stops, [k, n, d].
    labels: of each walk, [n], of a conditional generator.
    frames: number of frames from a stop to the next.
    bound: truncation of the stops.
  """
  stops = np.stack([space.of_z(stop, labels, bound) for stop in z])
  for latents in loop(stops, frames, slerp if space.is_z else lerp):
    yield latents, labels


def of_truncation(
  space: LatentSpace, z: np.ndarray, labels: Labels, frames: int, bounds: Sequence[float]
) -> Iterator[Frame]:
  """Walks from bound to bound of truncation, and back in the same steps.

  Args:
    space: space of latents.
    z: latents of the prior, [n, d].
    labels: of each, [n], of a conditional generator.
    frames: number of frames from a bound to the next.
    bounds: at least two.
  """
  there_and_back = np.array([*bounds, *bounds[-2:0:-1]])[:, None, None]
  for bound in loop(there_and_back, frames).ravel():
    yield space.of_z(z, labels, float(bound)), labels


def of_labels(
  space: LatentSpace, z: np.ndarray, stops: np.ndarray, frames: int, bound: float | None = None
) -> Iterator[Frame]:
  """Walks from label to label, the latents staying as they are.

  Between two classes a network sees a mean of their one-hot vectors, and so of their embeddings.

  Args:
    space: space of latents.
    z: latents of the prior, [n, d].
    stops: classes, int [k], or vectors [k, c].
    frames: number of frames from a label to the next.
    bound: truncation of all.
  """
  classes = stops.ndim == 1
  given = np.eye(space.run.example.num_classes or 0)[stops] if classes else stops
  for label in loop(np.repeat(given[:, None], len(z), axis=1), frames):
    labels = ClassShares(label) if classes else label
    yield space.of_z(z, labels, bound), labels


def film(space: LatentSpace, walk: Iterator[Frame]) -> Iterator[Any]:
  """Draws the frames of a walk, a grid of examples each, uint8 [H, W, C].

  Args:
    space: space of latents.
    walk: latents and labels of each frame.
  """
  pending: list[Frame] = []
  for frame in walk:
    pending.append(frame)
    if len(pending) * len(frame[0]) >= CHUNK:
      yield from _drawn(space, pending)
      pending = []
  if pending:
    yield from _drawn(space, pending)


def _drawn(space: LatentSpace, frames: list[Frame]) -> Iterator[Any]:
  n = len(frames[0][0])
  latents, labels = jax.tree.map(lambda *parts: np.concatenate(parts), *frames)
  # A walk is along the latents alone: what is drawn for an example stays as it is.
  x = space.examples(latents, labels, np.tile(np.arange(n), len(frames)))
  for images in np.split(space.shown(x), len(frames)):
    yield enlarged(plots.grid(images), SMALLEST)
