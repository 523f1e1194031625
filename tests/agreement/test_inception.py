"""InceptionV3 against torch-fidelity and pytorch-fid: the same random weights, every block.

What they need, beside this package:
  pip install --no-deps torch==2.13.0 torchvision==0.28.0 torch-fidelity==0.4.0 pytorch-fid==0.3.0
"""

import io
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load
from gan_jax.metrics.features import weights
from gan_jax.metrics.features.inception import inception
from gan_jax.metrics.features.inception.network import Network
from gan_jax.torch_file import named_arrays, read_torch

torch = pytest.importorskip("torch", reason="pip install torch==2.13.0")
# It registers operators of its own that a torch for CPU does not have; the networks need none.
sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("none"))
pytest.importorskip("torchvision", reason="pip install --no-deps torchvision==0.28.0")
torch_fidelity = pytest.importorskip(
  "torch_fidelity.feature_extractor_inceptionv3",
  reason="pip install --no-deps torch-fidelity==0.4.0",
)
pytorch_fid = pytest.importorskip(
  "pytorch_fid.inception", reason="pip install --no-deps pytorch-fid==0.3.0"
)

TOLERANCE = 1e-4  # of the root mean square of what a layer returns
LAYERS = (
  *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
  *("Mixed_5b", "Mixed_5c", "Mixed_5d"),
  *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
  *("Mixed_7a", "Mixed_7b", "Mixed_7c"),
)


def randomised(network: Any) -> Any:
  """Gives every array its own values, so scaled that no layer's output vanishes or explodes."""
  torch.manual_seed(0)
  for module in network.modules():
    if isinstance(module, torch.nn.Conv2d):
      torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, torch.nn.BatchNorm2d):
      torch.nn.init.normal_(module.running_mean, std=0.2)
      torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
      torch.nn.init.uniform_(module.weight, 0.5, 1.5)
      torch.nn.init.normal_(module.bias, std=0.2)
  return network


