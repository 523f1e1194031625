"""What is to be run: grids, groups that share a program, and what is no ablation."""

import pytest

from gan_jax.run.ablation import Axis, axis, plan
from gan_jax.run.config import optimizer
from tests.run.ablation.conftest import tiny


def test_grid_has_every_combination_with_every_seed(asked):
  runs = plan.members(asked)
  assert len(runs) == 2 * 3 * 2
  assert runs[0].labels == {"loss": "non_saturating", "r1": "none"} and runs[0].config.seed == 0
  assert runs[-1].name == "loss hinge, r1 strong"
  assert runs[-1].config.loss == "hinge" and runs[-1].config.regularizers.r1 == 1.0
  assert runs[-1].changes == {"loss": "hinge", "regularizers.r1": 1.0}
  assert len({run.key for run in runs}) == len(runs)
  assert asked.base.loss == "non_saturating"  # it stays as it is


def test_numbers_share_a_program_and_structure_does_not(asked):
  found = plan.groups(plan.members(asked))
  assert [len(group.members) for group in found] == [2, 4, 2, 4]
  assert [group.numbers for group in found] == [(), ("regularizers.r1",)] * 2
  assert plan.programs(found) == 4


def test_programs_may_be_played_in_parts(asked):
  found = plan.groups(plan.members(asked), max_members=3)
  assert [len(group.members) for group in found] == [2, 3, 1, 2, 3, 1]
  # Four members in parts of three and one: two shapes of each of two losses.
  assert plan.programs(found) == 6
  whole = plan.groups(plan.members(asked))
  assert [m for g in found for m in g.members] == [m for g in whole for m in g.members]


def test_images_are_a_budget():
  axes = [Axis("turns", {"one": {}, "five": {"k": 5}})]
  asked = tiny(axes=axes, baseline={"turns": "one"}, images=80)
  assert [run.config.rounds for run in plan.members(asked)] == [10, 10, 2, 2]


def test_rounds_are_a_budget():
  assert {run.config.rounds for run in plan.members(tiny(rounds=7))} == {7}


def test_sections_may_be_choices():
  sgd = {"optimizers.generator": optimizer("sgd", 0.1)}
  asked = tiny(axes=[Axis("G", {"adam": {}, "sgd": sgd})], baseline={"G": "adam"})
  runs = plan.members(asked)
  assert runs[-1].config.optimizers.generator.name == "sgd"
  assert runs[-1].changes["optimizers.generator"]["learning_rate"] == 0.1
  assert plan.groups(runs)[1].numbers == ()


def test_kinds_of_game_may_be_choices():
  """With the base's values at the keys that both kinds have, and their own at the others."""
  kinds = {
    "GAN": {},
    "drift": {"game.name": "drift", "temperatures": (0.5,)},
    "same": {"game.name": "two_player", "loss": "hinge"},
  }
  runs = plan.members(tiny(axes=[Axis("kind", kinds)], baseline={"kind": "GAN"}, seeds=(3,)))
  assert [run.config.game.name for run in runs] == ["two_player", "drift", "two_player"]
  drift = runs[1].config
  assert (drift.data, drift.batch_size, drift.latent.dim, drift.seed) == ("ring8", 8, 2, 3)
  assert drift.generator.hidden == (8,) and drift.field == "toy" and "loss" not in drift
  assert runs[1].changes == {"game.name": "drift", "temperatures": (0.5,)}
  assert runs[2].changes == {"loss": "hinge"} and len({run.key for run in runs}) == 3
  with pytest.raises(ValueError, match="poker"):
    plan.members(tiny(axes=[Axis("kind", {"x": {"game.name": "poker"}})], baseline={"kind": "x"}))


def test_key_does_not_depend_on_how_axes_are_called(asked):
  other = tiny(
    axes=[Axis("penalty", {"none": {}, "R1": {"regularizers.r1": 0.1}})],
    baseline={"penalty": "none"},
  )
  keys = {run.key for run in plan.members(asked)}
  assert {run.key for run in plan.members(other)} < keys


@pytest.mark.parametrize(
  ("rule", "last", "has"),
  [
    ("", {}, False),
    ("modes<8", {"modes": 7.0}, True),
    ("modes<8", {"modes": 8.0}, False),
    (" kl > 1e-1 ", {"kl": 0.2}, True),
  ],
)
def test_collapse_is_a_bound_on_a_score(rule, last, has):
  assert plan.has_collapsed(rule, last) is has


def test_collapse_by_a_score_there_is_not():
  with pytest.raises(ValueError, match="the scores are: kl"):
    plan.has_collapsed("modes<8", {"kl": 1.0})


@pytest.mark.parametrize(
  ("options", "said"),
  [
    ({"seeds": ()}, "expected one or more seeds"),
    ({"seeds": (1, 1)}, "each once"),
    ({"axes": []}, "expected one or more"),
    ({"axes": [axis("loss", ["hinge"]), axis("loss", ["hinge"])]}, "each once"),
    ({"baseline": {"loss": "non_saturating"}}, "names no choice of the axis 'r1'"),
    ({"baseline": {"loss": "minimax", "r1": "none"}}, "one of: non_saturating, hinge"),
    ({"baseline": {"loss": "hinge", "r1": "none", "k": "1"}}, "no such axis"),
    ({"rounds": 5, "images": 5}, "a budget is one of them"),
    ({"together": -1}, "expected 0 or more"),
    ({"collapse": "modes"}, "a score and its bound"),
    ({"seeds": (0, 2**32)}, "seed is 4294967296: expected"),
    (
      {"axes": [axis("seed", [5, 6])], "baseline": {"seed": "5"}},
      "varies seed, which config.seeds",
    ),
    (
      {"axes": [axis("rounds", [2, 4])], "baseline": {"rounds": "2"}, "images": 64},
      "varies rounds, which config.images = 64 sets",
    ),
    ({"axes": [axis("looss", ["hinge"])], "baseline": {"looss": "hinge"}}, "no key 'looss'"),
    ({"axes": [axis("loss.x", ["hinge"])], "baseline": {"loss.x": "hinge"}}, "no key 'loss.x'"),
  ],
)
def test_what_is_no_ablation_is_said(options, said):
  with pytest.raises(ValueError, match=said):
    plan.members(tiny(**options))
