"""Arrows go down only: a room of the science imports nothing of what makes a run of it."""

import ast
import pathlib
import subprocess
import sys

import pytest

import gan_jax

SCIENCE = ("game", "losses", "nets", "data", "theory", "metrics", "plots")
HEAVY = {"orbax", "tensorflow_datasets", "ml_collections", "tensorboardX"}
LISTED = """
import importlib, os, pkgutil, sys
import flax.linen, jax, optax  # once, as every room needs them
for name in sys.argv[1:]:
  if os.fork() == 0:
    room = importlib.import_module("gan_jax." + name)
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
      importlib.import_module(module.name)
    print(*sorted(sys.modules), flush=True)
    os._exit(0)
  assert os.wait()[1] == 0
"""


@pytest.fixture(scope="module")
def modules():
  """What all modules of a room import together, by room, each in a process of its own."""
  command = [sys.executable, "-c", LISTED, *SCIENCE]
  done = subprocess.run(command, capture_output=True, text=True, check=True)
  return dict(zip(SCIENCE, map(str.split, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("room", SCIENCE)
def test_a_room_of_the_science_works_alone(room, modules):
  """All its modules together import nothing of `run/`, and no library that is for runs."""
  loaded = modules[room]
  assert f"gan_jax.{room}" in loaded
  assert not [name for name in loaded if name.startswith("gan_jax.run")]
  heavy = HEAVY if room == "plots" else HEAVY | {"matplotlib"}
  assert not heavy & {name.split(".")[0] for name in loaded}


@pytest.mark.parametrize("room", (*SCIENCE, "parallel"))
def test_a_room_of_the_science_names_no_flags(room):
  """Optax imports absl itself, so that it is loaded; no file of these rooms asks for it."""
  files = [*(pathlib.Path(gan_jax.__file__).parent / room).rglob("*.py")]
  assert files
  for path in files:
    for node in ast.walk(ast.parse(path.read_text())):
      names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
      names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
      assert not {name.split(".")[0] for name in names} & {"absl", "orbax"}, path


def test_reading_what_runs_left_builds_none():
  """Lists, comparisons and pages of runs import no builder, no sampler and no checkpoints."""
  command = [sys.executable, "-c", "import gan_jax.run.report.page, sys; print(*sys.modules)"]
  loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
  assert "gan_jax.run.results.listing" in loaded and "orbax" not in loaded
  assert not {"gan_jax.run.experiment", "gan_jax.run.evaluation.sampling"} & set(loaded)
