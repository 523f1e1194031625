"""Domains: each in its own order, or in pairs, streamed as resident; and crops at random places."""

import itertools

import jax
import numpy as np
import pytest
from small_sets import write_images

from gan_jax.data import Batches, Domains, load, table, take
from gan_jax.run.config import complete, default_config
from gan_jax.run.experiment import load_splits

SEED = 3


def indexed(n, size=4):
  """Images that show their index and the place of each pixel."""
  pixels = np.arange(size * size, dtype=np.uint8).reshape(size, size, 1)
  return table(f"{n} images", np.stack([pixels + np.uint8(16 * (i % 8)) for i in range(n)]), None)


def make(**options):
  parts = {name: Batches(indexed(n), 4, SEED, **options) for name, n in (("a", 10), ("b", 7))}
  return Domains(parts, SEED)


def ways(batches, start=0):
  """The same batches, gathered from arrays and streamed."""
  raw = itertools.islice(batches.stream(start), 5)
  streamed = [batches.finish(x, np.uint32(t)) for t, x in enumerate(raw, start)]
  at = [batches.at(batches.arrays, np.uint32(t)) for t in range(start, start + 5)]
  return jax.device_get((at, streamed))


@pytest.mark.parametrize("options", [{}, {"flip": True, "crop": 3}])
def test_streamed_are_resident_from_any_start(options):
  at, streamed = ways(make(**options), start=2)
  for x, y in zip(at, streamed, strict=True):
    assert x.keys() == y.keys() == {"a", "b"}
    jax.tree.map(np.testing.assert_array_equal, x, y)


def test_each_domain_is_in_an_order_of_its_own():
  domains = make()
  at, _ = ways(domains)
  first = Batches(indexed(10), 4, SEED)
  for t, batch in enumerate(at):
    np.testing.assert_array_equal(batch["a"], first.at(first.arrays, np.uint32(t))["x"])
  same = table("10 images", indexed(10).arrays["x"], None)
  both = Domains({name: Batches(same, 4, SEED) for name in "ab"}, SEED)
  at, _ = ways(both)
  assert any((batch["a"] != batch["b"]).any() for batch in at)


@pytest.mark.parametrize("also", [(), ("b",)])
def test_labels_of_the_first_domain_come_along_and_of_those_that_are_named(also):
  labelled = table("8 images", indexed(8).arrays["x"], np.arange(8))
  parts = {k: Batches(labelled, 4, SEED, labels=k in ("a", *also)) for k in "ab"}
  domains = Domains(parts, SEED)
  at, streamed = ways(domains)
  for x, y in zip(at, streamed, strict=True):
    assert x.keys() == domains.spec(1).keys() == {"a", "b", "y", *(f"y_{k}" for k in also)}
    jax.tree.map(np.testing.assert_array_equal, x, y)
    for images, labels in (("a", "y"), *((k, f"y_{k}") for k in also)):
      shown = (np.asarray(x[images])[:, 0, 0, 0] + 1) * 127.5 / 16  # the index that an image shows
      np.testing.assert_allclose(shown, x[labels], atol=1e-3)


def test_another_seed_is_that_of_the_run():
  domains, other = make(), Domains(make().parts, SEED + 1)
  t = np.uint32(1)
  replaced = domains.at(domains.arrays, t, seed=np.uint32(SEED + 1))
  jax.tree.map(np.testing.assert_array_equal, replaced, other.at(other.arrays, t))


def test_domains_have_one_shape():
  parts = {"a": Batches(indexed(8), 4, SEED), "b": Batches(indexed(8, size=6), 4, SEED)}
  with pytest.raises(ValueError, match=r"a \(4, 4, 1\), b \(6, 6, 1\): expected one shape"):
    Domains(parts, SEED)


def test_crops_are_parts_of_their_image_from_every_place():
  batches = Batches(indexed(8), 8, SEED, crop=3, pixel_range=(0.0, 255.0))
  assert batches.spec()["x"].shape == (8, 3, 3, 1)
  corners = set()
  for t in range(20):
    x = np.asarray(batches.at(batches.arrays, np.uint32(t))["x"]).round().astype(int)
    corners |= {int(c) % 16 for c in x[:, 0, 0, 0]}
    expected = x[:, :1, :1] + np.array([[0, 1, 2], [4, 5, 6], [8, 9, 10]])[None, :, :, None]
    np.testing.assert_array_equal(x, expected)
  assert corners == {0, 1, 4, 5}  # the places of 3 x 3 in 4 x 4


