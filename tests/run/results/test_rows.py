"""What a run writes: rows, events, pictures, the progress line, the summary."""

import io
import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_jax.files import error_context, save_arrays, write_json
from gan_jax.plots import grid
from gan_jax.plots.png import save_png
from gan_jax.run.results.rows import Writer, read_rows, scored_rounds
from gan_jax.run.results.summary import last_and_best, machine
from gan_jax.run.training.progress import Progress, _duration


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


# --- rows and events ------------------------------------------------------------------------------


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


# --- pictures -------------------------------------------------------------------------------------


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


# --- the progress line ----------------------------------------------------------------------------

ROW = {
  "images_per_second": 12_345.0,
  "rounds_per_second": 20.0,
  "discriminator/loss": 1.25,
  "generator/loss": 0.5,
  "D_real": 0.75,
  "D_fake": 0.125,
  "score/kl": 0.0625,
}
FACTS = ("12,345 img/s", "1.250", "0.500", "D(x) 0.750", "D(G(z)) 0.125", "kl 0.0625")


class Terminal(io.StringIO):
  def isatty(self) -> bool:
    return True


def test_plain_lines_where_there_is_no_terminal():
  stream = io.StringIO()
  progress = Progress(1000, first=100, stream=stream)
  progress.show(200, ROW)
  progress.say("hello")
  progress.show(300, {})  # nothing is required
  progress.close()
  lines = stream.getvalue().splitlines()
  assert len(lines) == 3 and "\r" not in stream.getvalue()
  assert lines[0].startswith("round 200/1000  20.0 rounds/s, ETA 0:")
  assert all(fact in lines[0] for fact in FACTS)
  assert lines[1] == "hello" and lines[2].startswith("round 300/1000")


def test_one_moving_line_in_a_terminal():
  stream = Terminal()
  progress = Progress(1000, first=100, stream=stream)
  assert "100/1000" in stream.getvalue()  # goes on where it was
  progress.show(200, ROW)
  progress.say("hello")
  progress.close()
  shown = stream.getvalue()
  assert "200/1000" in shown and "hello\n" in shown
  assert "D(G(z)) 0.125" in shown


def test_a_moving_line_in_a_notebook():
  stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
  progress = Progress(1000, stream=stream)
  progress.show(200, ROW)
  progress.close()
  assert "200/1000 |" in stream.getvalue() and "round 200/1000  kl 0.0625" in stream.getvalue()


def test_the_moving_line_fits_80_columns(monkeypatch: pytest.MonkeyPatch):
  monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((80, 24)))
  stream = Terminal()
  stream.fileno = lambda: 2
  progress = Progress(10_000, stream=stream)
  progress.show(9_900, ROW)
  progress.close()
  line = stream.getvalue().split("\r")[-1].rstrip("\n")
  assert len(line) <= 80 and line.startswith("9900/10000 |")
  assert "D 1.250 G 0.500 D(x) 0.750 D(G(z)) 0.125 12,345 img/s" in line and "ETA" in line


def test_plain_lines_in_a_terminal_without_width(monkeypatch: pytest.MonkeyPatch):
  """As some containers have; a bar would be cut to nothing."""
  monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((0, 0)))
  stream = Terminal()
  stream.fileno = lambda: 2
  progress = Progress(1000, stream=stream)
  progress.show(200, ROW)
  assert stream.getvalue().startswith("round 200/1000")


@pytest.mark.parametrize(
  ("seconds", "text"),
  [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (7325, "2:02:05")],
)
def test_durations(seconds: float, text: str):
  assert _duration(seconds) == text


# --- the summary ----------------------------------------------------------------------------------


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
  save_arrays(tmp_path / "samples.npz", {"x": digits(3), "y": np.arange(3)})
  with np.load(tmp_path / "samples.npz", allow_pickle=False) as found:
    np.testing.assert_array_equal(found["x"], digits(3))
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
