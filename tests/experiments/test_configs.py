"""Configs of experiments, as the commands in their headers load them."""

import pathlib
import sys

import pytest

from gan_jax.run.config import from_file

ROOT = pathlib.Path(__file__).parents[2]
FILES = [
  path
  for path in sorted(ROOT.glob("experiments/**/*.py"))
  if f"--config={path.relative_to(ROOT)}" in path.read_text()
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_config_is_loaded_where_its_neighbours_cannot_be_imported(
  path, monkeypatch, unregistered
):
  """The installed command has no `experiments` to import from, unlike `python -m`."""
  monkeypatch.setitem(sys.modules, "experiments", None)
  assert from_file(str(path))
