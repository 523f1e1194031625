"""MS-SSIM: constants and one window in closed form, halvings, and images that are too small."""

import numpy as np
import pytest

from gan_jax.metrics import ms_ssim as module
from gan_jax.metrics import multiscale_ssim, scales_that_fit
from gan_jax.metrics.ms_ssim import C1, C2, WEIGHTS

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
  return RNG.integers(256, size=shape).astype(np.uint8)


def luminance(a: float, b: float) -> float:
  return (2 * a * b + C1) / (a**2 + b**2 + C1)


@pytest.mark.parametrize(("side", "scales"), [(11, 1), (32, 2), (64, 3), (176, 5)])
def test_equal_images_score_one(side: int, scales: int):
  x = noise(2, side, side, 3)
  np.testing.assert_allclose(multiscale_ssim(x, x, scales=scales), 1, rtol=1e-12)


def test_flat_images_differ_in_luminance_at_the_last_scale_alone():
  flat = lambda value: np.full((1, 180, 176, 1), value, np.uint8)
  found = multiscale_ssim(flat(50), flat(100))
  np.testing.assert_allclose(found, luminance(50, 100) ** WEIGHTS[-1], rtol=1e-9)
  few = multiscale_ssim(flat(50), flat(100), scales=2)
  share = sum(WEIGHTS) * WEIGHTS[1] / (WEIGHTS[0] + WEIGHTS[1])  # those left weigh as much as all
  np.testing.assert_allclose(few, luminance(50, 100) ** share, rtol=1e-9)


def test_one_window_by_hand():
  """11 x 11 pixels hold one window: moments under a Gaussian of 1.5 pixels."""
  x, y = np.random.default_rng(0).integers(256, size=(2, 1, 11, 11, 1)).astype(np.uint8)
  bell = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
  weights = np.outer(bell, bell) / bell.sum() ** 2
  a, b = x[0, :, :, 0].astype(float), y[0, :, :, 0].astype(float)
  mean = lambda image: (weights * image).sum()
  cross = mean((a - mean(a)) * (b - mean(b)))
  spread = mean((a - mean(a)) ** 2) + mean((b - mean(b)) ** 2)
  expected = luminance(mean(a), mean(b)) * (2 * cross + C2) / (spread + C2)
  assert expected > 0.3  # else it would be cut off at 0
  expected **= sum(WEIGHTS)  # the weight of a single scale, that of all: 1.0001
  np.testing.assert_allclose(multiscale_ssim(x, y, scales=1), expected, rtol=1e-9)
  half = ((a + mean(a)) / 2).round().astype(np.uint8)[None, :, :, None]  # half the contrast
  assert 0.75 < multiscale_ssim(x, half, scales=1)[0] < 0.85  # 2 · ½ / (1 + ¼)


def test_a_scale_is_a_halving():
  """What repeats every pixel twice has at scale 2 the terms of the small image at scale 1."""
  small, other = noise(1, 16, 20, 1), noise(1, 16, 20, 1) // 2
  double = lambda x: x.repeat(2, axis=1).repeat(2, axis=2)
  share = np.array(WEIGHTS[:2]) * sum(WEIGHTS) / sum(WEIGHTS[:2])
  flat = double(other // 255)  # at scale 1 the structure of a flat image is C2 / (spread + C2)
  whole, fine = (
    multiscale_ssim(double(small), flat, scales=2)[0],
    multiscale_ssim(small, other // 255, scales=1)[0],
  )
  a = double(small)[0, :, :, 0].astype(float)
  bell = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
  view = np.lib.stride_tricks.sliding_window_view(a, (11, 11))
  mean = lambda v: np.einsum("hwij,i,j->hw", v, bell, bell) / bell.sum() ** 2
  structure = (C2 / (mean(view**2) - mean(view) ** 2 + C2)).mean()
  assert whole == pytest.approx(structure ** share[0] * fine ** (share[1] / sum(WEIGHTS)), rel=1e-9)


def test_opposite_images_score_zero_and_not_nan():
  x = noise(1, 64, 64, 1)
  assert multiscale_ssim(x, 255 - x, scales=3)[0] == 0


def test_symmetric_and_pair_by_pair(monkeypatch: pytest.MonkeyPatch):
  x = noise(5, 24, 30, 3)
  y = (x * 0.5 + noise(5, 24, 30, 3) * 0.5).astype(np.uint8)
  found = multiscale_ssim(x, y, scales=2)
  np.testing.assert_allclose(multiscale_ssim(y, x, scales=2), found, rtol=1e-12)
  monkeypatch.setattr(module, "BLOCK", 2 * x[0].size)
  np.testing.assert_allclose(multiscale_ssim(x, y, scales=2), found, rtol=1e-12)
  assert (found > 0).all() and (found < 1).all() and len(found) == 5


def test_small_images_name_the_scales_that_fit():
  fit = [scales_that_fit(side, 300) for side in (10, 11, 22, 28, 32, 64, 175, 176, 512)]
  assert fit == [0, 1, 2, 2, 2, 3, 4, 5, 5]
  x = noise(2, 32, 40, 3)
  with pytest.raises(ValueError, match="room for 2 of the 5 scales.*pass scales=2"):
    multiscale_ssim(x, x)
  with pytest.raises(ValueError, match="too small"):
    multiscale_ssim(x[:, :10], x[:, :10], scales=1)
  for bad in (x / 255, x[:1], x[0], x[:0]):
    with pytest.raises(ValueError, match=r"expected uint8 \[n, H, W, C\] twice"):
      multiscale_ssim(bad, x, scales=2)
