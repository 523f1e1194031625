"""What a run remembers of its rows: as much of many as of some, and the same after a stop."""

import pytest

from gan_jax.run.training.log import history
from gan_jax.run.training.log.history import History, Thinned


@pytest.fixture(autouse=True)
def few(monkeypatch):
  monkeypatch.setattr(history, "LIMIT", 8)


def row(i, **more):
  return {"round": 100 * i, "V": float(i), **more}


def test_what_is_left_is_evenly_spaced_from_the_first():
  thinned = Thinned()
  for i in range(100):
    thinned.add(i)
    assert len(thinned.items) <= 8 and thinned.items[0] == 0
    assert len({b - a for a, b in zip(thinned.items, thinned.items[1:], strict=False)}) <= 1
    assert i - thinned.items[-1] < 32  # and close to the last
  assert thinned.items == [0, 16, 32, 48, 64, 80, 96]


def test_few_rows_are_all_there_and_of_many_those_with_scores():
  kept = History([row(i) for i in range(1, 6)], 10_000)
  assert kept.rows() == [row(i) for i in range(1, 6)] and kept.last == 500
  for i in range(6, 1000):
    kept.add(row(i, **{"score/kl": 0.1} if i % 250 == 0 else {}))
  rounds = [r["round"] for r in kept.rows()]
  assert len(rounds) <= 16 and rounds == sorted(rounds) and kept.last == 99_900
  assert {25_000, 50_000, 75_000} < set(rounds)


def test_a_stop_changes_nothing():
  rows = [row(i, **{"monitor/held_out_auc": 0.9}) for i in range(1, 40)]
  whole, parts = History([], 4000), History(rows[:21], 4000)
  told = [warning for r in rows for warning in whole.add(r)]
  assert [(a.monitor, a.round) for a in told] == [("discriminator_overfitting", 700)]
  assert [
    warning for r in rows[21:] for warning in parts.add(r)
  ] == []  # told before it was stopped
  assert whole.rows() == parts.rows() and whole.last == parts.last
  assert [a for r in rows[5:] for a in History(rows[:5], 4000).add(r)] == []
