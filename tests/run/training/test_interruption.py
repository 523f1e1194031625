"""Signals that stop a run."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from patience import HANG

from gan_jax.run.training.interruption import AGAIN, Interrupted, interruptible, interruption


def send(number=signal.SIGTERM):
  os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_asked_for_and_a_second_raises(number):
  before = signal.getsignal(number)
  with interruption(HANG) as interrupted:
    assert not interrupted()
    send(number)
    assert interrupted() and interrupted()
    with pytest.raises(Interrupted, match="at once, as asked twice"):
      send(number)
  assert signal.getsignal(number) is before


def test_a_signal_raises_where_work_can_be_done_again():
  with interruption(HANG) as interrupted:
    with pytest.raises(Interrupted), interrupted.immediately():
      send()
      time.sleep(10)
    assert interrupted()
    with pytest.raises(Interrupted), interrupted.immediately():
      pytest.fail("it had been asked to stop before")


def test_what_is_done_beside_hands_over_what_comes_of_it():
  assert interruptible(lambda: threading.current_thread()) is not threading.main_thread()
  with pytest.raises(ValueError, match="bad"):
    interruptible(lambda: int("bad"))


def run(code):
  head = (
    "import os, signal, sys, time\nfrom gan_jax.run.training.interruption import interruption\n"
  )
  command = [sys.executable, "-c", head + code]
  done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
  return done.returncode, done.stdout, done.stderr


def test_what_hangs_is_left_when_the_grace_time_is_over():
  """In one long call of C, in which Python handles no signal; a child sends it."""
  code, _, told = run(
    "import hashlib\n"
    "with interruption(0.5):\n"
    "  if os.fork() == 0: time.sleep(0.2); os.kill(os.getppid(), signal.SIGTERM); os._exit(0)\n"
    "  hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
  )
  assert code == AGAIN and "not done 0.5 s after being asked to stop" in told


def test_a_run_that_is_compiling_ends_at_once():
  """Long before the grace time is over, and though what is compiled cannot be stopped."""
  code, _, told = run(
    "import hashlib\n"
    "from gan_jax.run.cli import app, commands\n"
    "from gan_jax.run.training.interruption import interruptible\n"
    "def train():\n"
    "  with interruption(1e6) as interrupted, interrupted.immediately():\n"
    "    if os.fork() == 0: time.sleep(0.2); os.kill(os.getppid(), signal.SIGTERM); os._exit(0)\n"
    "    interruptible(lambda: hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1))\n"
    "commands.train = train\n"
    "commands.FLAGS(['gan_jax'])\n"
    "app._guarded(train, [])\n"
  )
  assert code == AGAIN and told.endswith("gan_jax: stopped; start it again to go on\n")


def test_what_is_done_in_time_is_left_alone():
  """By a watchdog that is gone with it, so that there is nobody to end the process later."""
  code, told, _ = run(
    "import threading\n"
    "with interruption(60.0):\n"
    "  os.kill(os.getpid(), signal.SIGTERM)\n"
    "print(threading.active_count())\n"
  )
  assert (code, told) == (0, "1\n")


# --- several processes, here of one that agrees with itself; two are in test_processes.py ---------

JOIN = """
import hashlib, jax, socket
with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
jax.distributed.initialize(f'127.0.0.1:{port}', 1, 0)
"""


def test_several_processes_agree_through_jax():
  code, told, _ = run(
    JOIN + "with interruption(600) as interrupted:\n"
    "  assert not interrupted()\n"
    "  os.kill(os.getpid(), signal.SIGINT)\n"
    "  while not interrupted(): time.sleep(0.01)\n"
    "  print('heard')\n"
  )
  assert (code, told) == (0, "heard\n")


def test_what_hangs_is_left_by_several_processes_too():
  """The signal is JAX's own to handle there, and of others there is word alone."""
  code, _, told = run(
    JOIN + "with interruption(2.5):\n"
    "  if os.fork() == 0: time.sleep(0.2); os.kill(os.getppid(), signal.SIGTERM); os._exit(0)\n"
    "  hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
  )
  assert code == AGAIN and "not done 2.5 s after being asked to stop" in told
