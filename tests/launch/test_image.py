"""The image: what it copies is there, and its pins are those of the package."""

import pathlib
import re
import tomllib

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILE = (ROOT / "launch/Dockerfile").read_text()
LOCKS = ("requirements.lock", "requirements-cuda.lock", "requirements-tpu.lock")


def pins(lock):
  """Reads {(package, marker): version}, and checks that each has checksums."""
  text = (ROOT / lock).read_text().replace("\\\n", "")
  lines = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
  assert all("--hash=sha256:" in line for line in lines)
  found = [re.match(r"([\w.-]+)==(\S+)(?: ; ([^-]+?))?\s+--hash", line) for line in lines]
  return {(match[1], match[3]): match[2] for match in found}


def test_what_is_copied_is_there_and_sent_to_the_builder():
  ignored = (ROOT / "launch/Dockerfile.dockerignore").read_text().split()
  kept = [word[1:] for word in ignored if word.startswith("!")]
  for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.M):
    *sources, _ = line.split()
    for source in sources:
      for name in LOCKS if source == "${LOCK}" else (source,):
        assert (ROOT / name).exists(), name
        assert any(pathlib.PurePath(name).match(k) or name.startswith(k) for k in kept), name


def test_each_lock_that_is_named_is_there():
  named = set(re.findall(r"requirements[\w-]*\.lock", DOCKERFILE))
  assert named == set(LOCKS)
  for script in ("tpu_vm", "slurm"):
    named |= set(re.findall(r"requirements[\w-]*\.lock", (ROOT / "launch" / script).read_text()))
  assert all((ROOT / name).is_file() for name in named)


def test_the_image_has_a_python_that_the_package_takes():
  version = re.search(r"^FROM python:(\d+)\.(\d+)-slim", DOCKERFILE, re.M)
  assert (int(version[1]), int(version[2])) >= (3, 11)
  assert re.search(r'^ENTRYPOINT \["launch/run"\]$', DOCKERFILE, re.M)


@pytest.mark.parametrize("extra", ["cuda", "tpu"])
def test_the_pins_for_accelerators_are_those_for_the_cpu_and_what_the_extra_adds(extra):
  base, more = pins("requirements.lock"), pins(f"requirements-{extra}.lock")
  assert base.items() <= more.items()
  added = {name for name, _ in more.keys() - base.keys()}
  assert added == {"libtpu"} if extra == "tpu" else "jax-cuda12-plugin" in added
  for name, marker in more:
    if name.startswith("jax-cuda12"):  # JAX refuses plugins of another version
      assert more[name, marker] == base["jax", marker]
  extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  assert extra in extras["optional-dependencies"]


def test_skypilot_trains_with_the_launcher_and_pins_of_gpus():
  task = yaml.safe_load((ROOT / "launch/skypilot.yaml").read_text())
  assert task["envs"]["GAN_JAX_LOCK"] in LOCKS
  command, config, workdir = task["envs"]["COMMAND"].split()
  assert command == "train" and (ROOT / config.removeprefix("--config=")).is_file()
  # What it writes lies in the bucket, so that another machine goes on with it.
  (bucket,) = task["file_mounts"]
  assert bucket == f"~/sky_workdir/{workdir.removeprefix('--workdir=').partition('/')[0]}"
  for step in ("setup", "run"):
    assert (ROOT / task[step].split()[0]).is_file()
