"""What is read of folders of runs, and what of them may be compared."""

import math

import pytest
from made_runs import made_card, made_run

from gan_jax.run.report.records import comparable_groups, grouped, read_records
from gan_jax.run.results.naming import names


def test_runs_that_differ_in_their_seed_are_of_one_method(tmp_path):
  folders = [made_run(tmp_path / f"a-seed_{i}", seed=i) for i in (0, 1)]
  folders.append(made_run(tmp_path / "b", k=2))
  found = read_records(folders)
  assert grouped(found) == {"a": [0, 1], "b": [2]}
  assert [run.color for run in found] == [0, 0, 1] and [run.seed for run in found] == [0, 1, 0]
  assert list(found[0].pictures) == [200, 400] and found[0].seconds == 40


def test_folders_of_one_name_are_told_apart(tmp_path):
  assert names([tmp_path / "x/run", tmp_path / "y/run"]) == ["x/run", "y/run"]
  assert names([tmp_path / "x/a", tmp_path / "x/b"]) == ["a", "b"]


def test_what_is_damaged_is_left_out_and_said(tmp_path):
  run = made_run(tmp_path / "run", pictures=())
  with (run / "metrics.jsonl").open("a") as file:
    file.write('{"round": 420, "x"\n[]\n')
  (run / "cards/00000001-damaged.json").write_text("{}")
  (run / "summary.json").write_text("no JSON")
  (run / "rollbacks.json").write_text('{"rollbacks": [1]}')
  with pytest.raises(ValueError, match=r"summary.json is damaged"):
    read_records([run])
  (run / "summary.json").unlink()
  (found,) = read_records([run])
  assert len(found.rows) == 20 and len(found.cards) == 1 and found.warnings == []
  told = "\n".join(found.notes)
  assert "2 of 22 lines are damaged" in told and "no score card" in told
  assert "no pictures" in told


def test_why_a_run_failed_is_an_alarm(tmp_path):
  (found,) = read_records(
    [made_run(tmp_path / "run", played=100, stopped="loss was nan at round 101")]
  )
  (warning,) = found.warnings
  assert warning.seen == "loss was nan at round 101" and found.summary.state == "failed"


def test_only_what_was_scored_alike_is_compared(tmp_path):
  other = made_card((0.5,), ema=False)
  folders = [
    made_run(tmp_path / "a"),
    made_run(tmp_path / "b", kl=0.2, cards=[made_card((0.2, 0.4)), other]),
    made_run(
      tmp_path / "c",
      cards=[made_card((0.3,), backbone={"name": "another"})],
      rows={"evaluation": 1.0},
    ),
    made_run(tmp_path / "d", played=200),
  ]
  found = comparable_groups(read_records(folders))
  assert [sorted(group.values["kl"]) for group in found] == [[0, 1, 3], [2]]
  assert found[0].values["kl"][1] == pytest.approx(0.3)  # over draws
  assert found[0].values["kl"][3] == pytest.approx(0.2)  # while it trains: its last row
  assert found[0].better == {"modes": "max", "kl": "min"} and found[0].floor == {"kl": 0.01}


def test_scores_that_are_no_numbers_are_shown_as_such(tmp_path):
  from gan_jax.run.report.parts.scores import verdict

  folders = [
    made_run(tmp_path / name, kl=kl, k=i + 1)
    for i, (name, kl) in enumerate([("a", math.nan), ("b", 0.3), ("c", 0.1)])
  ]
  found = read_records(folders)
  (group,) = comparable_groups(found)
  told = verdict("kl", group, grouped(found))
  assert told.startswith("c has the lowest KL, 0.105 in one run; next comes b")
  assert "does not tell the methods apart" in told
  assert told.endswith("Left out: 1 of 1 of a, not finite.")
  assert verdict("modes", group, grouped(found)) == "a, b and c share the highest modes, 8."


def test_a_verdict_says_when_methods_cannot_be_told_apart(tmp_path):
  from gan_jax.run.report.parts.scores import verdict

  values = {"a": (0.1, 0.2), "b": (0.12, 0.22), "c": (5.0, 5.1)}
  folders = [
    made_run(tmp_path / f"{m}{i}", kl=kl, seed=i, k=ord(m))
    for m, pair in values.items()
    for i, kl in enumerate(pair)
  ]
  found = read_records(folders)
  (group,) = comparable_groups(found)
  told = verdict("kl", group, grouped(found))
  assert "next comes b" in told and "(these two cannot be told apart: p = 0.8" in told
  apart = {"b": [2, 3], "c": [4, 5]}
  assert "next comes c" in (told := verdict("kl", group, apart)) and "(p = 0.0" in told