@pytest.fixture(scope="module")
def fidelity():
  """torch-fidelity's network with random weights."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(torch_fidelity, "load_state_dict_from_url", lambda *_, **__: {})
    cls = torch_fidelity.FeatureExtractorInceptionV3
    patch.setattr(cls, "load_state_dict", lambda *_: None)
    network = cls("random", ["2048", "logits_unbiased", "logits"])
  return randomised(network)


def saved(tensors: Any, new: bool) -> bytes:
  """Saves in the format of PyTorch before 1.6, or in the new one."""
  file = io.BytesIO()
  torch.save(tensors, file, _use_new_zipfile_serialization=new)
  return file.getvalue()


def arrays(content: bytes) -> dict[str, np.ndarray]:
  return named_arrays(read_torch(content), 1 << 30)[0]


@pytest.fixture(scope="module")
def look(fidelity) -> Callable[[np.ndarray], tuple[Any, Any]]:
  """Our network with the same weights: uint8 images -> outputs, and what each block returned."""
  variables = inception.variables_of(arrays(saved(fidelity.state_dict(), new=False)))

  @jax.jit
  def look(variables: Any, images: jax.Array) -> tuple[Any, Any]:
    x = inception.prepare(images)
    out, kept = Network().apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
    return out, {name: kept["intermediates"][name]["__call__"][0] for name in LAYERS}

  return lambda images: jax.device_get(look(variables, images))


def cifar10(folder: pathlib.Path) -> np.ndarray:
  with Image.open(folder / "cifar10" / "test_batch.png") as sheet:
    return np.asarray(sheet.crop((0, 0, 1024, 4))).reshape(4, 32, 32, 3)  # an image a row


@pytest.fixture(params=["mnist10k", "cifar10"])
def images(request) -> np.ndarray:
  if request.param == "mnist10k":
    return load("mnist10k", "test").arrays["x"][:4]
  return cifar10(request.getfixturevalue("test_data"))


def to_torch(images: np.ndarray) -> Any:
  return torch.from_numpy(np.repeat(images, 3 // images.shape[-1], axis=-1)).permute(0, 3, 1, 2)


def seen(network: Any, run: Callable[[], Any]) -> tuple[Any, dict[str, np.ndarray]]:
  """Runs a network of torch and keeps what each block returned, with the channels last."""
  kept: dict[str, np.ndarray] = {}

  def keep(name: str) -> Callable[[Any, Any, Any], None]:
    return lambda _, __, out: kept.update({name: out.permute(0, 2, 3, 1).numpy().copy()})

  hooks = [getattr(network, name).register_forward_hook(keep(name)) for name in LAYERS]
  with torch.no_grad():
    out = run()
  for hook in hooks:
    hook.remove()
  return out, kept


def difference(found: np.ndarray, expected: np.ndarray) -> float:
  assert found.shape == expected.shape
  return float(np.abs(found - expected).max() / np.sqrt((expected**2).mean()))


def assert_blocks_agree(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
  apart = {name: difference(found[name], expected[name]) for name in LAYERS}
  print({name: f"{value:.1e}" for name, value in apart.items()})
  for name in LAYERS:
    assert 0.1 < expected[name].std() < 10, name  # or the next line would say little
    assert apart[name] < TOLERANCE, name


def test_every_block_is_that_of_torch_fidelity(fidelity, look, images, monkeypatch):
  """From the same prepared images on, as its own preparation is another one."""
  prepared = np.asarray(inception.prepare(images)).transpose(0, 3, 1, 2)
  resized = torch.from_numpy(prepared * 128 + 128)  # it takes this back
  monkeypatch.setattr(
    torch_fidelity, "interpolate_bilinear_2d_like_tensorflow1x", lambda *_, **__: resized
  )
  (pool3, unbiased, logits), expected = seen(fidelity, lambda: fidelity(to_torch(images)))
  out, blocks = look(images)
  assert_blocks_agree(blocks, expected)
  assert difference(out["features"], pool3.numpy()) < TOLERANCE
  assert difference(out["logits"], unbiased.numpy()) < TOLERANCE
  assert difference(out["logits"] + fidelity.fc.bias.numpy(), logits.numpy()) < TOLERANCE
  assert difference(out["spatial"], expected["Mixed_6d"][..., :7].reshape(4, -1)) < TOLERANCE


def test_pytorch_fid_from_the_pixels_on(fidelity, look, images, monkeypatch):
  """Its own resizing and range included."""
  monkeypatch.setattr(
    pytorch_fid, "load_state_dict_from_url", lambda *_, **__: fidelity.state_dict()
  )
  network = pytorch_fid.fid_inception_v3()
  monkeypatch.setattr(pytorch_fid, "fid_inception_v3", lambda: network)
  model = pytorch_fid.InceptionV3().eval()
  (pool3,), expected = seen(network, lambda: model(to_torch(images) / 255))
  out, blocks = look(images)
  assert_blocks_agree(blocks, expected)
  assert difference(out["features"], pool3.numpy()[..., 0, 0]) < TOLERANCE


@pytest.mark.parametrize("shape", [(32, 32), (299, 299), (300, 40), (512, 512)])
def test_the_resize_is_that_of_pytorch_fid(shape: tuple[int, int]):
  images = np.random.default_rng(0).integers(0, 256, (2, *shape, 3)).astype(np.uint8)
  resized = torch.nn.functional.interpolate(
    to_torch(images) / 255, size=(299, 299), mode="bilinear", align_corners=False
  )
  expected = (2 * resized - 1).permute(0, 2, 3, 1).numpy()
  np.testing.assert_allclose(inception.prepare(images), expected, atol=1e-5)


def test_how_far_torch_fidelity_prepares_images_elsewhere(fidelity, look, test_data):
  """Half a pixel matters: scores made with the two preparations do not compare."""
  images = cifar10(test_data)
  theirs = torch_fidelity.interpolate_bilinear_2d_like_tensorflow1x(
    to_torch(images).float(), size=(299, 299), align_corners=False
  )
  moved = (theirs.permute(0, 2, 3, 1).numpy() - 128) / 128
  apart = np.abs(np.asarray(inception.prepare(images)) - moved)
  with torch.no_grad():
    pool3 = fidelity(to_torch(images))[0].numpy()
  features = look(images)[0]["features"]
  spread = np.linalg.norm(pool3 - pool3.mean(axis=0))
  relative = np.linalg.norm(features - pool3) / spread
  print(f"pixels: mean {apart.mean():.4f}; features: {relative:.4f} of the spread over images")
  assert apart.mean() > 0.01 and relative > 0.05


@pytest.mark.parametrize("new", [False, True])
def test_files_are_read_as_torch_reads_them(fidelity, tmp_path: pathlib.Path, new: bool):
  """And an .npz of ours holds the same."""
  expected = fidelity.state_dict()
  path = tmp_path / "theirs.pth"
  path.write_bytes(saved(expected, new))
  found = weights.load(path, sha256=None)
  weights.save(tmp_path / "ours.npz", found)
  again = weights.load(tmp_path / "ours.npz", sha256=found.sha256)
  assert found.arrays.keys() == again.arrays.keys() == expected.keys()
  for name, tensor in expected.items():
    np.testing.assert_array_equal(found.arrays[name], tensor.numpy(), strict=True)
    np.testing.assert_array_equal(again.arrays[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize("new", [False, True])
def test_tensors_of_any_layout(new: bool):
  """Views share storages, start within them, and may have their axes permuted."""
  base = torch.arange(24.0).reshape(2, 3, 4)
  tensors = {
    "base": base,
    "permuted": base.permute(2, 0, 1),
    "part": base[1, 1:, ::2],
    "number": torch.tensor(7),
    "none": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(base[0]),
  }
  found = arrays(saved(tensors, new))
  for name, tensor in tensors.items():
    np.testing.assert_array_equal(found[name], tensor.detach().numpy(), strict=True)
