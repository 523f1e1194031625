"""Batches: the same bit for bit however they are made, from wherever one starts."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_sets import NAMES, images, opened

from gan_jax.data import Batches, load, table, to_float, to_uint8

INDEXED = table("indexed", np.arange(103, dtype=np.float32)[:, None], np.arange(103))


def first(n: int, iterator) -> list:
  return list(itertools.islice(iterator, n))


def equal(a, b) -> bool:
  """Whether two lists of batches agree bit for bit."""
  a, b = jax.device_get((a, b))
  same_keys = [set(x) for x in a] == [set(x) for x in b]
  return same_keys and all((x[key] == y[key]).all() for x, y in zip(a, b, strict=True) for key in x)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, data_dir: str):
  source = opened(name, data_dir)
  batches = Batches(source, 8, 5, flip=source.kind == "images")
  made = first(6, batches.iterate())
  assert equal(first(3, batches.iterate(start=3)), made[3:])
  x = made[0]["x"]
  assert x.shape == (8, *source.shape) and x.dtype == jnp.float32
  assert ("y" in made[0]) == (source.num_classes is not None)
  if source.kind != "points":
    assert x.min() >= -1 and x.max() <= 1 and x.min() < -0.5 and x.max() > 0.5
  assert not equal(made[:1], first(1, Batches(source, 8, 6).iterate()))


@pytest.mark.parametrize("name", NAMES)
def test_resident_equals_streamed(name: str, data_dir: str):
  source = opened(name, data_dir)
  options = {"flip": source.kind == "images", "pixel_range": (0.0, 1.0)}
  resident = Batches(source, 8, 5, resident=True, **options)
  streamed = Batches(source, 8, 5, resident=False, **options)
  assert streamed.arrays == {} and resident.arrays is source.arrays
  assert equal(first(6, resident.iterate(1)), first(6, streamed.iterate(1)))


@pytest.mark.parametrize("name", ["folder:shapes", "tfds:tiny_shapes"])
def test_what_stays_on_disk_gives_the_same_batches(name: str, data_dir: str):
  in_memory, on_disk = (load(name, data_dir=data_dir, memory_limit=m) for m in (2**30, 1000))
  assert in_memory.arrays and not on_disk.arrays
  assert in_memory[:4] == on_disk[:4]
  a, b = (Batches(source, 8, 1, flip=True) for source in (in_memory, on_disk))
  assert a.resident and not b.resident
  assert equal(first(5, a.iterate(2)), first(5, b.iterate(2)))
  with pytest.raises(ValueError, match=f"{name} is not in memory.*raise memory_limit"):
    Batches(on_disk, 8, 1, resident=True)


def test_restart_is_immediate_anywhere():
  for resident in (True, False):
    late = Batches(INDEXED, 8, 0, resident=resident)
    (batch,) = first(1, late.iterate(2**31 - 2))
    assert batch["x"].shape == (8, 1)
  ring = Batches(opened("ring8"), 8, 0)  # positions pass 2**32 and wrap round, the same everywhere
  at = jax.jit(lambda t: ring.at({}, t)["x"])
  for t in (2**29 - 1, 2**29, 2**31 - 2):
    assert (at(np.uint32(t)) == ring.read(t)["x"]).all()
  assert (at(np.uint32(2**29)) == at(np.uint32(0))).all()


def test_an_epoch_shows_each_example_at_most_once_and_full_batches_only():
  batches = Batches(INDEXED, 10, 0)
  assert batches.per_epoch == 10
  labels = np.array([b["y"] for b in first(30, batches.iterate())]).reshape(3, 100)
  missing = [set(range(103)) - set(epoch.tolist()) for epoch in labels]
  assert all(len(m) == 3 for m in missing)  # 3 are left out, in each epoch other ones
  assert len(set.union(*missing)) > 3
  assert (labels[0] != labels[1]).any()


def test_labels_stay_with_their_examples():
  for resident in (True, False):
    for batch in first(12, Batches(INDEXED, 10, 0, resident=resident).iterate()):
      assert (batch["x"][:, 0] == batch["y"]).all()


def test_at_is_traceable_in_scan_and_vmap():
  batches, t = Batches(INDEXED, 10, 0), np.arange(12)
  scan = jax.jit(lambda a: jax.lax.scan(lambda c, t: (c, batches.at(a, t)["y"]), 0, t)[1])
  vmap = jax.jit(lambda a: jax.vmap(lambda t: batches.at(a, t)["y"])(t))
  expected = np.array([b["y"] for b in first(12, batches.iterate())])
  assert (scan(batches.arrays) == expected).all()
  assert (vmap(batches.arrays) == expected).all()


def test_processes_share_out_each_batch():
  source = table("images", images(40, 6, 6, 3), np.arange(40))
  whole = first(3, Batches(source, 12, 4, flip=True).iterate())
  for resident in (True, False):
    parts = [
      Batches(
        source, 12, 4, flip=True, resident=resident, process_index=i, process_count=3
      ).iterate()
      for i in range(3)
    ]
    shares = list(zip(*(first(3, p) for p in parts), strict=True))
    joined = [jax.tree.map(lambda *s: jnp.concatenate(s), *share) for share in shares]
    assert equal(joined, whole)


def test_rows_choose_a_part_of_the_batch():
  source = table("images", images(40, 6, 6, 3), np.arange(40))
  batches = Batches(source, 12, 4, flip=True)
  at = jax.jit(batches.at)
  whole = at(batches.arrays, 2)
  part = at(batches.arrays, 2, jnp.arange(5, 9, dtype=jnp.uint32))
  assert equal([part], [{key: value[5:9] for key, value in whole.items()}])


def test_flip_mirrors_half_of_the_images_left_to_right():
  x = images(64, 4, 6, 1)
  source = table("images", x, np.arange(64))
  scaled, flips = np.asarray(to_float(jnp.asarray(x))), []
  for batch in first(20, Batches(source, 64, 0, flip=True).iterate()):
    made, plain = np.asarray(batch["x"]), scaled[np.asarray(batch["y"])]
    as_is = (made == plain).all(axis=(1, 2, 3))
    mirrored = (made == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (as_is ^ mirrored).all()
    flips.append(mirrored)
  share = np.array(flips).mean()
  assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(64 * 20)  # five standard deviations
  assert (flips[0] != flips[1]).any()


def test_pixels_round_trip():
  every = np.arange(256, dtype=np.uint8)
  for lo, hi in ((-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (0.0, 255.0)):
    x = jax.jit(lambda u, lo=lo, hi=hi: to_float(u, (lo, hi)))(every)
    assert x.dtype == jnp.float32 and x[0] == lo and x[-1] == hi
    np.testing.assert_allclose(x, lo + (hi - lo) * every / 255.0, rtol=0, atol=1e-7 * 2 * (hi - lo))
    assert (to_uint8(np.asarray(x), (lo, hi)) == every).all()
  assert to_uint8(np.array([-2.0, -1.0, 0.0, 1.0, 9.0])).tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(
  ("options", "reason"),
  [
    ({"batch_size": 104}, "indexed has 103 examples, fewer than one batch of 104"),
    ({"batch_size": 0}, "batch_size is 0"),
    ({"seed": -1}, r"seed is -1: expected 0 <= seed < 2\*\*32"),
    ({"seed": 2**32}, "seed is 4294967296"),
    ({"flip": True}, "flip=True mirrors images, and indexed has points"),
    ({"pixel_range": (1.0, -1.0)}, r"expected \(lo, hi\) with lo < hi"),
    ({"process_count": 3}, "a batch of 8 cannot be shared out equally to 3 processes"),
    ({"process_count": 2, "process_index": 2}, "process_index is 2: expected 0 to 1"),
  ],
)
def test_options_are_checked(options: dict, reason: str):
  with pytest.raises(ValueError, match=reason):
    Batches(INDEXED, **{"batch_size": 8, "seed": 0} | options)


def test_large_tables_are_streamed(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr("gan_jax.data.batches.RESIDENT_LIMIT", 103 * 4 + 103 * 4)
  assert Batches(INDEXED, 8, 0).resident
  monkeypatch.setattr("gan_jax.data.batches.RESIDENT_LIMIT", 103 * 4 + 103 * 4 - 1)
  assert not Batches(INDEXED, 8, 0).resident
  assert Batches(INDEXED, 8, 0, resident=True).resident


def test_all_examples_are_those_of_batches_bit_for_bit():
  """Of pixels scaled and resized, in a program too, where they are numbers all the same."""
  batches = Batches(load("digits8x8", image_size=6), 500, 0, pixel_range=(-0.5, 0.7))
  every = batches.every(1500 * 36 * 4)
  assert every.shape == (1500, 6, 6, 1) and every.dtype == np.float32
  epoch = np.concatenate([batch["x"] for batch in first(3, batches.iterate())])
  assert {x.tobytes() for x in epoch} == {x.tobytes() for x in every}

  def inside(x):
    np.testing.assert_array_equal(batches.every(1 << 20), every)
    return x

  jax.eval_shape(inside, 0.0)


@pytest.mark.parametrize(
  ("options", "reason"),
  [
    ({"source": load("stacked:digits8x8")}, "stacked:digits8x8 is drawn anew for every batch: ch"),
    ({"flip": True}, "at random, and each time another: leave out --config.data_options.crop"),
    ({"crop": 6}, "digits8x8 is cropped or flipped at random"),
    ({}, "takes 384,000 bytes, more than 383,999: choose --config.data_options.examples=1499 or l"),
    (
      {"source": load("digits8x8")._replace(arrays={})},
      "is not in memory: lower --config.data_options.im",
    ),
  ],
)
def test_examples_that_are_no_table_are_refused(options: dict, reason: str):
  batches = Batches(**{"source": load("digits8x8"), "batch_size": 8, "seed": 0} | options)
  with pytest.raises(ValueError, match=reason):
    batches.every(383_999)
