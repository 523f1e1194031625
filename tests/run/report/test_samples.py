"""Pictures that fit on a page, and what is said of those that do not."""

import base64
import io

import numpy as np
import pytest
from made_runs import made_run
from PIL import Image

from gan_jax.plots.png import save_png
from gan_jax.run.report.parts.samples import PICTURES, SIDE, evenly, thumbnails
from gan_jax.run.report.records import read_records


def noise(path, side=64):
  save_png(path, np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


@pytest.fixture
def found(tmp_path):
  run = made_run(tmp_path / "run", pictures=range(10, 410, 10))
  for path in (run / "samples").iterdir():
    noise(path)
  return read_records([run])


def test_a_run_has_first_last_and_those_between_evenly(found):
  (pictures,) = thumbnails(found, 10**7)
  rounds = [frame.round for frame in pictures.shown]
  assert len(rounds) == PICTURES and rounds[-1] == 400 and rounds[0] == 10 and pictures.total == 40
  image = Image.open(io.BytesIO(base64.b64decode(pictures.shown[0].source.split(",")[1])))
  assert image.size == (64, 64) == (pictures.shown[0].width, pictures.shown[0].height)


@pytest.mark.parametrize("frames", [5.5, 2.5, 1.5])
def test_of_little_room_the_last_picture_is_kept_longest(found, frames):
  (one,) = thumbnails(found, 10**7)
  (pictures,) = thumbnails(found, int(frames * len(one.shown[-1].source)))
  assert sum(len(frame.source) for frame in pictures.shown) <= frames * len(one.shown[-1].source)
  assert 1 <= len(pictures.shown) <= int(frames) and pictures.shown[-1].round == 400


def test_without_room_there_is_none_and_it_is_said(found):
  (pictures,) = thumbnails(found, 100)
  assert pictures.shown == [] and "no room" in pictures.notes[0]


def test_large_pictures_are_made_small_and_damaged_ones_are_named(tmp_path):
  run = made_run(tmp_path / "run", pictures=(100, 200, 300))
  noise(run / "samples/00000300.png", side=700)
  (run / "samples/00000200.png").write_bytes(b"\x89PNG no picture")
  (pictures,) = thumbnails(read_records([run]), 10**7)
  assert [frame.round for frame in pictures.shown] == [100, 300]
  assert pictures.shown[-1].width == SIDE and "00000200.png cannot be read" in pictures.notes[0]


def test_evenly():
  assert evenly([1, 2], 5) == [1, 2] and evenly([1, 2, 3], 1) == [3] and evenly([1], 0) == []
  assert evenly(range(11), 3) == [0, 5, 10]
