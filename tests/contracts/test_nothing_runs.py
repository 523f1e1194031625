"""No code of the package hands what is in a file to something that would run it."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FILES = sorted(
  (*ROOT.glob("gan_jax/**/*.py"), *ROOT.glob("experiments/**/*.py"), ROOT / "launch/sweep")
)
RUNS = {"eval", "exec", "pickle.load", "pickle.loads", "torch.load", "joblib.load", "yaml.load"}
# Of the file that --config names, the user's own program, and of those that it starts from.
CONFIGS = {"runpy.run_path"}


def calls(tree: ast.AST) -> list[ast.Call]:
  return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_read_is_not_run(path):
  tree = ast.parse(path.read_text())
  for call in calls(tree):
    name = ast.unparse(call.func)
    assert name not in RUNS, f"line {call.lineno}: {name}"
    assert name not in CONFIGS or path.name in (
      "app.py",
      "config.py",
      "config_flag.py",
      "scaling.py",
    ), f"line {call.lineno}: {name}"
    if name == "np.load":
      assert "allow_pickle=False" in ast.unparse(call), f"line {call.lineno}: np.load"
    assert "shell=True" not in ast.unparse(call), f"line {call.lineno}: {name}"
  for node in ast.walk(tree):
    if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(ast.unparse, node.bases):
      methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
      assert "find_class" in methods, f"line {node.lineno}: {node.name}"


def test_there_is_something_to_look_at():
  assert len(FILES) > 80
  assert any("np.load" in path.read_text() for path in FILES)
