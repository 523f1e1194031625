"""What a run writes: rows, events, pictures."""

import io
import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_jax.plots import grid
from gan_jax.plots.png import save_png
from gan_jax.run.results.rows import Writer, read_rows


def write(workdir: pathlib.Path, rounds, first: int = 0, **values: float) -> None:
  """Plays a run that writes the number of each round."""
  writer = Writer(workdir, first)
  for round in rounds:
    writer.row(round, {"V": float(round), **values})
  writer.close()


def rounds(workdir: pathlib.Path) -> list[int]:
  return [row["round"] for row in read_rows(workdir)]


def events(workdir: pathlib.Path) -> EventAccumulator:
  found = EventAccumulator(str(workdir / "tensorboard"))
  found.Reload()
  return found


def digits(n: int, channels: int = 1, size: int = 5) -> np.ndarray:
  """Images that are n, n - 1, ..., 1 all over."""
  return np.tile(
    np.arange(n, 0, -1, dtype=np.uint8)[:, None, None, None], (1, size, size, channels)
  )


def test_importing_costs_nothing():
  heavy = ("matplotlib", "tensorboardX", "tensorflow", "tensorflow_datasets", "PIL", "tqdm")
  code = f"import sys, gan_jax.run.results.rows; print([m for m in {heavy} if m in sys.modules])"
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == "[]"


def test_rows_come_back(tmp_path: pathlib.Path):
  assert read_rows(tmp_path) == []
  write(tmp_path, [10, 20], loss=np.float32(0.5))
  assert read_rows(tmp_path) == [
    {"round": 10, "V": 10.0, "loss": 0.5},
    {"round": 20, "V": 20.0, "loss": 0.5},
  ]


def test_each_row_can_be_read_at_once(tmp_path: pathlib.Path):
  writer = Writer(tmp_path)
  writer.row(1, {"V": 1.0})
  assert rounds(tmp_path) == [1]
  writer.close()


def test_a_column_of_text_is_named(tmp_path: pathlib.Path):
  writer = Writer(tmp_path)
  with pytest.raises(ValueError, match="the column 'level' of a row is 'high': expected a number"):
    writer.row(1, {"V": 1.0, "level": "high"})
  writer.close()
  assert read_rows(tmp_path) == []  # nothing of the row is written


def test_numbers_that_json_lacks(tmp_path: pathlib.Path):
  write(tmp_path, [1], a=math.nan, b=math.inf, c=-math.inf)
  refuse = lambda name: pytest.fail(f"{name} is not JSON")
  json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
  (row,) = read_rows(tmp_path)
  assert math.isnan(row["a"]) and row["b"] == math.inf and row["c"] == -math.inf
  write(tmp_path, [2], first=1)  # opening again keeps them
  json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0], parse_constant=refuse)
  assert math.isnan(read_rows(tmp_path)[0]["a"])


@pytest.mark.parametrize(
  ("first", "kept"), [(0, []), (10, [10]), (15, [10]), (30, [10, 20, 30]), (99, [10, 20, 30])]
)
def test_resuming_drops_what_will_be_played_again(tmp_path: pathlib.Path, first: int, kept: list):
  write(tmp_path, [10, 20, 30])
  write(tmp_path, [first + 10], first)
  assert rounds(tmp_path) == [*kept, first + 10]


def test_lines_that_are_no_rows_are_passed_over(tmp_path: pathlib.Path):
  (tmp_path / "metrics.jsonl").write_text('5\n{"V": 1}\n{"round": 1}\n[]\n')
  assert read_rows(tmp_path) == [{"round": 1}]


def test_a_torn_last_line_is_repaired(tmp_path: pathlib.Path):
  write(tmp_path, [10, 20])
  path = tmp_path / "metrics.jsonl"
  path.write_bytes(path.read_bytes()[:-7])
  assert rounds(tmp_path) == [10]
  write(tmp_path, [20], first=10)
  assert rounds(tmp_path) == [10, 20]
  assert path.read_text().endswith("}\n") and len(path.read_text().splitlines()) == 2


def test_tensorboard_reads_the_events(tmp_path: pathlib.Path):
  writer = Writer(tmp_path)
  writer.row(10, {"V": -1.25, "score/kl": 0.5, "bad": math.nan})
  writer.picture(10, grid(digits(4)))
  writer.picture(20, grid(digits(4, channels=3)))
  writer.close()
  found = events(tmp_path)
  assert [(e.step, e.value) for e in found.Scalars("V")] == [(10, -1.25)]
  assert found.Scalars("score/kl")[0].value == 0.5
  assert "bad" not in found.Tags()["scalars"]
  assert [e.step for e in found.Images("samples")] == [10, 20]
  shown = Image.open(io.BytesIO(found.Images("samples")[0].encoded_image_string))
  np.testing.assert_array_equal(np.asarray(shown.convert("L")), grid(digits(4))[..., 0])


def test_tensorboard_after_resuming_has_no_duplicates(tmp_path: pathlib.Path):
  write(tmp_path, [10, 20, 30])
  write(tmp_path, [20, 30, 40], first=10)
  assert [e.step for e in events(tmp_path).Scalars("V")] == [10, 20, 30, 40]


def test_tensorboard_after_starting_anew_has_no_duplicates(tmp_path: pathlib.Path):
  write(tmp_path, [10, 20])  # killed before its first checkpoint
  write(tmp_path, [10, 20, 30])
  assert [e.step for e in events(tmp_path).Scalars("V")] == [10, 20, 30]


def test_tensorboard_draws_no_curve_of_what_was_not_measured(tmp_path: pathlib.Path):
  write(tmp_path, [10], evaluation=123456.0)
  assert events(tmp_path).Tags()["scalars"] == ["V"]
  assert read_rows(tmp_path)[0]["evaluation"] == 123456


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_survive_a_png(tmp_path: pathlib.Path, channels: int):
  image = np.random.default_rng(0).integers(256, size=(7, 9, channels)).astype(np.uint8)
  path = tmp_path / "folder" / "image.png"
  save_png(path, image, "class by class: bee, ß")
  np.testing.assert_array_equal(np.asarray(Image.open(path)).reshape(image.shape), image)
  assert Image.open(path).text == {"Description": "class by class: bee, ß"}
  assert [found.name for found in path.parent.iterdir()] == ["image.png"]


def test_what_a_killed_run_left_half_written_goes(tmp_path: pathlib.Path):
  (tmp_path / "samples").mkdir()
  left = [tmp_path / ".summary.json.77", tmp_path / "samples" / ".00000030.png.16323"]
  kept = [tmp_path / "summary.json", tmp_path / "samples" / "00000030.png", tmp_path / ".notes.txt"]
  for path in [*left, *kept]:
    path.write_text("")
  Writer(tmp_path, 0).close()
  assert all(path.exists() for path in kept) and not any(path.exists() for path in left)
