"""One live run in a folder."""

import subprocess
import sys

import pytest

from gan_jax.run.training.saving.lock import BusyError, hold, is_live


def test_a_folder_is_held_by_one(tmp_path):
  workdir = tmp_path / "runs/new"
  assert not is_live(workdir)
  with hold(workdir):
    assert is_live(workdir)
    refused = pytest.raises(BusyError, match=r"runs/new is in use by a live run \(process \d+ on ")
    with refused, hold(workdir):
      pass
  assert not is_live(workdir)
  with hold(workdir):
    pass


def test_asking_does_not_keep_a_run_from_starting(tmp_path, monkeypatch):
  with hold(tmp_path):
    pass
  asked = []
  with (tmp_path / "lock").open() as other:
    import fcntl

    fcntl.flock(other, fcntl.LOCK_SH)  # another process in `is_live`
    monkeypatch.setattr("time.sleep", lambda _: asked.append(fcntl.flock(other, fcntl.LOCK_UN)))
    with hold(tmp_path):
      assert len(asked) == 1


def test_a_refusal_leaves_nothing_behind_that_was_not_there(tmp_path):
  for mine in ([], ["notes"], ["lock"]):
    place = tmp_path / "-".join(["has", *mine])
    place.mkdir()
    for name in mine:
      (place / name).touch()
    for workdir in (place, place / "deep/er"):
      with pytest.raises(ValueError, match="refused"), hold(workdir):
        raise ValueError("refused")
    assert sorted(path.name for path in place.rglob("*")) == mine
  with pytest.raises(ValueError, match="stopped"), hold(tmp_path / "run"):
    (tmp_path / "run/config.json").touch()
    raise ValueError("stopped")
  assert (tmp_path / "run/lock").exists()


def test_a_lock_that_its_holder_takes_away_is_made_again(tmp_path, monkeypatch):
  """Another process opens the file while one is refused: it would hold what nobody finds."""
  import fcntl

  flock, taken = fcntl.flock, []

  def remove_first(file, how):
    if not taken:
      taken.append((tmp_path / "run/lock").unlink())
      (tmp_path / "run").rmdir()
    flock(file, how)

  monkeypatch.setattr("fcntl.flock", remove_first)
  with hold(tmp_path / "run"):
    assert is_live(tmp_path / "run") and taken == [None]


def test_the_lock_of_a_process_that_was_killed_is_gone(tmp_path):
  head = "import time\nfrom gan_jax.run.training.saving.lock import hold\n"
  code = f"{head}with hold({str(tmp_path)!r}): print(1, flush=True); time.sleep(3600)"
  with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
    process.stdout.readline()
    assert is_live(tmp_path)
    with pytest.raises(BusyError, match=f"process {process.pid} on "), hold(tmp_path):
      pass
    process.kill()
  assert not is_live(tmp_path)
  with hold(tmp_path):
    pass