@pytest.mark.parametrize("crop", [5, -1, 2.5])
def test_a_crop_that_cannot_be_is_refused(crop):
  with pytest.raises(ValueError, match="crop"):
    Batches(indexed(8), 4, SEED, crop=crop)


def test_pairs_come_are_cropped_and_are_flipped_together():
  """The two sides show the same index and places: negatives of each other, batch by batch."""
  other = table("10 negatives", 255 - indexed(10).arrays["x"], None)
  options = {"flip": True, "crop": 3, "pixel_range": (-1.0, 1.0)}
  sides = {"a": Batches(indexed(10), 4, SEED, **options), "b": Batches(other, 4, SEED, **options)}
  at, streamed = ways(Domains(sides, SEED, paired=True))
  for batch in (*at, *streamed):
    np.testing.assert_allclose(batch["a"], -batch["b"], atol=1e-6)
  with pytest.raises(ValueError, match="a 10, b 7 examples, and these are pairs"):
    Domains(make().parts, SEED, paired=True)
  colours = table("10 in colour", indexed(10).arrays["x"].repeat(3, axis=3), None)
  unlike = {"a": sides["a"], "b": Batches(colours, 4, SEED, **options)}
  spec = Domains(unlike, SEED, paired=True).spec()
  assert [spec[name].shape for name in "ab"] == [(4, 3, 3, 1), (4, 3, 3, 3)]
  with pytest.raises(ValueError, match=r"a \(3, 3, 1\), b \(3, 3, 3\): expected one shape"):
    Domains(unlike, SEED)


@pytest.mark.parametrize("limit", [1 << 20, 90])  # in memory, and read as they are needed
def test_halves_of_an_image_are_its_sides(tmp_path, limit):
  rng = np.random.default_rng(0)
  whole = rng.integers(256, size=(3, 4, 8, 1), dtype=np.uint8)
  write_images(tmp_path, whole)
  opened = {k: load(f"{k}:folder:{tmp_path}", memory_limit=limit) for k in ("left", "right")}
  for side, columns in (("left", slice(4)), ("right", slice(4, None))):
    assert opened[side].shape == (4, 4, 1) and bool(opened[side].arrays) == (limit > 90)
    np.testing.assert_array_equal(take(opened[side])["x"], whole[:, :, columns])
  assert load(f"left:folder:{tmp_path}", image_size=2, channels=3).shape == (2, 2, 3)
  with pytest.raises(ValueError, match="cuts images in the middle, and those of ring8"):
    load("left:ring8")


def pairs_of(root, data=None, **options):
  config = default_config("pix2pix")
  config.data, config.batch_size = data or f"folder:{root}", 2
  config.data_options.update(options)
  return load_splits(complete(config))


def test_files_of_one_name_are_pairs(tmp_path):
  for domain in "AB":
    write_images(tmp_path / f"train{domain}", np.zeros((4, 8, 8, 1), np.uint8))
    write_images(tmp_path / f"test{domain}", np.zeros((2, 8, 8, 1), np.uint8))
  splits = pairs_of(tmp_path)
  assert [(of.train.size, of.test.size) for of in splits.values()] == [(4, 2), (4, 2)]
  other_way = pairs_of(tmp_path, f"folder:{tmp_path}/trainB|folder:{tmp_path}/trainA")
  assert other_way["a"].train.name.endswith("trainB") and other_way["b"].test.size == 2
  (tmp_path / "trainB" / "002.png").rename(tmp_path / "trainB" / "other.png")
  with pytest.raises(ValueError, match=r"trainA/002.png has no partner .* in .*trainB \(2 have"):
    pairs_of(tmp_path)


def test_pairs_are_as_many_and_are_not_parted(tmp_path):
  with pytest.raises(ValueError, match="of train examples a has 10000, b has 1500"):
    pairs_of(tmp_path, "mnist10k|digits8x8")
  for name, y in (("one", [0, 0, 1, 1]), ("two", [0, 1, 0, 1])):
    np.savez(tmp_path / f"{name}.npz", x=np.zeros((4, 8, 8, 1), np.uint8), y=np.array(y))
  both = f"npz:{tmp_path}/one.npz|npz:{tmp_path}/two.npz"
  assert pairs_of(tmp_path, both)["a"].test is None
  with pytest.raises(ValueError, match="would part the pairs"):
    pairs_of(tmp_path, both, hold_out=0.5)
