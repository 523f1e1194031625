"""Files that somebody else may have written: a page, or one line, and never anything else."""

import contextlib
import json

import pytest
from made_runs import made_ablation, made_run

from gan_jax.run.report.page import write
from gan_jax.run.results.listing import summarise_run
from gan_jax.run.results.table import table

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value")
OTHERS = (None, [], {"a": {"b": 1}}, "x", 1e308)


def put(file, keys, value):
  """Puts another value into a JSON file, or into the first line of a file of rows."""
  first, *rest = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
  found = inner = json.loads(first)
  for key in keys[:-1]:
    inner = inner[key]
  inner[keys[-1]] = value
  file.write_text("\n".join([json.dumps(found), *rest]))


def look_at(folder):
  """Lists and reports what is in a folder; it may be refused in a line."""
  with contextlib.suppress(FileNotFoundError):
    table([summarise_run(folder)], folder.parent, width=80)
  try:
    write([folder], folder.parent / "report.html")
  except (ValueError, OSError) as error:
    assert "\n" not in str(error)


@pytest.mark.parametrize(
  "keys",
  [
    ("config.json", "config", "rounds"),
    ("config.json", "config", "generator"),
    ("config.json", "config", "optimizers", "generator", "name"),
    ("summary.json", "rounds"),
    ("summary.json", "scores"),
    ("summary.json", "scores", "kl", "last"),
    ("summary.json", "machine"),
    ("cards", "scores"),
    ("cards", "scores", "kl"),
    ("cards", "made", "real"),
    ("cards", "better", "modes"),
    ("cards", "run", "floor"),
    ("metrics.jsonl", "score/kl"),
    ("metrics.jsonl", "seconds"),
  ],
)
def test_other_values_in_the_files_of_a_run(tmp_path, keys):
  run = made_run(tmp_path / "run")
  (file,) = (run / "cards").iterdir() if keys[0] == "cards" else [run / keys[0]]
  good = file.read_text()
  for value in OTHERS:
    put(file, keys[1:], value)
    look_at(run)
    file.write_text(good)


@pytest.mark.parametrize(
  "keys",
  [
    ("ablation.json", "name"),
    ("ablation.json", "rounds"),
    ("ablation.json", "machine"),
    ("ablation.json", "baseline", "loss"),
    ("ablation.json", "base", "generator", "name"),
    ("rows.jsonl", "changes"),
    ("rows.jsonl", "curve", "round"),
    ("rows.jsonl", "scores", "kl", "last"),
    ("rows.jsonl", "seed"),
  ],
)
def test_other_values_in_the_files_of_an_ablation(tmp_path, keys):
  folder = made_ablation(tmp_path / "losses", losses=["a", "b"], seeds=(0, 1), points=2)
  file = folder / keys[0]
  good = file.read_text()
  for value in OTHERS:
    put(file, keys[1:], value)
    look_at(folder)
    file.write_text(good)
