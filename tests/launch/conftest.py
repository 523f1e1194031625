"""A tree with the launchers, in which gan_jax is a script of the test, and programs that record."""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest
from patience import HANG

ROOT = pathlib.Path(__file__).parents[2]
LOCKS = tuple(sorted(path.name for path in ROOT.glob("requirements*.lock")))


def script(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(f"#!/usr/bin/env bash\n{text}\n")
  path.chmod(0o755)


class Tree:
  """A copy of the launchers whose environment counts as installed."""

  def __init__(self, root: pathlib.Path):
    self.root, self.bin = root, root / "bin"
    shutil.copytree(ROOT / "launch", root / "launch", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "experiments").mkdir()
    shutil.copy(ROOT / "experiments/ring.py", root / "experiments")
    (root / ".venv/bin").mkdir(parents=True)
    script(root / ".venv/bin/python", "exit 1")
    script(self.bin / "python3", f'exec {sys.executable} -IS "$@"')  # starts in no time
    for lock in LOCKS:
      shutil.copy(ROOT / lock, root)
      shutil.copy(ROOT / lock, root / f".venv/installed-{lock}")
    self.gan_jax('echo "$@"')

  def gan_jax(self, text: str) -> None:
    """Makes a script stand for gan_jax."""
    script(self.root / ".venv/bin/gan_jax", text)

  def fake(self, name: str, text: str = "") -> None:
    """Makes a program that notes how it was called, and then runs a script."""
    note = f'printf "%s\\n" "{name} ${{*@Q}}" >> {shlex.quote(str(self.root / "calls"))}'
    script(self.bin / name, f"{note}\n{text}")

  def bare(self) -> str:
    """Makes a PATH on which there is nothing but what the shell scripts themselves call."""
    folder = self.root / "bare"
    folder.mkdir()
    for name in ("bash", "env", "dirname", "tr", "sed", "cat"):
      (folder / name).symlink_to(shutil.which(name) or "")
    return str(folder)

  def calls(self) -> list[list[str]]:
    """Lists the calls of fake programs: their words."""
    path = self.root / "calls"
    return shlex_lines(path.read_text()) if path.exists() else []

  def environment(self, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "GAN_JAX", "XLA"))}
    return {**kept, "PATH": f"{self.bin}:{os.environ['PATH']}", **more}

  def run(self, command: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line in the tree; it must end with this exit code."""
    done = subprocess.run(
      shlex.split(command),
      cwd=self.root,
      env=self.environment(**more),
      capture_output=True,
      text=True,
      timeout=HANG,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def shlex_lines(text: str) -> list[list[str]]:
  """Splits shell commands into words; one may have several lines within quotes."""
  found, line = [], ""
  for part in text.splitlines():
    line += part
    try:
      found.append(shlex.split(line))
      line = ""
    except ValueError:  # a quote is open
      line += "\n"
  assert not line
  return found


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
  return Tree(tmp_path / "tree")
