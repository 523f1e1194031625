"""Series as small images of their traces, without matplotlib."""

import numpy as np

from gan_jax.plots.theme import BLUE, GREEN, ORANGE, PURPLE

SIZE = (48, 96)  # height and width, in pixels
COLORS = (BLUE, ORANGE, GREEN, PURPLE)
_FINE = 4  # points of a trace in a column of pixels


def traces(x: np.ndarray, lo: float, hi: float) -> np.ndarray:
  """Draws series over time, from left to right, each channel in a color of its own.

  Args:
    x: [..., T, C]; no more channels than `COLORS` are drawn, the first above the others.
    lo: value at the bottom; what lies beyond is drawn at the border.
    hi: value at the top.

  Returns:
    uint8 [..., *SIZE, 3].
  """
  (height, width), (*batch, steps, channels) = SIZE, x.shape
  series = x.reshape(-1, steps, channels).astype(np.float32)
  fine = np.linspace(0, steps - 1, width * _FINE + 1)
  before, share = np.floor(fine).astype(int), (fine % 1)[:, None].astype(np.float32)
  after = np.minimum(before + 1, steps - 1)
  line = series[:, before] * (1 - share) + series[:, after] * share
  row = np.rint((1 - np.clip((line - lo) / (hi - lo), 0, 1)) * (height - 1))
  # A column shares its last point with the next, so that a trace has no gaps.
  parts = np.stack([row[:, i : i + width * _FINE : _FINE] for i in range(_FINE + 1)])
  top, bottom = parts.min(axis=0)[:, None], parts.max(axis=0)[:, None]
  rows = np.arange(height)[:, None, None]
  on_trace = (rows >= top) & (rows <= bottom)  # [n, height, width, channels]
  image = np.full((len(series), height, width, 3), 255, np.uint8)
  for channel in reversed(range(min(channels, len(COLORS)))):
    image[on_trace[..., channel]] = list(bytes.fromhex(COLORS[channel][1:]))
  return image.reshape(*batch, height, width, 3)
