"""Several processes on one machine: told who they are, ended together, started again."""

import pathlib
import signal
import subprocess
import sys

import pytest
from patience import HANG

ROOT = pathlib.Path(__file__).parents[2]
TRAIN = "train --config=experiments/ring.py --workdir=runs/x"


def test_each_is_told_who_it_is_and_its_lines_are_marked(tree):
  tree.gan_jax(
    'echo "$GAN_JAX_PROCESS_ID of $GAN_JAX_NUM_PROCESSES at $GAN_JAX_COORDINATOR $*"; env'
  )
  options = "--processes=3 --devices=4 --coordinator=127.0.0.1:4567"
  told = tree.run(f"launch/local_processes {options} {TRAIN}", XLA_FLAGS="--xla_a").stdout
  for i in range(3):
    lines = [line[4:] for line in told.splitlines() if line.startswith(f"[{i}] ")]
    assert lines[0] == f"{i} of 3 at 127.0.0.1:4567 {TRAIN}"
    assert "XLA_FLAGS=--xla_a --xla_force_host_platform_device_count=4" in lines
    assert "JAX_PLATFORMS=cpu" in lines
  assert all(line[:4] in ("[0] ", "[1] ", "[2] ") for line in told.splitlines())


def test_when_one_fails_the_others_may_save_and_its_code_is_that_of_all(tree):
  tree.gan_jax("""
    if [ "$GAN_JAX_PROCESS_ID" = 1 ]; then
      until [ -e ready-0 ] && [ -e ready-2 ]; do sleep 0.1; done; exit 3
    fi
    trap 'echo saved; exit 75' TERM
    touch "ready-$GAN_JAX_PROCESS_ID"
    for i in $(seq 6000); do sleep 0.1; done""")
  told = tree.run(f"launch/local_processes --processes=3 --grace=600 {TRAIN}", code=3).stdout
  assert "[0] saved" in told and "[2] saved" in told


def test_one_that_will_not_end_is_killed_after_the_grace(tree):
  tree.gan_jax("""
    if [ "$GAN_JAX_PROCESS_ID" = 1 ]; then until [ -e ready ]; do sleep 0.1; done; exit 4; fi
    trap '' TERM
    touch ready
    sleep 600; touch lived""")
  tree.run(f"launch/local_processes --processes=2 --grace=1 {TRAIN}", code=4)
  assert (tree.root / "ready").exists() and not (tree.root / "lived").exists()


def test_what_was_interrupted_is_started_again_as_often_as_was_said(tree):
  tree.gan_jax('echo x >> "played-$GAN_JAX_PROCESS_ID"; exit 75')
  tree.run(f"launch/local_processes --processes=2 --restarts=2 {TRAIN}", code=75)
  assert [(tree.root / f"played-{i}").read_text() for i in range(2)] == ["x\nx\nx\n"] * 2
  tree.gan_jax(
    '[ -e "again-$GAN_JAX_PROCESS_ID" ] || { touch "again-$GAN_JAX_PROCESS_ID"; exit 75; }'
  )
  tree.run(f"launch/local_processes --processes=2 --restarts=1 {TRAIN}")


# What was started in the background ignores Ctrl-C, and so would all that it starts.
HEARD = """
import os, signal, sys
signal.signal(int(sys.argv[1]), signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_it_stops_all_once_and_nothing_starts_again(tree, number):
  tree.gan_jax("""
    trap 'echo told >> "told-$GAN_JAX_PROCESS_ID"; sleep 0.5; exit 75' TERM INT
    echo ready
    for i in $(seq 6000); do sleep 0.1; done""")
  command = [
    tree.root / "launch/local_processes",
    "--processes=2",
    "--restarts=5",
    *TRAIN.split(),
  ]
  with subprocess.Popen(
    [sys.executable, "-c", HEARD, str(int(number)), *command],
    cwd=tree.root,
    env=tree.environment(),
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    ready = [process.stdout.readline() for _ in range(2)]
    assert sorted(ready) == ["[0] ready\n", "[1] ready\n"]
    process.send_signal(number)
    assert process.wait(HANG) == 75
  assert [(tree.root / f"told-{i}").read_text() for i in range(2)] == ["told\n"] * 2


JOIN = """
import sys
from gan_jax import parallel
parallel.start()
import jax
told = [parallel.any_process(jax.process_index() == i) for i in range(3)]
print(jax.process_index(), 'of', jax.process_count(), jax.device_count(), told, *sys.argv[1:])
"""


def test_real_processes_find_each_other_and_talk(tree):
  """That such processes train one run is tested where they are started one by one."""
  (tree.root / "join.py").write_text(JOIN)
  tree.gan_jax(f'exec {sys.executable} join.py "$@"')
  command = f"launch/local_processes --processes=2 --devices=2 {TRAIN}"
  told = tree.run(command, PYTHONPATH=str(ROOT)).stdout
  for i in range(2):
    assert f"[{i}] {i} of 2 4 [True, True, False] {TRAIN}" in told
