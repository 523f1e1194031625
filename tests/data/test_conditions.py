"""Conditions that are vectors: read as they are, in batches as the examples, refused in a line."""

import numpy as np
import pytest

from gan_jax.data import Batches, hold_out, load
from gan_jax.data.registry import KINDS, Kind
from gan_jax.data.source import table

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
ANGLES = np.linspace(0, 6, 12)
FLAGS = np.eye(4, dtype=np.uint8)[np.arange(12) % 4] | np.eye(4, dtype=np.uint8)[1]


def written(folder, y, condition="vector", x=X):
  np.savez(folder / "a.npz", x=x, y=y)
  return load(f"npz:{folder}/a.npz", condition=condition)


@pytest.mark.parametrize("y", [ANGLES, ANGLES[:, None], FLAGS, np.stack([ANGLES] * 2, axis=1)])
def test_numbers_and_flags_are_read_as_vectors(y, tmp_path):
  source = written(tmp_path, y)
  expected = y.reshape(12, -1).astype(np.float32)
  assert (source.num_classes, source.condition_dim) == (None, expected.shape[1])
  np.testing.assert_array_equal(source.arrays["y"], expected)
  batches = Batches(source, 4, 0, labels=True)
  assert batches.spec()["y"].shape == (4, expected.shape[1])
  resident, streamed = (
    list(zip(range(5), Batches(source, 4, 0, labels=True, resident=of).iterate(2), strict=False))
    for of in (True, False)
  )
  for (_, a), (_, b) in zip(resident, streamed, strict=True):
    rows = [int(np.flatnonzero((x == X).all(axis=1))[0]) for x in np.asarray(a["x"])]
    np.testing.assert_array_equal(a["y"], expected[rows])  # each with its own example
    np.testing.assert_array_equal(a["y"], b["y"])


def test_some_are_held_out_without_looking_at_vectors(tmp_path):
  train, test = hold_out(written(tmp_path, ANGLES), 0.25)
  assert (train.size, test.size, train.condition_dim, test.condition_dim) == (9, 3, 1, 1)


def test_hdf5_has_vectors_too(tmp_path):
  h5py = pytest.importorskip("h5py")
  with h5py.File(tmp_path / "a.hdf5", "w") as file:
    file["imgs"], file["labels"] = np.zeros((12, 4, 4, 3), np.uint8), ANGLES
  assert load(f"hdf5:{tmp_path}/a.hdf5", condition="vector").condition_dim == 1


@pytest.mark.parametrize(
  "y, words",
  [
    (np.where(ANGLES > 3, np.nan, ANGLES), "conditions that are not finite"),
    (ANGLES[:7], r"float64 \[7\]: expected numbers \[12\] or \[12, d\]"),
    (np.array(["a"] * 12), "expected numbers"),
    (np.zeros((12, 2, 2)), "expected numbers"),
  ],
)
def test_what_is_no_vector_is_refused(y, words, tmp_path):
  with pytest.raises(ValueError, match=words):
    written(tmp_path, y)


def test_vectors_are_asked_for_and_there(tmp_path):
  with pytest.raises(ValueError, match=r"labels of .*expected integers.*astype\(int\)"):
    written(tmp_path, ANGLES, None)
  with pytest.raises(ValueError, match="digits8x8 has no vectors to condition on"):
    load("digits8x8", condition="vector")


def test_vectors_of_ones_own_source_are_not_taken_for_classes(monkeypatch):
  source = table("mine", X, ANGLES[:, None].astype(np.float32))
  monkeypatch.setitem(KINDS, "mine", Kind("mine", lambda *_: source))
  assert load("mine", condition="vector").condition_dim == 1
  with pytest.raises(ValueError, match="mine has vectors .*--config.condition.name=vector"):
    load("mine", condition="labels")
