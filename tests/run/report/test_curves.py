"""Few points that hide no peak, and bands over seeds."""

import numpy as np
import pytest
from made_runs import made_run

from gan_jax.run.report.curves import (
  Curve,
  band,
  drawable,
  drawn,
  is_log,
  panels,
  short,
  thin,
)
from gan_jax.run.report.records import grouped, read_records
from gan_jax.run.report.tables import title


def curve(y, step=10):
  y = np.asarray(y, float)
  return Curve(step * np.arange(1, len(y) + 1), y)


def test_thinning_keeps_both_ends_and_every_peak():
  y = np.random.default_rng(0).normal(size=5000)
  y[1234], y[4000] = 50, -60
  found = thin(curve(y), 100)
  assert len(found.x) <= 100 and found.y.max() == 50 and found.y.min() == -60
  assert (found.x[0], found.x[-1]) == (10, 50_000) and (np.diff(found.x) > 0).all()
  assert thin(curve([1, 2]), 100).y.tolist() == [1, 2]


def test_a_band_is_mean_lowest_and_highest_of_those_that_were_measured():
  found = band([curve([1, 2, 3]), curve([3, 4])], 100)
  assert found == {"x": [10, 20, 30], "y": [2, 3, 3], "low": [1, 2, 3], "high": [3, 4, 3]}
  coarse = band([curve(np.arange(1000)), curve(-np.arange(1000))], 10)
  assert len(coarse["x"]) == 10 and coarse["y"] == [0] * 10 and coarse["high"][0] == 99


def test_an_axis_is_logarithmic_where_values_span_much():
  axis = lambda *y: is_log([{"y": list(y)}])
  assert axis(1, 1000) and not axis(1, 10) and not axis(0, 1000) and not axis(1e-21, 1)
  assert not is_log([])


def test_what_cannot_be_drawn_is_left_out():
  assert drawable(curve([1e300, 1e-300, -1e300, 2])).y.tolist() == [0, 2]
  assert short(1 / 3) == 0.3333


def test_panels_are_scores_then_play_then_monitors(tmp_path):
  rows = {"monitor/turns": 0.5, "V": -1.4, "x": float("nan")}
  found = read_records([made_run(tmp_path / f"a{i}", seed=i, rows=rows) for i in (0, 1)])
  made = panels(found)
  assert [panel.name for panel in made] == [
    "score/kl", "score/modes", "discriminator/loss", "generator/loss", "D_real", "D_fake", "V",
    "monitor/turns",
  ]  # fmt: skip
  shown = drawn(made[0], grouped(found))
  assert [line["run"] for line in shown["runs"]] == [0, 1] and shown["bands"][0]["method"] == 0
  assert drawn(made[6], grouped(found))["line"] == pytest.approx(-np.log(4))
  assert drawn(made[0], grouped(found[:1]))["bands"] == []


def test_titles():
  assert title("score/frechet_distance") == "Fréchet distance" and title("V_gap").endswith("log 4")
  assert title("discriminator/loss") == "discriminator: loss"
