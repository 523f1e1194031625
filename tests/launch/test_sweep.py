"""Sweeps: the jobs, their states as their folders tell, and what is started."""

import fcntl
import json
import shlex
import signal
import subprocess

import pytest
from patience import HANG, catches, until

ADD = "launch/sweep add runs/s --config=experiments/ring.py"


@pytest.fixture
def sweep(tree):
  """Six jobs: two losses, three seeds."""
  tree.run(f"{ADD} --seeds=0,1,2 --config.loss=hinge --config.loss=minimax --config.rounds=40")
  return tree


def jobs(tree):
  return [shlex.split(line) for line in (tree.root / "runs/s/jobs.txt").read_text().splitlines()]


def states(tree):
  told = tree.run("launch/sweep table runs/s").stdout.splitlines()
  return {line.split()[0]: line.split()[1] for line in told[:-1]}, told


def write(folder, rounds=40, played=0, summary=None, lines=""):
  """Makes the files of a run."""
  folder.mkdir(parents=True, exist_ok=True)
  (folder / "config.json").write_text(json.dumps({"config": {"rounds": rounds}, "example": {}}))
  rows = [json.dumps({"round": r, "V": 0.5}) + "\n" for r in range(10, played + 1, 10)]
  (folder / "metrics.jsonl").write_text("".join(rows) + lines)
  if summary is not None:
    (folder / "summary.json").write_text(json.dumps(summary))


def test_every_combination_is_a_job_in_a_folder_of_its_own(sweep):
  assert jobs(sweep)[0] == [
    "train",
    "--config=experiments/ring.py",
    "--workdir=runs/s/ring-seed_0-loss_hinge",
    "--config.seed=0",
    "--config.loss=hinge",
    "--config.rounds=40",
  ]
  assert len({job[2] for job in jobs(sweep)}) == 6
  assert (
    "6 jobs, 0 of them new"
    in sweep.run(
      f"{ADD} --seeds=0,1,2 --config.loss=hinge --config.loss=minimax --config.rounds=40"
    ).stdout
  )
  odd = "--config.regularizers.r1=\"{'schedule': 1}\" --config.regularizers.r1=0.5"
  assert "8 jobs, 2 of them new" in sweep.run(f"{ADD} {odd}").stdout
  folders = [job[2].partition("=")[2] for job in jobs(sweep)[-2:]]
  assert folders[0].startswith("runs/s/ring-r1_schedule_1_") and folders[1] == "runs/s/ring-r1_0.5"
  twice = "--config.optimizers.generator.b1=0 --config.optimizers.generator.b1=1"
  other = twice.replace("generator", "discriminator")
  assert "8 jobs" not in sweep.run(f"{ADD} {twice} {other}").stdout  # b1_0-b1_1 is not b1_1-b1_0


def test_the_table_tells_states_from_the_folders(sweep):
  folder = sweep.root / "runs/s"
  names = [job[2].split("/")[-1] for job in jobs(sweep)]
  write(folder / names[0], played=40, summary={"rounds": 40, "scores": {"kl": {"last": 0.25}}})
  write(folder / names[1], played=20, lines='{"round": 30, "V": 0.')  # cut off
  write(folder / names[2], played=10, summary={"rounds": 20, "stopped": "loss is NaN in round 12"})
  write(folder / names[3], played=30)
  with (folder / names[3] / "lock").open("w") as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    found, told = states(sweep)
  expected = ["done", "stopped", "failed", "running", "waiting", "waiting"]
  assert found == dict(zip(names, expected, strict=True))
  assert "40/40  kl 0.25" in told[0] and "30/40" in told[1] + told[3]
  assert told[2].endswith("10/40  loss is NaN in round 12")
  assert told[-1] == "6 jobs: 1 done, 1 running, 1 stopped, 2 waiting, 1 failed"
  assert states(sweep)[0][names[3]] == "stopped"  # the lock went with its holder


@pytest.mark.parametrize("content", ["", "[" * 200_000, "[1]", "\x00", '{"config": 3}', '"x"'])
def test_damaged_files_are_no_state(sweep, content):
  name = jobs(sweep)[0][2].partition("=")[2]
  write(sweep.root / name, played=10)
  for file in ("config.json", "summary.json", "metrics.jsonl"):
    (sweep.root / name / file).write_text(content)
  assert next(iter(states(sweep)[0].values())) == "waiting"


def test_what_is_not_done_is_started_and_started_again(sweep):
  folder = sweep.root / "runs/s"
  names = [job[2].split("/")[-1] for job in jobs(sweep)]
  write(folder / names[0], played=40, summary={"rounds": 40})
  write(folder / names[1], played=20)
  # One fails, one is interrupted, the others end.
  sweep.gan_jax(f"""
    echo "$3" >> played
    case $3 in *{names[2]}) exit 1 ;; *{names[3]}) exit 75 ;; esac
    mkdir -p ${{3#*=}}
    echo '{{"config": {{"rounds": 40}}}}' > ${{3#*=}}/config.json
    echo '{{"rounds": 40}}' > ${{3#*=}}/summary.json""")
  played = lambda: [
    line.split("/")[-1] for line in (sweep.root / "played").read_text().splitlines()
  ]
  told = sweep.run("launch/sweep start runs/s", code=75).stderr
  assert "interrupted; start it again" in told and played() == names[1:4]
  found, told = states(sweep)
  assert list(found.values()) == ["done", "done", "failed", "waiting", "waiting", "waiting"]
  assert "launch/run ended with exit code 1" in told[2]
  sweep.gan_jax((sweep.root / ".venv/bin/gan_jax").read_text().replace("exit 75", ":"))
  sweep.run("launch/sweep start runs/s")
  assert played() == names[1:4] + names[3:]
  sweep.gan_jax((sweep.root / ".venv/bin/gan_jax").read_text().replace("exit 1 ", ": "))
  sweep.run("launch/sweep start runs/s --failed")
  assert played()[6:] == [names[2]]
  assert set(states(sweep)[0].values()) == {"done"}


def test_any_launcher_will_do(sweep):
  sweep.fake("sbatch", "cat >> submitted")
  sweep.run("launch/sweep start runs/s launch/slurm --nodes=2 --partition=gpu")
  submitted = (sweep.root / "submitted").read_text()
  assert submitted.count("srun ") == 6 and submitted.count("--partition=gpu") == 6
  names = {line for line in submitted.splitlines() if "--job-name" in line}
  assert len(names) == 6
  lines = sweep.run("launch/sweep start runs/s --dry_run launch/tpu_vm keep --zone=z").stdout
  assert len(lines.splitlines()) == 6
  assert lines.startswith(
    "launch/tpu_vm keep --zone=z train --config=experiments/ring.py --workdir="
  )
  told = sweep.run("launch/sweep start runs/s nowhere", code=2).stderr
  assert "nowhere cannot be run" in told and "Traceback" not in told


def test_who_stops_the_sweep_lets_the_run_save(sweep):
  sweep.gan_jax("trap 'echo saved; exit 75' TERM; echo on; while :; do sleep 0.1; done")
  command = [str(sweep.root / "launch/sweep"), "start", "runs/s"]
  with subprocess.Popen(
    command, cwd=sweep.root, env=sweep.environment(), stdout=subprocess.PIPE, text=True
  ) as process:
    process.stdout.readline()
    assert process.stdout.readline() == "on\n"
    until(lambda: catches(process.pid, signal.SIGTERM))
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=HANG)[0] == "saved\n"
  assert process.returncode == 75
