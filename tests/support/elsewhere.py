"""Environments of processes that import what tests import."""

import os
import pathlib

TESTS = pathlib.Path(__file__).parents[1]


def environment(*folders: pathlib.Path, **more: str) -> dict[str, str]:
  """Returns this process's environment, in which tests and what they share can be imported.

  Args:
    folders: others to import from.
    more: variables to add.
  """
  places = (TESTS.parent, TESTS, TESTS / "support", *folders)
  return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places)), **more}
