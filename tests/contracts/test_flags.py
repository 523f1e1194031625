"""The flags of absl are global: no two modules that are imported may define one of a name."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted((*ROOT.glob("gan_jax/**/*.py"), *ROOT.glob("experiments/**/*.py")))
COMMANDS = ROOT / "gan_jax/run/cli/flags.py"  # has the flags of every command, by its nature


def on_import(tree: ast.Module) -> list[str]:
  """Lists the flags that a module defines when it is imported."""
  statements = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
  calls = [node for top in statements for node in ast.walk(top) if isinstance(node, ast.Call)]
  return [name for call in calls if "DEFINE_" in (name := ast.unparse(call.func))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_flags_are_defined_where_a_command_runs(path):
  assert bool(on_import(ast.parse(path.read_text()))) == (path == COMMANDS)
