"""Pictures that fit on a page, and what is said of those that do not."""

import base64
import io

import numpy as np
import pytest
from made_runs import made_run
from PIL import Image

from gan_jax.run.report.gather import runs
from gan_jax.run.report.pictures import FRAMES, SIDE, evenly, strips
from gan_jax.run.results.rows import save_png


def noise(path, side=64):
  save_png(path, np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


@pytest.fixture
def found(tmp_path):
  run = made_run(tmp_path / "run", pictures=range(10, 410, 10))
  for path in (run / "samples").iterdir():
    noise(path)
  return runs([run])


def test_a_run_has_first_last_and_those_between_evenly(found):
  (strip,) = strips(found, 10**7)
  rounds = [frame.round for frame in strip.frames]
  assert len(rounds) == FRAMES and rounds[-1] == 400 and rounds[0] == 10 and strip.there == 40
  image = Image.open(io.BytesIO(base64.b64decode(strip.frames[0].source.split(",")[1])))
  assert image.size == (64, 64) == (strip.frames[0].width, strip.frames[0].height)


@pytest.mark.parametrize("frames", [5.5, 2.5, 1.5])
def test_of_little_room_the_last_picture_is_kept_longest(found, frames):
  (one,) = strips(found, 10**7)
  (strip,) = strips(found, int(frames * len(one.frames[-1].source)))
  assert sum(len(frame.source) for frame in strip.frames) <= frames * len(one.frames[-1].source)
  assert 1 <= len(strip.frames) <= int(frames) and strip.frames[-1].round == 400


def test_without_room_there_is_none_and_it_is_said(found):
  (strip,) = strips(found, 100)
  assert strip.frames == [] and "no room" in strip.notes[0]


def test_large_pictures_are_made_small_and_damaged_ones_are_named(tmp_path):
  run = made_run(tmp_path / "run", pictures=(100, 200, 300))
  noise(run / "samples/00000300.png", side=700)
  (run / "samples/00000200.png").write_bytes(b"\x89PNG no picture")
  (strip,) = strips(runs([run]), 10**7)
  assert [frame.round for frame in strip.frames] == [100, 300]
  assert strip.frames[-1].width == SIDE and "00000200.png cannot be read" in strip.notes[0]


def test_evenly():
  assert evenly([1, 2], 5) == [1, 2] and evenly([1, 2, 3], 1) == [3] and evenly([1], 0) == []
  assert evenly(range(11), 3) == [0, 5, 10]
