"""The interface of features: the same numbers for every batch and device, a fixed range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from gan_jax.metrics.features.extractor import Extractor, extract, stream
from gan_jax.metrics.features.pixels import pixels, random_projection

IMAGES = np.random.default_rng(0).integers(256, size=(21, 4, 5, 3)).astype(np.uint8)
EXTRACTORS = {"pixels": pixels(), "projection": random_projection((4, 5, 3), width=16)}


def look(extractor: Extractor, images: np.ndarray, **options) -> np.ndarray:
  return extract(extractor, images, **options)["features"]


@pytest.fixture(params=EXTRACTORS)
def extractor(request: pytest.FixtureRequest) -> Extractor:
  return EXTRACTORS[request.param]


def test_pixels_are_the_pixels():
  np.testing.assert_allclose(look(pixels(), IMAGES), IMAGES.reshape(21, -1) / 255, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5, 8, 16, 20, 21, 100])
def test_what_fills_the_last_batch_up_is_dropped_and_no_image_is(extractor, batch_size: int):
  found = look(extractor, IMAGES, batch_size=batch_size)
  expected = np.asarray(extractor.apply(jnp.asarray(IMAGES))["features"])
  assert found.shape == expected.shape and found.dtype == np.float32
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("devices", [1, 3, 8])
def test_every_layout_gives_the_same_numbers(extractor, devices: int, monkeypatch):
  everywhere = look(extractor, IMAGES, batch_size=8)
  held = jax.devices()[:devices]
  monkeypatch.setattr(jax, "local_devices", lambda: held)
  np.testing.assert_allclose(look(extractor, IMAGES, batch_size=8), everywhere, atol=1e-6)


def test_every_device_takes_its_share():
  seen = []

  def apply(images: jax.Array) -> dict[str, jax.Array]:
    jax.debug.inspect_array_sharding(images, callback=lambda s: seen.append(s.shard_shape((24, 1))))
    return pixels().apply(images)

  look(Extractor({}, apply), IMAGES, batch_size=21)  # rounded up to 24 for 8 devices
  assert seen == [(3, 1)]


def test_images_are_scaled_by_a_fixed_range(extractor):
  """A dark image is dark, whatever else its batch holds."""
  dark = IMAGES[:8] // 16
  bright = np.concatenate([dark[:4], np.full_like(dark[:4], 255)])
  np.testing.assert_allclose(
    look(extractor, dark, batch_size=8)[:4], look(extractor, bright, batch_size=8)[:4], atol=1e-6
  )
  halves = look(extractor, np.full_like(dark, 128)), look(extractor, np.full_like(dark, 255))
  np.testing.assert_allclose(halves[0] * 255, halves[1] * 128, rtol=1e-4, atol=1e-4)


def test_one_program_serves_all_batches_and_all_weights():
  traced = []

  def apply(scale: jax.Array, images: jax.Array) -> dict[str, jax.Array]:
    traced.append(images.shape)
    return {"features": scale * images.reshape(len(images), -1).astype(jnp.float32)}

  for scale in (1.0, 2.0):
    found = look(Extractor({}, Partial(apply, jnp.float32(scale))), IMAGES, batch_size=8)
    np.testing.assert_array_equal(found, scale * IMAGES.reshape(21, -1).astype(np.float32))
  assert traced == [(8, 4, 5, 3)]


def test_products_are_in_full_float32():
  """The program asks for it by name, since a CPU would give it anyway."""
  apply = random_projection((4, 5, 3), width=16).apply
  programs = []

  def spy(images: jax.Array) -> dict[str, jax.Array]:
    programs.append(str(jax.make_jaxpr(apply)(images)))
    return apply(images)

  look(Extractor({}, spy), IMAGES)
  assert "precision=(Precision.HIGHEST, Precision.HIGHEST)" in programs[0].replace("\n", "")


def test_a_stream_comes_in_batches():
  parts = [part["features"] for part in stream(pixels(), IMAGES, batch_size=8)]
  assert [len(part) for part in parts] == [8, 8, 5]
  np.testing.assert_array_equal(np.concatenate(parts), look(pixels(), IMAGES))


def test_the_projection_is_fixed_for_good():
  """Numbers as version 1 drew them, whose distances are those of the pixels but for 1/√width."""
  one = random_projection((2, 2, 1), width=2, seed=3)
  drawn = np.array([[1.78862847, 0.43650985], [0.09649747, -1.8634927]])
  np.testing.assert_allclose(one.apply.args[0][:2], drawn / np.sqrt(2), rtol=1e-6)
  assert one.card["sha256"] == random_projection((2, 2, 1), width=2, seed=3).card["sha256"]
  assert one.card["sha256"] != random_projection((2, 2, 1), width=2, seed=4).card["sha256"]
  wide = look(random_projection((4, 5, 3), width=5000), IMAGES[:2])
  kept = ((wide[0] - wide[1]) ** 2).sum() / (np.diff(IMAGES[:2] / 255.0, axis=0) ** 2).sum()
  assert kept == pytest.approx(1, abs=4 * np.sqrt(2 / 5000))  # four standard deviations


def test_what_does_not_fit_is_refused(extractor):
  for bad in (IMAGES / 255, IMAGES[0, 0, 0], IMAGES[:0], IMAGES.astype(np.int32)):
    with pytest.raises(ValueError, match=r"expected uint8 \[N, H, W, C\] with N >= 1"):
      extract(extractor, bad)
  with pytest.raises(ValueError, match="batch_size is 0"):
    extract(extractor, IMAGES, batch_size=0)
  with pytest.raises(ValueError, match="this projection was made for 60"):
    extract(EXTRACTORS["projection"], IMAGES[:, :2])
  with pytest.raises(ValueError, match="width is 0"):
    random_projection((2, 2, 1), width=0)
  assert {"name", "version", "sha256", "width", "range", "resize"} <= set(extractor.card)
