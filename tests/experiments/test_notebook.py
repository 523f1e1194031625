"""Notebooks run, and say the same as the plain text they are paired with."""

import json
import pathlib
import subprocess
import sys

import commands
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
  """If not: python -m experiments.run_notebooks NAME."""
  assert len(cells(notebook)) > 3
  assert cells(notebook) == cells(notebook.with_suffix(".py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_as_it_ran(notebook):
  """With every figure, no error, and small enough to be reviewed."""
  assert "site-packages" not in notebook.read_text()  # a path of the machine it ran on
  code = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
  outputs = [output for cell in code for output in cell["outputs"]]
  assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
  assert not [output for output in outputs if output["output_type"] == "error"]
  drawn = sum(cell["source"][-1].startswith(("gj.plots.", ")", "figure")) for cell in code)
  shown = [output for output in outputs if {"image/png", "text/html"} & set(output.get("data", ()))]
  assert len(shown) == drawn >= 4
  assert notebook.stat().st_size < 500_000


FIRST = {cells(path)[1][1] for path in NOTEBOOKS}  # the code that installs


def test_notebooks_install_what_is_missing_and_nothing_else(tmp_path):
  (code,) = FIRST
  missing = "import importlib.util; importlib.util.find_spec = lambda name: None\n"
  asked = "import subprocess; subprocess.run = lambda command, check: print(*command[1:])\n"
  said = lambda code: subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  ).stdout.strip()
  assert said(asked + code) == ""
  assert said(asked + missing + code) == "-m pip install -q ../..[notebooks]"
  elsewhere = code.replace('"../.."', '"git+https://a.b/gan_jax"')
  told = said(asked + missing + elsewhere)
  assert told == "-m pip install -q gan_jax[notebooks] @ git+https://a.b/gan_jax"


SMALLER = {  # of a notebook, what is kept as it ran being larger: (what it says, what is run)
  "01_theory": (("K, ROUNDS, BATCH = 120, 30, 512", "K, ROUNDS, BATCH = 120, 30, 128"),),
  "02_losses": (
    (', "least_squares", "hinge", "relativistic")', ")"),
    ("SEEDS, ROUNDS, LOOKS = 3, 800, 8", "SEEDS, ROUNDS, LOOKS = 2, 800, 2"),
    ("MOVES = (0.0, 0.1), 300", "MOVES = (0.0, 0.1), 100"),
  ),
  "03_images": (
    ("SEEDS, ROUNDS, LOOKS, WIDTH = 2, 400, 4, 8", "SEEDS, ROUNDS, LOOKS, WIDTH = 1, 240, 4, 8"),
    ('  "non_saturating": gj.losses.non_saturating,\n  "hinge": gj.losses.hinge,\n', ""),
  ),
  "04_your_own": (
    ("COUNT, ROUNDS = 16, 400, 600", "COUNT, ROUNDS = 16, 200, 320"),
    ('"pixel_by_pixel", hidden=48', '"pixel_by_pixel", hidden=16'),
  ),
  "05_beyond_two_players": (
    ("SEEDS, ROUNDS, BATCH = 2, 1500, 256", "SEEDS, ROUNDS, BATCH = 1, 500, 256"),
    ("= 4, 1600, 128", "= 2, 400, 128"),
    ("4 ** np.arange(3, 7)", "4 ** np.arange(3, 6)"),
  ),
}
# Most of whose time goes to the compiler, with little to gain from it, and to the curves of a run.
COMPILED = {"02_losses", "04_your_own", "05_beyond_two_players"}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, tmp_path, cache):
  """Every code cell in order, in a process of its own; the cells check what they claim."""
  code = "\n".join(source for kind, source in cells(notebook) if kind == "code")
  for said, smaller in SMALLER.get(notebook.stem, ()):
    assert said in code
    code = code.replace(said, smaller)
  (tmp_path / "played_notebook.py").write_text(code)
  environment = {"GAN_JAX_CACHE": str(cache)}
  environment |= {"JAX_DISABLE_MOST_OPTIMIZATIONS": str(int(notebook.stem in COMPILED))}
  ended, told = commands.run([], environment, tmp_path, module="played_notebook")
  assert ended == 0, told
  assert SAID[notebook.stem] in told


SAID = {
  "01_theory": "V at the end -1.3",
  "02_losses": "without a penalty, from the least: minimax",
  "03_images": "500 training digits: {'frechet_distance': 0.8",
  "04_your_own": "200 images of (16, 16, 3) pixels, 2 classes",
  "05_beyond_two_players": "h = 0.05: largest |V_pq + V_qp| = 0.0, |V_pp| = 0.0",
}


def test_there_are_notebooks():
  assert [path.stem for path in NOTEBOOKS] == list(SAID)
