"""Folders in, a page out: what is refused, what is said, and how large it may be."""

import json
import math
import os
import re

import pytest
from made_runs import made_card, made_run

from gan_jax.run.report import page
from gan_jax.run.report.page import write


def data(path):
  return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text())[1])


def test_a_page_of_one_run(tmp_path):
  run, out = made_run(tmp_path / "run"), tmp_path / "new/report.html"
  assert write([run], out) == []
  text = out.read_text()
  assert "<h1>run</h1>" in text and "1 run of 1 config: 1 done." in text and "No warnings." in text
  (charts,) = data(out)["sets"]
  assert charts["methods"] == ["run"] and charts["panels"][0]["title"] == "KL"
  assert os.listdir(out.parent) == ["report.html"]


def test_pictures_of_classes_say_of_which(tmp_path):
  run = made_run(tmp_path / "run")
  found = json.loads((run / "config.json").read_text())
  found["example"] |= {"num_classes": 2, "class_names": ["cat", "<b>dog"]}
  (run / "config.json").write_text(json.dumps(found))
  write([run], tmp_path / "report.html")
  assert "class by class: classes cat, &lt;b&gt;dog" in (tmp_path / "report.html").read_text()
  found["example"]["class_names"] = ["cat"]
  (run / "config.json").write_text(json.dumps(found))
  with pytest.raises(ValueError, match=r"config\.json is damaged \(1 names of 2 classes\)"):
    write([run], tmp_path / "report.html")


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
  run = made_run(tmp_path / "run", played=0, pictures=())
  (run / "metrics.jsonl").unlink()
  note, *_ = write([run], tmp_path / "report.html")
  assert note == "run: there is no metrics.jsonl, so nothing is known of its rounds"
  text = (tmp_path / "report.html").read_text()
  for told in ("No run has a score yet", "No run has two rows yet", "No run has pictures"):
    assert told in text
  assert "1 could not be read or shown" in text


@pytest.mark.parametrize(
  "runs, out, said",
  [
    (["none"], "a.html", r"no run in .*none: expected a folder with config.json or ablation.json$"),
    (["."], "a.html", "no run in .*; there are runs below it, such as .*damaged"),
    (["run", "run/../run"], "a.html", "named twice"),
    ([], "a.html", "expected gan_jax report RUN"),
    (["run"], "a.pdf", "the page is HTML; expected a name in .html"),
    (["run"], "folder.html", "cannot be written"),
    (["run"], "file/a.html", "cannot be written"),
    (["damaged"], "a.html", r"config.json is damaged .*restore it from a copy"),
  ],
)
def test_what_cannot_be_is_refused_in_a_line_and_nothing_is_written(tmp_path, runs, out, said):
  made_run(tmp_path / "run")
  (tmp_path / "damaged").mkdir()
  (tmp_path / "damaged/config.json").write_text("[]")
  (tmp_path / "folder.html").mkdir()
  (tmp_path / "file").write_text("")
  before = sorted(os.listdir(tmp_path))
  with pytest.raises((ValueError, OSError), match=said) as error:
    write([tmp_path / run for run in runs], tmp_path / out)
  assert "\n" not in str(error.value) and sorted(os.listdir(tmp_path)) == before


def test_a_method_of_which_one_run_has_no_score_has_its_mean_drawn(tmp_path):
  score = lambda kl: [made_card((kl,), 400)._replace(scores={"kl": [kl]})]
  runs = [
    made_run(tmp_path / f"run_{seed}", seed=seed, cards=score(kl))
    for seed, kl in enumerate((0.1, math.nan))
  ]
  write(list(map(str, runs)), tmp_path / "page.html")
  assert re.search(r'<path[^>]*class="mean"', (tmp_path / "page.html").read_text())


def test_damaged_rows_are_said_and_the_page_is_made(tmp_path):
  run = made_run(tmp_path / "run")
  lines = (run / "metrics.jsonl").read_text().splitlines()
  (run / "metrics.jsonl").write_text("\n".join([lines[0], "{", *lines[1:]]))
  note = "metrics.jsonl: 1 of 21 lines are damaged, and left out"
  assert write([run], tmp_path / "report.html") == [f"run: {note}"]
  assert note in (tmp_path / "report.html").read_text()


def test_a_picture_that_cannot_be_read_is_said_and_left_out(tmp_path):
  run = made_run(tmp_path / "run")
  (run / "samples/00000200.png").write_bytes(b"no picture")
  (note,) = write([run], tmp_path / "report.html")
  assert note.startswith("run: ") and "00000200.png cannot be read" in note
  text = (tmp_path / "report.html").read_text()
  assert "Samples of run at round 400" in text and "Samples of run at round 200" not in text


def test_a_page_that_would_be_too_large_is_refused(tmp_path, monkeypatch):
  run = made_run(tmp_path / "run")
  monkeypatch.setattr(page, "LIMIT", 50_000)
  with pytest.raises(ValueError, match=r"a page of 1 folders has .* bytes, .*: report fewer"):
    write([run], tmp_path / "report.html")
  assert not (tmp_path / "report.html").exists()


def test_many_long_runs_stay_below_the_limit(tmp_path):
  """240 curves of 600 rows have fewer points each."""
  rows = {f"monitor/m{i}": float(i) for i in range(10)}
  folders = [made_run(tmp_path / f"r{i}", seed=i, rounds=12_000, rows=rows) for i in range(16)]
  write(folders, tmp_path / "report.html")
  assert (tmp_path / "report.html").stat().st_size < 2_500_000
  assert 90 < len(data(tmp_path / "report.html")["sets"][0]["panels"][2]["runs"][0]["x"]) <= 208
