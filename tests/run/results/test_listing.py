"""Runs below a folder: their states, in an order, by what they are, for a terminal."""

import json
import math
import os
import re

import pytest
from made_runs import made_ablation, made_run

from gan_jax.run.results.listing import filter_runs, find_runs, sort_runs, summarise_run
from gan_jax.run.results.table import format_age, table
from gan_jax.run.training.saving import lock


@pytest.fixture
def folder(tmp_path):
  made_run(tmp_path / "good/a", kl=0.1)
  made_run(tmp_path / "good/b", kl=0.05, seed=1, loss="hinge")
  made_run(tmp_path / "stopped", kl=0.2, played=200)
  made_run(tmp_path / "failed", played=60, stopped="discriminator/loss was nan at round 61")
  made_run(tmp_path / "waiting", played=0, pictures=())
  (tmp_path / "damaged").mkdir()
  (tmp_path / "damaged/config.json").write_text("{")
  (tmp_path / "good/a/checkpoints/400").mkdir(parents=True)
  (tmp_path / "no run").mkdir()
  made_run(tmp_path / "exported", played=0, pictures=())
  (tmp_path / "exported/model.safetensors").write_bytes(b"")
  return tmp_path


def summaries(folder):
  return [summarise_run(path) for path in find_runs(folder)]


def test_each_run_is_found_in_its_state(folder):
  found = {run.path.name: run for run in summaries(folder)}
  assert {name: run.state for name, run in found.items()} == {
    "a": "done",
    "b": "done",
    "stopped": "stopped",
    "failed": "failed",
    "waiting": "stopped",
    "damaged": "damaged",
  }
  assert (found["stopped"].played, found["stopped"].total) == (200, 400)
  assert found["stopped"].scores["kl"]["last"] == pytest.approx(0.4)
  assert found["a"].scores["kl"] == {"last": 0.1, "best": 0.05, "best_round": 200}
  assert "was nan" in found["failed"].note and "is damaged" in found["damaged"].note
  assert found["waiting"].played == 0 and found["b"].config["loss"] == "hinge"


def test_a_run_of_more_rounds_than_it_is_to_have_is_done(tmp_path):
  """Its rounds were lowered after it had played them."""
  run = made_run(tmp_path / "run", rounds=400)
  config = json.loads((run / "config.json").read_text())
  config["config"]["rounds"] = 300
  (run / "config.json").write_text(json.dumps(config))
  found = summarise_run(run)
  assert (found.state, found.played, found.total) == ("done", 400, 300)


def test_a_run_whose_lock_is_held_is_running(tmp_path):
  made_run(tmp_path / "run", played=100)
  with lock.hold(tmp_path / "run"):
    assert summarise_run(tmp_path / "run").state == "running"
  assert summarise_run(tmp_path / "run").state == "stopped"


def test_a_launcher_that_failed_is_told(tmp_path):
  made_run(tmp_path / "run", played=100)
  (tmp_path / "run/failed").write_text("launch/slurm ended with exit code 1\n")
  assert summarise_run(tmp_path / "run")[1] == "failed"


def test_a_run_that_is_named_itself_is_found(folder):
  assert find_runs(folder / "stopped") == [folder / "stopped"]
  with pytest.raises(FileNotFoundError, match="there is no folder"):
    find_runs(folder / "none")


def test_scores_are_sorted_the_best_first(folder):
  names = lambda key: [run.path.name for run in sort_runs(summaries(folder), key)]
  assert names("kl")[:3] == ["b", "a", "stopped"] and names("-kl")[:3] == ["stopped", "a", "b"]
  assert names("best:kl")[0] == "b" and names("-modes")[0] == names("modes")[0] == "stopped"
  assert names("loss")[0] == "b"  # hinge
  assert names("progress")[-2:] == ["a", "b"]
  assert names("name")[0] == "damaged"
  with pytest.raises(ValueError, match="no run has 'fid'.*modes"):
    names("fid")


def test_not_a_number_comes_last_whichever_way(tmp_path):
  made_run(tmp_path / "bad", kl=math.nan)
  made_run(tmp_path / "good", kl=1.0)
  for key in ("kl", "-kl"):
    assert [run.path.name for run in sort_runs(summaries(tmp_path), key)] == ["good", "bad"]


def test_runs_are_kept_by_state_and_config(folder):
  names = lambda **wanted: [run.path.name for run in filter_runs(summaries(folder), wanted)]
  assert names(state="done") == ["a", "b"]
  assert names(state="done", loss="hinge") == ["b"] and names(seed="1") == ["b"]
  assert len(filter_runs(summaries(folder), {"latent.dim": "64"})) == 5
  with pytest.raises(ValueError, match=r"no run has the key 'dim'; there are: latent\.dim"):
    names(dim="64")


def test_a_table_fits_80_columns_and_is_whole_without_a_terminal(folder):
  os.utime(folder / "good/a/metrics.jsonl", (0, 0))
  made_run(folder / ("long_" * 12), rounds=1_000_000, played=100)
  shown = table(summaries(folder), folder, width=80, now=7200.0).splitlines()
  assert max(map(len, shown)) <= 80
  assert re.match(r"run +state +rounds +age  scores", shown[0])
  row = next(line for line in shown if line.startswith("good/a"))
  assert re.search(r"done +400/400 +2 h  kl 0.1 \(best 0.05\)", row)
  assert shown[-1].startswith("7 in all: ") and "1 damaged" in shown[-1]
  whole = table(summaries(folder), folder)
  assert "long_" * 12 in whole and "restore it from a copy" in whole
  assert table([], folder) == "no run was found"


def test_the_score_that_was_sorted_by_is_shown_first(tmp_path):
  made_run(tmp_path / "run", played=200)
  (run,) = summaries(tmp_path)
  assert "  modes 8  kl" in table([run], tmp_path)
  assert "  kl 0.2  modes" in table([run], tmp_path, first="best:kl")


def test_an_ablation_is_listed_by_its_best_variant(tmp_path):
  made_ablation(tmp_path / "done")
  made_ablation(tmp_path / "stopped", missing=5)
  (tmp_path / "damaged").mkdir()
  (tmp_path / "damaged/ablation.json").write_text('{"axes": 1}')
  damaged, done, stopped = summaries(tmp_path)
  assert (done.state, done.played, done.total, done.unit) == ("done", 18, 18, "runs")
  assert done.scores["kl"]["last"] == pytest.approx(0.3383, abs=1e-4) and done.config["k"] == 2
  assert (stopped.state, stopped.played) == ("stopped", 13) and damaged.state == "damaged"
  assert "13/18 runs" in table([stopped], tmp_path) and "1 of its runs failed" in done.note


def test_ages():
  assert [format_age(s) for s in (5, 120, 7200, 86400 * 3, math.nan)] == [
    "now",
    "2 min",
    "2 h",
    "3 d",
    "",
  ]


def test_scores_of_another_way_of_scoring_are_not_mixed_in(tmp_path):
  run = made_run(tmp_path / "run", played=200)
  lines = (run / "metrics.jsonl").read_text().splitlines()
  old = '{"round": 10, "score/kl": 0.001, "evaluation": 1.0}'
  (run / "metrics.jsonl").write_text("\n".join([old, *lines]) + "\n")
  assert summarise_run(run).scores["kl"]["best"] == pytest.approx(0.2)
