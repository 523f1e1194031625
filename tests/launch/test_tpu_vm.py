"""TPU VMs: what is asked of gcloud, and a run that outlives the machines it is on."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from patience import HANG, until

CONFIG = "--config=experiments/ring.py"
WORKDIR = "--workdir=runs/x"
ZONE = "--zone=z"
KEEP = ["keep", ZONE, "--type=v5litepod-8", "--every=1", "train", CONFIG, WORKDIR]

# Plays a round each fifth of a second, to the fifth, and can go on from any.
STUB = """
dir=${3#--workdir=}
mkdir -p $dir
echo '{}' > $dir/config.json
played=$(cat $dir/round 2>/dev/null || echo 0)
echo "from $played" >> $dir/starts
trap 'exit 75' TERM
while [ $played -lt 5 ]; do
  if [ -e "$CLOUD/wait" ] && [ $played -ge 2 ]; then sleep 0.1; continue; fi
  sleep 0.2; played=$((played + 1)); echo $played > $dir/round
done
exit $(cat "$CLOUD/code" 2>/dev/null || echo 0)"""


@pytest.fixture
def cloud(tree, tmp_path, monkeypatch):
  """A cloud of folders, and the code in a repository of git, as gan_jax is."""
  folder = tmp_path / "cloud"
  folder.mkdir()
  monkeypatch.setenv("CLOUD", str(folder))
  program = pathlib.Path(__file__).parent / "cloud.py"
  tree.fake("gcloud", f'exec python3 {program} "$@"')
  # What installing would make: here the package is a script.
  (tree.root / "stub").write_text(f"#!/usr/bin/env bash{STUB}\n")
  install = (
    "#!/usr/bin/env bash\nmkdir -p .venv/bin; cp stub .venv/bin/gan_jax; chmod +x .venv/bin/*"
  )
  (tree.root / "launch/environment").write_text(f"{install}; echo $1 > installed\n")
  git = ["git", "-c", "user.name=a", "-c", "user.email=b", "-C", str(tree.root)]
  subprocess.run([*git, "init", "-q"], check=True)
  subprocess.run([*git, "add", "launch", "experiments", "stub"], check=True)
  subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
  yield folder
  for home in folder.glob("*/home"):
    end(home)


def end(home):
  """Ends all that runs on a VM, as its end would."""
  for path in home.glob("gan_jax/background.pid"):
    with contextlib.suppress(ProcessLookupError, ValueError):
      os.killpg(os.getpgid(int(path.read_text())), signal.SIGKILL)


def asked(cloud, verb):
  calls = [json.loads(line) for line in (cloud / "calls").read_text().splitlines()]
  return [call for call in calls if verb in call]


def read(path):
  return path.read_text().split() if path.exists() else []


def test_step_by_step(tree, cloud):
  """Create, start, status, fetch, stop, delete."""
  (cloud / "wait").touch()
  tree.run("launch/tpu_vm create --name=a --zone=z --type=v6e-1 --spot --project=p")
  (call,) = asked(cloud, "create")
  assert {"a", "--version=v2-alpha-tpuv6e", "--accelerator-type=v6e-1", "--spot"} <= set(call)
  assert "--project=p" in call
  tree.run(f"launch/tpu_vm start --name=a {ZONE} train {CONFIG} {WORKDIR} --config.loss=hinge")
  home = cloud / "a/home/gan_jax"
  assert read(home / "installed") == ["requirements-tpu.lock"]
  assert tree.run(f"launch/tpu_vm status --name=a {ZONE}").stdout.split() == ["READY", "running"]
  until(lambda: read(home / "runs/x/round") == ["2"])
  tree.run(f"launch/tpu_vm fetch --name=a {ZONE} train {WORKDIR}")
  assert read(tree.root / "runs/x/round") == ["2"]
  assert [path.name for path in (tree.root / "runs").iterdir()] == ["x"]
  tree.run(f"launch/tpu_vm stop --name=a {ZONE}")
  assert tree.run(f"launch/tpu_vm status --name=a {ZONE}").stdout.split() == ["READY", "75"]
  tree.run(f"launch/tpu_vm delete --name=a {ZONE}")
  assert tree.run(f"launch/tpu_vm status --name=a {ZONE}", code=1).stdout.split() == ["NOT_FOUND"]


@pytest.mark.parametrize(("state", "queued"), [("PREEMPTED", False), (None, True)])
def test_a_spot_vm_that_vanishes_is_made_again_and_the_run_goes_on(tree, cloud, state, queued):
  (cloud / "wait").touch()  # after two rounds
  (cloud / "away").touch()  # the first look fails, which says nothing of the VM
  if not queued:
    (cloud / "full").touch()  # the first time there is none to be had
  options = ["--spot", "--delete", *(["--queued"] if queued else [])]
  command = [str(tree.root / "launch/tpu_vm"), *KEEP[:3], *options, *KEEP[3:]]
  with subprocess.Popen(
    command, cwd=tree.root, env=tree.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
  ) as keep:
    until(lambda: read(tree.root / "runs/x/round") == ["2"])  # fetched
    vm = cloud / "gan-runs-x"
    end(vm / "home")
    if state:
      shutil.rmtree(vm / "home")
      (vm / "state").write_text(state)
      if queued:
        (cloud / "queue/gan-runs-x").write_text("SUSPENDED")
    else:
      shutil.rmtree(vm)
      if queued:
        (cloud / "queue/gan-runs-x").write_text("SUSPENDED")
    (cloud / "wait").unlink()
    told = keep.communicate(timeout=HANG)[0]
  assert keep.returncode == 0, told
  assert read(tree.root / "runs/x/round") == ["5"]
  assert (tree.root / "runs/x/starts").read_text() == "from 0\nfrom 2\n"
  assert not vm.exists()  # --delete
  created = [call for call in asked(cloud, "create") if "--spot" in call]
  assert len(created) == (2 if queued else 3)
  kind = "queued-resources" if queued else "tpu-vm"
  assert all(call[2] == kind for call in created + asked(cloud, "delete"))


def test_what_was_interrupted_on_a_vm_that_stays_is_started_again_there(tree, cloud):
  (cloud / "wait").touch()
  command = [str(tree.root / "launch/tpu_vm"), *KEEP]
  with subprocess.Popen(command, cwd=tree.root, env=tree.environment()) as keep:
    home = cloud / "gan-runs-x/home/gan_jax"
    until(lambda: read(home / "runs/x/round") == ["2"])
    os.kill(int((home / "background.pid").read_text()), signal.SIGTERM)  # saves, ends with 75
    until(lambda: read(home / "background.code") == ["75"])
    (cloud / "wait").unlink()
    assert keep.wait(HANG) == 0
  assert (tree.root / "runs/x/starts").read_text() == "from 0\nfrom 2\n"
  assert len(asked(cloud, "create")) == 1 and not asked(cloud, "delete")


def test_a_run_that_failed_is_fetched_and_told_and_not_started_again(tree, cloud):
  (cloud / "code").write_text("1")
  done = tree.run(f"launch/tpu_vm {' '.join(KEEP)}", code=1, CLOUD=str(cloud))
  assert "the run ended with exit code 1" in done.stderr
  assert (tree.root / "runs/x/starts").read_text() == "from 0\n"


def test_what_another_run_has_left_on_the_vm_is_not_taken_for_this_one(tree, cloud):
  tree.run(f"launch/tpu_vm create --name=a {ZONE} --type=v6e-1")
  tree.run(f"launch/tpu_vm start --name=a {ZONE} train {CONFIG} --workdir=runs/y")
  keep = " ".join(["launch/tpu_vm", *KEEP]).replace("keep", "keep --name=a")
  assert "a runs another command" in tree.run(keep, code=1).stderr
  until(lambda: read(cloud / "a/home/gan_jax/background.code") == ["0"])
  tree.run(keep)
  assert read(tree.root / "runs/x/round") == ["5"] and not (tree.root / "runs/y").exists()


def test_another_run_of_that_name_here_is_not_overwritten(tree, cloud):
  tree.run(f"launch/tpu_vm create --name=a {ZONE} --type=v6e-1")
  tree.run(f"launch/tpu_vm start --name=a {ZONE} train {CONFIG} {WORKDIR}")
  until(lambda: read(cloud / "a/home/gan_jax/background.code") == ["0"])
  (tree.root / "runs/x").mkdir(parents=True)
  (tree.root / "runs/x/config.json").write_text("another")
  told = tree.run(f"launch/tpu_vm fetch --name=a {ZONE} train {WORKDIR}", code=1).stderr
  assert "runs/x is another run than that on a" in told
  assert (tree.root / "runs/x/config.json").read_text() == "another"


def test_a_slice_of_several_workers_needs_a_folder_that_all_see(tree, cloud):
  tree.run(f"launch/tpu_vm create --name=a {ZONE} --type=v4-16")
  (cloud / "a/workers").write_text("10.0.0.2;10.0.0.3")
  start = f"launch/tpu_vm start --name=a {ZONE}"
  told = tree.run(f"{start} train {CONFIG} {WORKDIR}", code=2).stderr
  assert "a has several workers" in told and "--nfs=HOST:/PATH" in told
  nfs = f"{start} --nfs=10.0.0.9:/runs --dry_run train {CONFIG} --workdir=/mnt/runs/x"
  told = tree.run(nfs).stdout
  assert "mount -t nfs 10.0.0.9:/runs /mnt/runs" in told and "--worker=all" in told


def test_without_gcloud_it_says_so(tree):
  told = tree.run(f"launch/tpu_vm delete --name=a {ZONE}", code=1, PATH=tree.bare()).stderr
  assert "there is no gcloud here" in told
