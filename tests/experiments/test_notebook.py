"""Notebooks run, and say the same as the plain text they are paired with."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path: pathlib.Path) -> list[tuple[str, str]]:
  """Lists (kind, source) of a notebook, or of a script in the percent format."""
  if path.suffix == ".ipynb":
    found = json.loads(path.read_text())["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in found]
  _, *blocks = path.read_text().split("# %%")
  listed = []
  for block in blocks:
    mark, _, source = block.partition("\n")
    source = source.strip("\n")
    if mark == " [markdown]":
      listed.append(("markdown", "\n".join(line[2:] for line in source.split("\n"))))
    else:
      listed.append(("code", source))
  return listed


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_and_text_are_one(notebook):
  """If not: jupytext --sync experiments/notebooks/NAME.ipynb."""
  assert len(cells(notebook)) > 3
  assert cells(notebook) == cells(notebook.with_suffix(".py"))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook):
  """Every code cell in order, in a process of its own; the cells check what they claim."""
  code = "\n".join(source for kind, source in cells(notebook) if kind == "code")
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=FOLDER,
    env=os.environ | {"MPLBACKEND": "agg"},
    capture_output=True,
    text=True,
    timeout=500,
  )
  assert done.returncode == 0, done.stderr
  assert "V at the end -1.3" in done.stdout


def test_there_is_a_notebook():
  assert [path.stem for path in NOTEBOOKS] == ["01_theory"]
