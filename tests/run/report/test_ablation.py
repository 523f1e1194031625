"""An ablation on a page: its order, matrix, curves, and the file that plays it again."""

import json
import re
import runpy

import pytest
from made_runs import made_ablation, made_run

from gan_jax.run.ablation.plan import variants
from gan_jax.run.ablation.results import add_rows, read
from gan_jax.run.config.stored import config_values
from gan_jax.run.report.ablation import read_ablation
from gan_jax.run.report.page import write
from gan_jax.run.report.parts.ablation import SHOWN, curves, data, matrix, result
from gan_jax.run.report.reproduce import ablation_file


def test_the_baseline_comes_first_and_then_the_best(tmp_path):
  found = read_ablation(made_ablation(tmp_path / "losses"))
  assert [tuple(o.variant.values()) for o in found.variants] == [
    ("non_saturating", "none"),
    ("wasserstein", "r1"),
    ("hinge", "none"),
    ("hinge", "r1"),
    ("non_saturating", "r1"),
    ("wasserstein", "none"),  # of which a run failed
  ]
  assert [o.variant for o in found.outcomes["modes"]] == [o.variant for o in found.variants]
  assert found.summary.state == "done" and found.summary.unit == "runs"
  assert set(found.marginals) == {"loss", "penalty"} and found.conclusions


def test_the_matrix_says_means_intervals_and_what_can_be_told_apart(tmp_path):
  found = read_ablation(made_ablation(tmp_path / "losses"))
  cells = re.findall(r"<t[dh].*?</t[dh]>", matrix(found.variants, found.results.plan, "min"))
  said = [" ".join(re.sub("<[^>]*>", " ", cell).split()) for cell in cells]
  assert said == [
    *("loss \\ penalty", "none", "r1"),
    *("non_saturating", "1.01 1 to 1.02 the baseline", "1.11 1.1 to 1.12 ≈ baseline"),
    *("hinge", "0.505 0.5 to 0.51 ▲ better", "0.605 0.6 to 0.61 ▲ better"),
    *("wasserstein", "0.3383 0.337 to 0.34 1 of 3 failed", "0.4367 0.433 to 0.44 ▲ better"),
  ]
  assert [i for i, cell in enumerate(cells) if "best" in cell] == [11]


def test_one_axis_and_too_many_columns_have_no_matrix(tmp_path):
  penalties = {f"r1 {i}": {"regularizers.r1": float(i)} for i in range(17)}
  wide = read_ablation(
    made_ablation(tmp_path / "wide", penalties=penalties, seeds=(0, 1), losses=["a", "b"])
  )
  assert matrix(wide.variants, wide.results.plan, "min") is None
  plan = {**wide.results.plan, "axes": {"loss": ["hinge"]}}
  assert matrix([], plan, "min") is None


def test_curves_are_bands_over_seeds_and_few_are_shown_at_first(tmp_path):
  found = read_ablation(made_ablation(tmp_path / "losses", losses=[f"l{i}" for i in range(8)]))
  drawn = data(found, 100_000, 24)
  first = drawn["panels"][0]
  assert first["title"] == "modes" and {p["title"] for p in drawn["panels"]} >= {"KL", "V(D, G)"}
  kl = next(panel for panel in drawn["panels"] if panel["title"] == "KL")
  assert kl["bands"][0] == {
    "method": 0,
    "x": [20, 40, 60, 80, 100],
    "y": [5.05, 2.525, 1.683, 1.262, 1.01],
    "low": [5.0, 2.5, 1.667, 1.25, 1.0],
    "high": [5.1, 2.55, 1.7, 1.275, 1.02],
  }
  assert str(curves(found, 0)).count('aria-pressed="true"') == SHOWN


def test_the_config_file_of_an_ablation_makes_its_runs(tmp_path):
  results = read(made_ablation(tmp_path / "losses"))
  (tmp_path / "again.py").write_text(ablation_file(results))
  asked = runpy.run_path(str(tmp_path / "again.py"))["get_config"]()
  rows = {tuple(row["variant"].values()): row["changes"] for row in results.rows}
  assert {tuple(labels.values()): changes for labels, changes in variants(asked.axes)} == rows
  assert config_values(asked.base) == results.plan["base"]
  assert dict(asked.baseline) == results.plan["baseline"] and asked.rounds == 100
  assert list(asked.seeds) == [0, 1, 2] and (asked.score, asked.collapse) == ("kl", "modes<4")


def test_variants_of_other_rounds_keep_theirs_when_made_again(tmp_path):
  """Of a budget of images, or of an axis over rounds: those of the first are not those of all."""
  folder = made_ablation(tmp_path / "losses")
  results = read(folder)
  results.rows[-1]["rounds"] = 1250
  add_rows(folder, results.rows[-1:])
  assert "rounds=" not in ablation_file(read(folder))
  of_images = {**results.plan, "images": 6400}
  assert "images=6400," in (text := ablation_file(results._replace(plan=of_images)))
  assert "rounds=" not in text
  assert "100 to 1,250 rounds each" in str(result(read_ablation(folder)))


def test_a_page_of_an_ablation_beside_runs(tmp_path):
  folders = [made_ablation(tmp_path / "losses", missing=2), made_run(tmp_path / "run")]
  write(folders, tmp_path / "report.html")
  text = (tmp_path / "report.html").read_text()
  assert "<h1>losses and run</h1>" in text
  assert "Ablation losses: 18 runs, stopped, 16 played." in text
  assert "V was nan in round 7" in text and "loss wasserstein, penalty none" in text
  sets = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])["sets"]
  assert [len(one["methods"]) for one in sets] == [1, 6]
  assert 'data-set="0"' in text and 'data-set="1"' in text


@pytest.mark.parametrize(
  "name, text, said",
  [
    ("rows.jsonl", "", "has no rows yet"),
    ("rows.jsonl", '{"variant": 1}\n', "damaged"),
    ("ablation.json", "{", "damaged"),
    ("ablation.json", '{"name": "<b>"}', "damaged"),
  ],
)
def test_what_is_damaged_is_refused_in_a_line(tmp_path, name, text, said):
  folder = made_ablation(tmp_path / "losses")
  (folder / name).write_text(text)
  with pytest.raises(ValueError, match=said) as error:
    write([folder], tmp_path / "report.html")
  assert "\n" not in str(error.value) and not (tmp_path / "report.html").exists()


def test_a_large_ablation_is_a_small_page(tmp_path):
  penalties = {f"p{i}": {"regularizers.r1": float(i)} for i in range(5)}
  made = {"losses": [f"loss_{i}" for i in range(10)], "penalties": penalties, "points": 12}
  write([made_ablation(tmp_path / "losses", **made)], tmp_path / "report.html")
  assert (tmp_path / "report.html").stat().st_size < 600_000
