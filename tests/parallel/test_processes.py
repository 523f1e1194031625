"""Several processes of one run, as a user starts them: real ones, on this machine."""

import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import time

import commands
import jax
import numpy as np
import pytest
from patience import HANG, until

from experiments.bench.layouts import state_difference
from gan_jax import parallel
from gan_jax.parallel import processes
from gan_jax.run.config.stored import read_config
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import load
from gan_jax.run.results.rows import read_rows
from gan_jax.run.training.log.metrics_buffer import NotFiniteError
from gan_jax.run.training.saving.rollback import read_rollbacks
from gan_jax.run.training.train import fit

ROOT = pathlib.Path(__file__).parents[2]
SMALL = [
  f"--config={ROOT / 'experiments/ring.py'}",
  "--config.generator.hidden=(2048,)",  # its first kernel is just large enough to be split
  "--config.discriminator.hidden=(16,)",
  "--config.rounds_per_call=5",
  "--config.log_every=10",
  "--config.sample_every=0",
  "--config.checkpoint_every=10",
  "--config.evaluate_every=0",
  "--config.batch_size=32",
  "--config.num_fake=100",
  "--config.num_samples=16",
  "--config.mesh.fsdp=2",  # in all tests, which so have one program
]


@pytest.fixture
def start(cache, tmp_path_factory):
  """Starts a command in two processes of four devices each, that know of each other."""
  running = []

  def begin(*arguments):
    with socket.socket() as free:
      free.bind(("127.0.0.1", 0))
      address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {"GAN_JAX_CACHE": str(cache), "JAX_NUM_CPU_DEVICES": "4"}
    environment |= {"GAN_JAX_COORDINATOR": address, "GAN_JAX_NUM_PROCESSES": "2"}
    for index in range(2):
      told = tmp_path_factory.mktemp("told") / "told"
      told.touch()
      command = [*arguments, f"--process_id={index}"]
      running.append((commands.start(command, environment, ROOT, told), told))
    return running[-2:]

  yield begin
  for process, _ in running:
    process.kill()


def ends(running):
  """Waits for processes; returns their exit codes and what they said, without Gloo's own."""
  for process, _ in running:
    process.join(HANG)
  ours = lambda text: "".join(x for x in text.splitlines(True) if not x.startswith("[Gloo]"))
  codes = [process.exitcode for process, _ in running]
  return codes, [ours(told.read_text()) for _, told in running]


def reaches(line, running):
  """Waits for a line of the first process, while all go on."""
  told = running[0][1]

  def there():
    assert all(process.exitcode is None for process, _ in running), told.read_text()
    return f"\n{line}" in told.read_text()

  until(there)


def train(workdir, rounds, *more):
  return ["train", f"--workdir={workdir}", *SMALL, f"--config.rounds={rounds}", *more]


@pytest.fixture
def by_two(start, once):
  """A run that two processes have trained, for 20 rounds."""

  def play(folder):
    codes, told = ends(start(*train(folder, 20)))
    assert codes == [0, 0] and "round 20/20" in told[0] and "round" not in told[1], told

  return once("trained by two processes", play)


def test_two_processes_end_with_the_numbers_of_one(by_two, one_program, tmp_path):
  """Of one on as many devices, parameters in parts."""
  assert [row["round"] for row in read_rows(by_two)] == [10, 20]
  assert sorted(p.name for p in (by_two / "checkpoints").iterdir()) == ["10", "20"]
  fit(build(read_config(by_two)), tmp_path)  # eight devices of this process
  assert state_difference(load(tmp_path).state, load(by_two).state) < 1e-6


def test_one_process_goes_on_where_two_ended(by_two, gan_jax, one_program, tmp_path):
  two, alone = tmp_path / "two", tmp_path / "alone"
  shutil.copytree(by_two, two)
  shutil.copytree(by_two, alone)
  gan_jax("sample", two, "--num=8", f"--npz={tmp_path / 'eight.npz'}")  # on one device
  assert np.load(tmp_path / "eight.npz")["x"].shape == (8, 2)
  assert "round 30/30" in gan_jax(*train(two, 30, "--config.mesh.fsdp=1", "--allow_config_change"))
  fit(build(read_config(two)), alone, allow_config_change=True)  # of another mesh
  assert state_difference(load(alone).state, load(two).state) < 1e-5
  assert "last, round 30" in gan_jax("evaluate", f"--workdir={two}")


