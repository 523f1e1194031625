"""Which score cards may be compared, and what is said of two methods."""

import pathlib
import re

import numpy as np
import pytest
from made_cards import card
from made_runs import made_run

from gan_jax.files import flat
from gan_jax.run.config import default_config
from gan_jax.run.config.stored import config_values
from gan_jax.run.evaluation.cards.comparing import board, compare, differences
from gan_jax.run.evaluation.cards.files import write_card
from gan_jax.run.results.naming import config_of, names_of
from gan_jax.run.results.significance import welch
from gan_jax.run.results.sweeps import expanded, is_sweep, methods
from gan_jax.run.results.table import config_differences


def test_a_metric_that_one_alone_has_is_no_difference():
  a, b = card(), card()
  a.protocol["metrics"] = {"frechet": {}, "prdc": {"k": 5}}
  b.protocol["metrics"] = {"frechet": {}, "kernel": {"subsets": 100}}
  assert differences(a, b) == {}
  b.protocol["metrics"]["prdc"] = {"k": 3}
  assert differences(a, b) == {"metrics.prdc.k": (5, 3)}
  b.protocol.update(metrics={"frechet": {}}, note="500 images do not fill the covariance")
  assert differences(a, b) == {}


def test_cards_that_were_made_differently_are_refused_with_the_reason():
  a, b = card(), card(ema=False, checkpoint="best")
  assert differences(a, b) == {"checkpoint": ("last", "best"), "ema": (True, False)}
  with pytest.raises(ValueError, match="cannot be compared") as caught:
    compare([a], [b], names=("a", "b"))
  told = str(caught.value)
  assert "checkpoint: last there, best here" in told and "ema: True there, False here" in told
  assert "--despite=checkpoint,ema" in told
  assert "modes" in compare([a], [b], names=("a", "b"), despite=("checkpoint", "ema"))
  with pytest.raises(ValueError, match="ema: True"):
    compare([a], [b], names=("a", "b"), despite=("checkpoint",))


def test_what_is_compared_of_one_run_each_are_draws():
  a, b = card((7.0, 7.1, 7.2), (0.3, 0.1, 0.2)), card((8.0, 8.1, 8.2), (0.1, 0.2, 0.3))
  told = compare([a], [b], names=("a", "b"))
  assert re.search(r"modes .*7.1 ± 0.058 +8.1 ± 0.058 +\+1, b is better \(p = ", told)
  assert "cannot be told apart (p = 1)" in told and "not whether the methods do" in told
  assert "-1, b is better" in compare([b], [a], names=("b", "a"))
  lower = compare([card(kl=(0.5,) * 1)], [card(kl=(0.1,))], names=("a", "b"))
  assert "of one draw: no telling" in lower


def test_several_runs_are_compared_by_their_means():
  runs = lambda *means: [card((m - 3, m + 3), (m, m)) for m in means]
  twice = runs(1.0)[0]
  with pytest.raises(ValueError, match="a run of a is named twice"):
    compare([twice, twice], runs(1.0, 2.0), names=("a", "b"))
  told = compare(runs(1.0, 1.1, 0.9), runs(2.0, 2.1, 1.9), names=("a", "b"))
  assert "modes" in told and "b is better" in told  # more modes are better, less kl is
  assert re.search(r"kl .*\+1, a is better", told) and "over 3 and 3 runs" in told
  with pytest.raises(ValueError, match="a has 1 runs and b has 2: expected one of each"):
    compare(runs(1.0), runs(1.0, 2.0), names=("a", "b"))


def test_what_is_not_finite_is_not_compared():
  told = compare([card(kl=(float("inf"),))], [card()], names=("a", "b"))
  assert "one of them is not finite" in told


def test_of_a_score_without_a_direction_nobody_is_better():
  a, b = (card((m, m + 0.1)) for m in (1.0, 5.0))
  either = [c._replace(better={"modes": "none", "kl": "none"}) for c in (a, b)]
  told = compare(either[:1], either[1:], names=("a", "b"))
  assert "+4, which is neither better nor worse (p = " in told and "is better" not in told


def test_configs_are_compared_beside_scores(tmp_path):
  folders = [made_run(tmp_path / f"a{i}", seed=i) for i in (0, 1)]
  folders += [made_run(tmp_path / f"b{i}", seed=i, loss="hinge", k=2 + i) for i in (0, 1)]
  configs = [config_of(folder) for folder in folders]
  told = config_differences(configs[:2], configs[2:], names=("a", "b")).splitlines()
  assert [re.split(r"  +", line) for line in told] == [
    ["configs differ in", "a", "b"],
    ["k", "1", "2, 3"],
    ["loss", "non_saturating", "hinge"],
  ]
  (kept,) = (folders[0] / "cards").iterdir()
  assert config_of(kept) == configs[0]
  same = config_differences(configs[:1], [config_of(kept)], names=("a", "b"))
  assert same == "their configs are the same"


