"""A run that is killed at any moment, again and again, ends as one that was not."""

from experiments.bench import kills

KILLS = 4  # the bench has 30


def test_kills_lose_no_row_and_no_bit(tmp_path, capsys):
  found = kills.kill_again_and_again(tmp_path, KILLS, seed=6)
  with capsys.disabled():
    print(f"\n{kills.told(found)}")
  assert len(found) == KILLS
  assert any(kill.saving for kill in found)  # two are to be
  for kill in found:
    if kill.reached is not None:  # at most one save was under way, and one dispatch in flight
      assert kill.reached - kill.complete <= 2 * kills.EVERY + 5
  newest = [kill.complete for kill in found]
  assert newest == sorted(newest)  # nothing that was complete is ever lost
  assert not any(kills.differences(tmp_path / "whole", tmp_path / "killed").values())