def test_what_fails_beside_training_on_one_process_ends_all_and_loses_no_rounds(start, tmp_path):
  (tmp_path / "samples").write_text("in the way of pictures")
  codes, told = ends(start(*train(tmp_path, 10)))
  assert codes == [1, 1] and "another process has failed; it says why" in told[1], told
  assert "samples" in told[0] and "Traceback" not in "".join(told)
  assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["10"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_ends_one_process_ends_the_others(start, tmp_path, number):
  """Killed, the other has nobody to go on with; asked to stop, both save and stop together."""
  endless = train(tmp_path, 1_000_000)  # it saves all the time
  if number == signal.SIGKILL:  # of whose death in a save JAX hears after 100 s without a heartbeat
    endless.append("--config.checkpoint_every=0")
  running = start(*endless, f"--grace_seconds={HANG}")  # to save takes what it takes
  reaches("round 40/", running)
  os.kill(running[1][0].pid, number)
  codes, told = ends(running)
  if number == signal.SIGKILL:
    # In the middle of what they do together, Gloo itself may abort, with or without a word.
    assert codes[0] == -signal.SIGABRT or (
      codes[0] == 1 and re.search("another process is gone|gloo::", told[0])
    ), told
  else:
    assert codes[0] == codes[1] == 75 and all("start it again" in text for text in told)
    saved = [int(p.name) for p in (tmp_path / "checkpoints").iterdir()]
    assert len(saved) == 3 and max(saved) == load(tmp_path).state.round


def test_what_the_first_alone_cannot_save_ends_all_in_plain_words(start, tmp_path):
  """JAX would end the other as if it had crashed; both wait for the first in their own way."""
  running = start(*train(tmp_path, 1_000_000))
  reaches("round 30/", running)  # 10 is saved by then
  resource.prlimit(
    running[0][0].pid, resource.RLIMIT_FSIZE, (30_000, 30_000)
  )  # a disk that is full
  codes, told = ends(running)
  assert codes == [1, 1] and "another process has ended; it says why" in told[1], told
  assert re.search(r"checkpoints|metrics.jsonl", told[0]) and "too large" in told[0]
  assert all(word not in text for text in told for word in ("Traceback", "Fatal", "0x"))
  assert load(tmp_path).state.round >= 10


def test_what_takes_too_long_to_stop_is_left_in_time_by_all(start, tmp_path):
  """A million rounds in one dispatch; the other process has been asked to stop, not the first."""
  endless = ["--config.rounds_per_call=1_000_000", "--config.log_every=1_000_000"]
  more = [*endless, "--config.checkpoint_every=0", "--grace_seconds=5"]
  running = start(*train(tmp_path, 1_000_000, *more))
  reaches("compiling", running)  # all that is left is to do so, and that dispatch
  time.sleep(3)  # it may not be in the dispatch by then; see `early`
  os.kill(running[1][0].pid, signal.SIGTERM)
  codes, told = ends(running)  # played to its end, the dispatch would take longer than HANG
  assert codes[1] == 75, told
  if codes[0] == -signal.SIGABRT:  # of Gloo, where it finds the other gone before it is told
    told = told[1:]
  else:
    assert codes[0] == 75, told
  early = "stopped at round 0"  # on a slow machine, where it had not begun
  left = "left with another process"  # or was so late that JAX was first to tell it
  late = "not done 5 s after being asked to stop"
  assert all(re.search(f"{late}|{left}|{early}", x) for x in told), told


def test_two_processes_go_back_together_and_stop_together(start, tmp_path):
  """Both from the same checkpoint with the same other noise, as one process does."""
  two, alone = tmp_path / "two", tmp_path / "alone"
  rate = "{'schedule': 'linear_schedule', 'init_value': 1e-3, 'end_value': 1e38, "
  rate += "'transition_steps': 1, 'transition_begin': 12}"
  more = [f"--config.optimizers.generator.learning_rate={rate}"]
  more += ["--config.on_nan=rollback", "--config.max_rollbacks=1"]
  codes, told = ends(start(*train(two, 20, *more)))
  assert codes == [1, 1], told
  assert "going back to the last checkpoint" in told[0]
  with pytest.raises(NotFiniteError) as stopped:
    fit(build(read_config(two)), alone)
  assert all(str(stopped.value) in text for text in told)
  assert "collective" in vars(
    stopped.value
  )  # so that none leaves alone, in the middle of a dispatch
  assert read_rollbacks(two) == read_rollbacks(alone) and len(read_rollbacks(two)) == 1
  assert [p.name for p in (two / "checkpoints").iterdir()] == ["10"]


# --- who is who -----------------------------------------------------------------------------------


def test_processes_are_found_by_flags_and_environment(monkeypatch):
  for name in ("GAN_JAX_COORDINATOR", "GAN_JAX_NUM_PROCESSES", "GAN_JAX_PROCESS_ID"):
    monkeypatch.delenv(name, raising=False)
  assert processes.processes(None, None, None) is None
  assert processes.processes(None, 1, None) is None
  assert processes.processes("a:1", 2, 1) == ("a:1", 2, 1)
  monkeypatch.setenv("GAN_JAX_COORDINATOR", "b:2")
  monkeypatch.setenv("GAN_JAX_NUM_PROCESSES", "4")
  monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
  assert processes.processes(None, None, None) == ("b:2", 4, 3)
  monkeypatch.setenv("GAN_JAX_PROCESS_ID", "2")
  assert processes.processes(None, None, None) == ("b:2", 4, 2)
  assert processes.processes("a:1", None, 0) == ("a:1", 4, 0)  # flags win
  monkeypatch.setenv("GAN_JAX_NUM_PROCESSES", "many")
  with pytest.raises(ValueError, match="'many', of the environment: expected a number"):
    processes.processes(None, None, None)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (("a:1", 2, None), "of several processes expected all three"),
    ((None, 2, 0), "coordinator = None"),
    (("a", 2, 0), "coordinator = a,"),
    (("a:1", 2, 2), "process_id = 2: expected 0 to 1"),
  ],
)
def test_processes_that_are_half_known_are_refused(given, message):
  with pytest.raises(ValueError, match=message):
    processes.processes(*given)


def test_jax_is_asked_where_it_knows_of_several(monkeypatch):
  asked = []
  monkeypatch.setattr(jax.distributed, "initialize", lambda *given: asked.append(given))
  monkeypatch.setattr(jax.config, "update", lambda *_: None)
  parallel.start()
  monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
  parallel.start()
  assert asked == []
  monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
  parallel.start()
  monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
  monkeypatch.setenv("TPU_ML_PLATFORM", "JAX")
  parallel.start()
  parallel.start("a:1", 2, 1)
  assert asked == [(), (), ("a:1", 2, 1)]
