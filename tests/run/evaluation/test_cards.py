"""Score cards: what they say, how they are kept, and which of them may be compared."""

import json
import os

import numpy as np
import pytest
from made_cards import card

from gan_jax.run.evaluation.cards.card import TRAINING_DRAW, format_card, protocol_hash
from gan_jax.run.evaluation.cards.files import (
  card_path,
  drop_cards_after,
  has_card,
  read_card,
  read_cards,
  save_card,
)


def test_what_is_made_holds_conditions_and_no_results():
  made = card().protocol
  assert made["fake"] == {"count": 500} and not {"floor", "classes"} & set(
    made
  )  # a seed is no condition
  assert made["ema"] is True and made["checkpoint"] == "last"
  assert card().run["floor"] == {"kl": 0.01} and card().run["classes"]["bee"] == 0.1
  assert (
    protocol_hash(card())
    == protocol_hash(card((1.0, 2.0), round=3))
    != protocol_hash(card(ema=False))
  )


def test_mean_and_error_are_over_draws():
  found = card((7.0, 8.0, 9.0))
  assert found.mean("modes") == 8
  assert found.error("modes") == pytest.approx(1 / np.sqrt(3))
  assert card().error("modes") is None


def test_the_line_says_how():
  told = format_card(card((7.0, 9.0)))
  assert told.startswith("modes 8 ± 1  kl 0.15 ± 0.05  (last, round 600; ")
  for part in (
    "net 01234567",
    "500 fakes x 2",
    "ring8 test 2,000",
    "averaged",
    protocol_hash(card()),
  ):
    assert part in told
  assert "raw weights" in format_card(card(ema=False))
  # The bound of latents, or psi of styles: the card does not say which the generator has.
  assert "; truncation 0.5;" in format_card(card(truncation=0.5))
  assert "; truncation 0;" in format_card(card(truncation=0.0))  # psi of the average style


def test_a_card_is_read_as_it_was_written(tmp_path):
  kept, path = save_card(card((7.0, 8.0), kl=(0.1, float("inf"))), tmp_path)
  assert path == card_path(kept, tmp_path) and path.parent.name == "cards"
  assert read_card(path) == kept and read_cards([tmp_path]) == [kept]
  assert json.loads(path.read_text())["summary"]["modes"]["mean"] == 7.5


def test_a_card_gathers_draws_of_other_seeds(tmp_path):
  save_card(card((1.0, 2.0, 3.0), seeds=(1, 2, 4)), tmp_path)
  kept, path = save_card(card((9.0, 4.0), seeds=(1, 3)), tmp_path)
  assert kept.run["draws"] == [1, 2, 3, 4] and kept.scores["modes"] == [9, 2, 4, 3]
  assert read_card(path) == kept
  other, _ = save_card(card((5.0,), ema=False), tmp_path)
  assert other.scores["modes"] == [5.0] and len(list((tmp_path / "cards").iterdir())) == 2
  assert has_card(card(seeds=(3,)), tmp_path) and not has_card(card(seeds=(5,)), tmp_path)
  assert not has_card(card(seeds=(3,), config="b"), tmp_path)
  assert save_card(card(config="b"), tmp_path)[0].run["draws"] == [0]  # another run was here


@pytest.mark.parametrize("rule", ["best", "last"])
def test_no_checkpoint_is_judged_by_the_draw_that_chose_it(tmp_path, rule):
  """The last may be the best, and one checkpoint has one set of draws."""
  alone, _ = save_card(card((9.0,), checkpoint=rule, seeds=(TRAINING_DRAW,)), tmp_path)
  assert alone.scores["modes"] == [9]
  kept, _ = save_card(card((7.0, 8.0), checkpoint=rule, seeds=(1, 2)), tmp_path)
  assert kept.scores["modes"] == [7, 8]
  again, _ = save_card(card((9.0,), checkpoint=rule, seeds=(TRAINING_DRAW,)), tmp_path)
  assert again.scores["modes"] == [7, 8]


def test_cards_of_rounds_that_are_played_again_go(tmp_path):
  for round in (300, 600):
    save_card(card(round=round), tmp_path)
  drop_cards_after(tmp_path, after=300)
  assert read_cards([tmp_path])[0].run["round"] == 300


def test_the_folder_of_a_run_stands_for_its_last_checkpoint(tmp_path):
  with pytest.raises(FileNotFoundError, match="no card of its last checkpoint: gan_jax evaluate"):
    read_cards([tmp_path])
  save_card(card(checkpoint="best", round=300), tmp_path)
  with pytest.raises(FileNotFoundError, match="no card of its last"):
    read_cards([tmp_path])
  save_card(card(round=300), tmp_path)
  save_card(card(), tmp_path)
  assert read_cards([tmp_path])[0].run["round"] == 600


def test_folders_are_read_in_the_newest_way_that_they_have_in_common(tmp_path):
  one, other = tmp_path / "one", tmp_path / "other"
  for folder, ema, age in ((one, True, 3), (one, False, 2), (other, True, 1), (other, False, 5)):
    _, path = save_card(card(ema=ema), folder)
    os.utime(path, (1000 - age, 1000 - age))
  assert [found.protocol["ema"] for found in read_cards([one, other])] == [False, False]
  _, path = save_card(card(truncation=0.5), other)
  os.utime(path, (2000, 2000))
  assert [found.protocol["ema"] for found in read_cards([one, other])] == [False, False]
  assert [found.protocol["truncation"] for found in read_cards([other])] == [0.5]
  save_card(card(round=900, truncation=0.5), other)  # nothing in common: each one's newest
  assert [found.run["round"] for found in read_cards([one, other])] == [600, 900]
  a = save_card(card(), one)[1]
  assert read_cards([a, a])[0].protocol["ema"] is True


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scores": 1}', "\x00"])
def test_what_is_no_card_is_said_to_be_none(tmp_path, text):
  (tmp_path / "x.json").write_text(text)
  with pytest.raises(ValueError, match="is no score card, or a damaged one"):
    read_card(tmp_path / "x.json")
  with pytest.raises(FileNotFoundError, match="there is no card"):
    read_card(tmp_path / "y.json")