def test_methods_are_named_by_what_differs(tmp_path):
  of = lambda **config: [flat(config_values(default_config())) | config]
  named = lambda *configs: names_of(configs, [f"runs/{i}" for i in range(len(configs))])
  assert named(of(loss="hinge", seed=1), of()) == ["loss=hinge", "loss=non_saturating"]
  rate = "optimizers.{}.learning_rate"
  two = {rate.format("generator"): 0.1, rate.format("discriminator"): 0.2, "k": 5}
  assert named(of(**two), of())[0] == "k=5 discriminator.learning_rate=0.2 ..."
  other = {"generator.name": "dcgan_generator", "generator.width": 64, "generator.output": "tanh"}
  assert named(of(**other), of()) == ["generator=dcgan_generator", "generator=mlp_generator"]
  assert named(of(seed=3), of()) == ["0", "1"]  # the same: by their folders
  assert named([None], of()) == ["0", "1"]
  several = named(of(k=2, loss="hinge"), of(k=3, loss="hinge"), of())
  assert several == ["loss=hinge k=2", "loss=hinge k=3", "loss=non_saturating k=1"]


def test_any_number_of_methods_stand_in_a_table_the_best_first():
  runs = lambda *means: [card((m - 3, m + 3), (m, m)) for m in means]
  told = board({"a": runs(1.0, 1.1, 0.9), "b": runs(2.0, 2.1, 1.9), "c": runs(1.5)}).splitlines()
  assert [line.split()[0] for line in told[1:4]] == ["b", "c", "a"]  # more modes are better
  assert re.search(r"^b +3 +2 ± 0.058 ", told[1]) and told[2].split()[:3] == ["c", "1", "1.5"]
  assert re.search(r"\d$", told[3]) and "Welch's test against b" in told[4]
  with pytest.raises(ValueError, match="cannot be compared"):
    board({"a": runs(1.0), "b": [card(ema=False)]})
  infinite = board({"a": [card(kl=(float("inf"),))] * 2, "b": runs(1.0, 2.0)})
  assert "inf" in infinite and "nan" not in infinite
  failed = board({"a": [card((float("nan"),), (1.0,))] * 2, "b": runs(1.0, 2.0), "c": runs(2.0, 3)})
  assert [line.split()[0] for line in failed.splitlines()[1:4]] == ["c", "b", "a"]


def test_p_against_the_best_is_corrected_for_the_number_of_methods():
  runs = lambda *means: [card((m,), (m,)) for m in means]
  last = lambda told, i: float(told.splitlines()[i].split()[-1])
  two = board({"a": runs(3.0, 3.2, 3.1), "b": runs(2.9, 2.8, 3.0)})
  three = board({"a": runs(3.0, 3.2, 3.1), "b": runs(2.9, 2.8, 3.0), "c": runs(0.9, 0.8, 1.0)})
  assert last(three, 2) == last(two, 2)  # the larger p is not multiplied, the smaller by two
  p = welch(np.array([3.0, 3.2, 3.1]), np.array([0.9, 0.8, 1.0]))
  assert last(three, 3) == pytest.approx(2 * p, rel=0.05)  # two digits


def test_a_sweep_stands_for_its_runs(tmp_path):
  folder = tmp_path / "moved"
  names = [f"ring-{loss}-{seed}" for loss in ("hinge", "minimax") for seed in (0, 1)]
  for name in names:
    _, loss, seed = name.split("-")
    made_run(folder / name, seed=int(seed), loss=loss, kl=0.1)
  made_run(folder / "half", played=100)
  lines = [f"train --config=ring.py --workdir=runs/was_here/{n}" for n in [*names, "half", "none"]]
  (folder / "jobs.txt").write_text("\n".join(["# a comment", "", *lines]))
  assert is_sweep(folder) and not is_sweep(tmp_path)
  found, left = methods([str(folder)])
  assert [[pathlib.Path(path).name for path in paths] for paths in found.values()] == [
    names[:2],
    names[2:],
  ]
  assert [told.split("/")[-1] for told in left] == [
    "half is left out, as it is stopped",
    "none is left out, as it is waiting",
  ]
  paths, notes = expanded([folder, tmp_path])
  assert [path.name for path in paths] == [*names, "half", tmp_path.name]
  assert notes == [f"{folder}: 1 jobs have not begun: none"]
  assert list(methods(["a,b", "c"])[0].values()) == [["a", "b"], ["c"]]
  assert list(methods(["a", "a,b", "a,c"])[0].values()) == [["a"], ["a", "b"], ["a", "c"]]


def test_a_card_away_from_its_run_has_no_config(tmp_path):
  write_card(tmp_path / "card.json", card())
  alone = config_of(tmp_path / "card.json")
  run = config_of(made_run(tmp_path / "run"))
  told = config_differences([run], [alone], names=("run", "card"))
  assert told == "the config of card is not known: a score card away from its run has none"
