"""Perceptual path length: how far the image moves when the latent takes a small step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gan_jax.metrics.diversity import Average, average

Interpolation = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Paths(NamedTuple):
  """Steps on paths between latents, and what sees where they lead: of `perceptual_path_length`."""

  generate: Callable[..., Any]
  embed: Callable[[Any], Any]
  start: np.ndarray
  end: np.ndarray
  positions: np.ndarray
  labels: np.ndarray | None = None


def lerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
  """Interpolates along straight lines: [n, d], [n, d], [n] -> [n, d]."""
  return start + (end - start) * t[:, None]


def slerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
  """Interpolates along arcs: [n, d], [n, d], [n] -> [n, d].

  Shoemake 1985, for vectors of any length: the angle is that between their directions. Vectors on
  one line have no arc, and are interpolated along it.
  """
  lengths = np.linalg.norm(start, axis=1) * np.linalg.norm(end, axis=1)
  cosine = (start * end).sum(axis=1) / np.where(lengths > 0, lengths, 1)
  angle, t = np.arccos(np.clip(cosine, -1, 1))[:, None], t[:, None]
  line = (np.sin(angle) < 1e-6) | (lengths[:, None] == 0)
  sine = np.where(line, 1, np.sin(angle))
  arc = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / sine
  return np.where(line, start + (end - start) * t, arc)


def perceptual_path_length(
  generate: Callable[..., Any],
  embed: Callable[[Any], Any],
  start: np.ndarray,
  end: np.ndarray,
  positions: np.ndarray,
  labels: np.ndarray | None = None,
  *,
  interpolate: Interpolation = slerp,
  epsilon: float = 1e-4,
  discard: float = 0.01,
  batch_size: int = 100,
) -> Average:
  """Computes the perceptual path length of a generator: the lower, the smoother.

  E ‖φ(G(z(t))) - φ(G(z(t + ε)))‖² / ε² along paths z between two latents each: Karras et al. 2019
  (arXiv:1812.04948). They take LPIPS features (`gan_jax.metrics.features.vgg16.lpips`), arcs
  between latents z, straight lines between styles w, and ε = 1e-4.

  Args:
    generate: latents [b, d], and labels [b] if they are given -> float images [b, H, W, C] from 0
      to 255, not rounded and not computed in half precision, in which so small a step is lost.
    embed: these images -> features [b, k]: `lambda x: forward(extractor, x)["features"]`,
      `forward` being that of `gan_jax.metrics.features.extractor`.
    start: latents, [n, d].
    end: latents, [n, d].
    positions: t on each path, [n]: uniform in [0, 1] for whole paths, 0 for their ends.
    labels: of each path, int [n], for a conditional generator.
    interpolate: `slerp` or `lerp`, or another way from start to end.
    epsilon: the step of t.
    discard: share of the steps to leave out at either end, the smallest and the largest. The
      paper's code leaves out 1%; 0 keeps all.
    batch_size: latents at a time.

  Returns:
    The mean over the steps that were kept, and its error.

  Raises:
    ValueError: shapes that do not fit, rounded images, or features that are not finite.
  """
  start, end, t = (np.asarray(a, np.float64) for a in (start, end, positions))
  _check(start, end, t, epsilon, discard)

  def features(*latents: np.ndarray) -> np.ndarray:
    images = generate(*latents)
    if np.issubdtype(images.dtype, np.integer):
      raise ValueError(
        f"the generator returned {images.dtype} images: rounding hides a step this small, so"
        " expected float images from 0 to 255"
      )
    return np.asarray(embed(images), np.float64)

  steps = []
  for first in range(0, len(t), batch_size):
    rows = slice(first, first + batch_size)
    at = [interpolate(start[rows], end[rows], t[rows] + shift) for shift in (0, epsilon)]
    y = [] if labels is None else [labels[rows]]
    steps.append(((features(at[1], *y) - features(at[0], *y)) ** 2).sum(axis=1) / epsilon**2)
  lengths = np.concatenate(steps)
  if not np.isfinite(lengths).all():
    raise ValueError("some features are NaN or infinite: check the generator and the network")
  least = np.quantile(lengths, discard, method="lower")
  most = np.quantile(lengths, 1 - discard, method="higher")
  return average(lengths[(lengths >= least) & (lengths <= most)])


def _check(
  start: np.ndarray, end: np.ndarray, t: np.ndarray, epsilon: float, discard: float
) -> None:
  if start.ndim != 2 or start.shape != end.shape or t.shape != (len(start),) or len(t) < 2:
    raise ValueError(
      f"start {list(start.shape)}, end {list(end.shape)} and positions {list(t.shape)} do not fit:"
      " expected [n, d], [n, d] and [n] with n >= 2"
    )
  if epsilon <= 0 or not 0 <= discard < 0.5:
    raise ValueError(
      f"epsilon is {epsilon} and discard {discard}: expected a positive number, and a share below a"
      " half"
    )
