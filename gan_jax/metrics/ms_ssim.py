"""Structural similarity of two images, at several scales."""

import numpy as np

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first: Wang et al. 2003
WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
BLOCK = 2**21  # numbers of images in memory at once


def multiscale_ssim(x: np.ndarray, y: np.ndarray, *, scales: int = 5) -> np.ndarray:
  """Computes the multi-scale structural similarity of pairs of images.

  Wang, Simoncelli & Bovik 2003: Gaussian windows wholly inside the image, halving by 2 x 2 means.
  Negative terms count as 0. Channels are compared each by itself, and their terms averaged at every
  scale. torchmetrics 1.9.0 also counts windows that reach over the border, at the last scale alone:
  its scores of noisy digits are up to .045 away.

  Args:
    x: uint8 images [n, H, W, C].
    y: what each is compared with, the same shape.
    scales: how many; 5 need 176 pixels a side (32 pixels fit 2, 64 fit 3). Fewer use the first of
      the five weights, scaled to the sum of all: another score, to be named with their number.

  Returns:
    Float64 [n], 0 to 1; 1 for equal images.

  Raises:
    ValueError: images that do not fit, or are too small for the scales.
  """
  x, y = np.asarray(x), np.asarray(y)
  _check(x, y, scales)
  size = max(1, BLOCK // x[0].size)
  parts = [
    _similarity(x[first : first + size], y[first : first + size], scales)
    for first in range(0, len(x), size)
  ]
  return np.concatenate(parts)


def scales_that_fit(height: int, width: int) -> int:
  """Counts the scales, 0 to 5, at which a window fits inside an image."""
  return sum(min(height, width) >> scale >= WINDOW for scale in range(len(WEIGHTS)))


def _similarity(x: np.ndarray, y: np.ndarray, scales: int) -> np.ndarray:
  weights = np.array(WEIGHTS[:scales]) * sum(WEIGHTS) / sum(WEIGHTS[:scales])
  x, y = (np.moveaxis(a, -1, 1).astype(np.float64) for a in (x, y))  # [n, C, H, W]
  product = np.ones(len(x))
  for weight in weights[:-1]:
    product *= np.maximum(_terms(x, y)[1], 0) ** weight
    x, y = _halve(x), _halve(y)
  return product * np.maximum(_terms(x, y)[0], 0) ** weights[-1]


def _terms(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Computes the similarity [n], and the same without its luminance, [n]."""
  down, across = _windows(x.shape[2]), _windows(x.shape[3])
  blur = lambda a: down @ a @ across.T
  mean_x, mean_y = blur(x), blur(y)
  spread = blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2
  structure = (2 * (blur(x * y) - mean_x * mean_y) + C2) / (spread + C2)
  luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
  return (luminance * structure).mean(axis=(1, 2, 3)), structure.mean(axis=(1, 2, 3))


def _windows(size: int) -> np.ndarray:
  """Computes the matrix [size - 10, size] of all Gaussian windows inside a line."""
  start = np.arange(size - WINDOW + 1)[:, None]
  distance = np.arange(size) - start - WINDOW // 2
  bells = np.where(np.abs(distance) <= WINDOW // 2, np.exp(-(distance**2) / (2 * SIGMA**2)), 0)
  return bells / bells.sum(axis=1, keepdims=True)


def _halve(x: np.ndarray) -> np.ndarray:
  height, width = x.shape[2] // 2, x.shape[3] // 2
  even = x[:, :, : 2 * height, : 2 * width]
  return even.reshape(*x.shape[:2], height, 2, width, 2).mean(axis=(3, 5))


def _check(x: np.ndarray, y: np.ndarray, scales: int) -> None:
  if x.dtype != np.uint8 or y.dtype != np.uint8 or x.shape != y.shape or x.ndim != 4 or not len(x):
    raise ValueError(
      f"images are {x.dtype} {list(x.shape)} and {y.dtype} {list(y.shape)}: expected uint8"
      " [n, H, W, C] twice, with n >= 1"
    )
  fit = scales_that_fit(*x.shape[1:3])
  if not 1 <= scales <= fit:
    raise ValueError(
      f"images of {x.shape[1]} x {x.shape[2]} pixels have room for {fit} of the"
      f" {len(WEIGHTS)} scales, and {scales} were asked for: "
      + (f"pass scales={fit}, and say so beside the score" if fit else "they are too small")
    )
