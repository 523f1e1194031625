"""The summary: last and best scores, the machine, and files that are written whole."""

import json
import math
import os
import pathlib

import numpy as np
import pytest

from gan_jax.files import error_context, save_arrays, write_json
from gan_jax.run.results.rows import scored_rounds
from gan_jax.run.results.summary import last_and_best, machine


def test_scores_tell_last_beside_best():
  rows = [
    {"round": 1, "score/kl": 0.5, "score/modes": 3.0},
    {"round": 2, "score/kl": 0.1, "score/modes": 8.0},
    {"round": 3, "V": 1.0},
    {"round": 4, "score/kl": 0.3, "score/modes": 8.0},
  ]
  assert last_and_best(scored_rounds(rows), {"kl": "min", "modes": "max", "other": "min"}) == {
    "kl": {"last": 0.3, "best": 0.1, "best_round": 2},
    "modes": {"last": 8.0, "best": 8.0, "best_round": 2},  # of equals the first
  }
  assert last_and_best([], {"kl": "min"}) == {}


def test_scores_do_not_hide_a_divergence():
  rows = [{"round": 1, "score/kl": 0.5}, {"round": 2, "score/kl": math.inf}]
  assert last_and_best(scored_rounds(rows), {"kl": "min"})["kl"] == {
    "last": math.inf,
    "best": 0.5,
    "best_round": 1,
  }
  rows[1]["score/kl"] = math.nan
  found = last_and_best(scored_rounds(rows), {"kl": "max"})["kl"]
  assert math.isnan(found["last"]) and found["best"] == 0.5


def test_json_is_written_whole_and_plain(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  path = tmp_path / "summary.json"
  values = {"a": np.float32(0.5), "b": np.arange(2), "c": (1, math.nan), "d": {"e": np.int64(3)}}
  write_json(path, values)
  assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1], "c": [1, "nan"], "d": {"e": 3}}
  with pytest.raises(TypeError):
    write_json(path, {"a": object()})
  monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("stopped here"))
  with pytest.raises(pytest.fail.Exception):
    write_json(path, {"a": 1})
  assert json.loads(path.read_text())["a"] == 0.5  # the old one is whole
  assert list(tmp_path.iterdir()) == [path]  # and nothing else is left


def test_arrays_come_back(tmp_path: pathlib.Path):
  save_arrays(tmp_path / "samples.npz", {"x": np.ones((3, 4), np.uint8), "y": np.arange(3)})
  with np.load(tmp_path / "samples.npz", allow_pickle=False) as found:
    np.testing.assert_array_equal(found["x"], 1)
    np.testing.assert_array_equal(found["y"], np.arange(3))


def test_the_machine_is_described():
  found = machine()
  assert json.loads(json.dumps(found)) == found
  for name in ("python", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"):
    assert found[name][0].isdigit()
  assert found["devices"] == "8 x cpu" and found["processes"] == 1 and found["cores"] >= 1


def test_a_full_disk_names_the_file():
  with pytest.raises(OSError, match="No space left on device: 'rows'"), error_context("rows"):
    pathlib.Path("/dev/full").write_text("x")
  with (
    pytest.raises(FileNotFoundError, match="No such file or directory: '/no'"),
    error_context("rows"),
  ):
    pathlib.Path("/no").read_text()
