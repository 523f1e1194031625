"""Runs notebooks from top to bottom and keeps them with their figures.

Command:  python -m experiments.run_notebooks 02_losses      (without names: all of them)

The source is the plain text beside each notebook: edit NAME.py, then run it. Needs the extra
`notebooks`. What a viewer could not show is left out: progress bars are widgets of a kernel.
"""

import pathlib
import sys
import time
from typing import Any

FOLDER = pathlib.Path(__file__).parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def main(names: list[str]) -> None:
  """Runs each, and says how long it took."""
  for name in names or sorted(path.stem for path in FOLDER.glob("*.py")):
    start = time.monotonic()
    run(name)
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


def run(name: str) -> None:
  """Runs the plain text of a notebook and writes the notebook."""
  import jupytext
  import nbformat
  from nbclient import NotebookClient

  notebook = jupytext.read(FOLDER / f"{name}.py")
  options: dict[str, Any] = {"timeout": None, "kernel_name": "python3", "coalesce_streams": True}
  options["resources"] = {"metadata": {"path": str(FOLDER)}}
  NotebookClient(notebook, **options).execute()
  nbformat.write(kept(notebook), FOLDER / f"{name}.ipynb")


def kept(notebook: Any) -> Any:
  """Leaves out what differs from run to run, and what is shown in a live kernel alone."""
  for key in ("widgets", "language_info"):
    notebook.metadata.pop(key, None)
  for number, cell in enumerate(notebook.cells):
    cell.id = f"cell-{number:02}"
    cell.metadata.pop("execution", None)
    if cell.cell_type == "code":
      cell.outputs = [x for x in cell.outputs if WIDGET not in x.get("data", ())]
      for output in cell.outputs:
        if output.get("name") == "stderr":
          output.text = "".join(filter(_is_kept, output.text.splitlines(keepends=True)))
      cell.outputs = [x for x in cell.outputs if x.get("text", True)]
  return notebook


def _is_kept(line: str) -> bool:
  """Returns whether a line is no progress bar, and no warning of a module of this machine."""
  return not any(part in line for part in (sys.prefix, "notebook_tqdm", "%|"))


if __name__ == "__main__":
  main(sys.argv[1:])
