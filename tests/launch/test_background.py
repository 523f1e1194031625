"""A command in the background: its state while it runs, has ended, or was killed."""

import os
import signal
import time

from patience import until

TRAIN = "train --config=experiments/ring.py --workdir=runs/x"


def state(tree):
  return tree.run("launch/background state").stdout.strip()


def becomes(tree, wanted):
  until(lambda: state(tree) == wanted, lambda: state(tree))


def test_it_runs_ends_and_can_be_started_again(tree):
  tree.gan_jax('echo "$@"; while [ ! -e enough ]; do sleep 0.1; done; exit 3')
  assert state(tree) == "none"
  tree.run(f"launch/background start {TRAIN}")
  assert state(tree) == "running"
  assert "running already" in tree.run(f"launch/background start {TRAIN}", code=1).stderr
  other = TRAIN.replace("runs/x", "runs/y")
  about = lambda command: tree.run(f"launch/background state {command}").stdout.strip()
  assert about(TRAIN) == "running" and about(other) == "another"
  (tree.root / "enough").touch()
  becomes(tree, "3")
  assert (tree.root / "background.log").read_text() == f"{TRAIN}\n"
  assert about(TRAIN) == "3" and about(other) == "none"
  tree.gan_jax("exit 0")
  tree.run(f"launch/background start {TRAIN}")
  becomes(tree, "0")


def test_stopping_lets_it_save(tree):
  tree.gan_jax("trap 'echo saved; exit 75' TERM; echo on; while :; do sleep 0.1; done")
  tree.run(f"launch/background start {TRAIN}")
  while "on" not in (tree.root / "background.log").read_text():
    time.sleep(0.05)
  tree.run("launch/background stop")
  assert state(tree) == "75" and "saved" in (tree.root / "background.log").read_text()
  tree.run("launch/background stop")


def test_what_was_killed_with_all_that_watched_it_is_known_to_be_gone(tree):
  """As when the machine was: no exit code is left, and another process may have the number."""
  tree.gan_jax("exec sleep 600")
  tree.run(f"launch/background start {TRAIN}")
  number = int((tree.root / "background.pid").read_text())
  os.killpg(os.getpgid(number), signal.SIGKILL)
  becomes(tree, "gone")
  (tree.root / "background.pid").write_text(str(os.getpid()))
  assert state(tree) == "gone"
