"""Numbers of published code, handed from outside: arrays, and the errors that are allowed."""

import json
import pathlib

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parents[3] / "shared" / "cases"


def load_case(method, name):
  """Loads the arrays of a case and what cases.json says of it; skips a test without the folder."""
  if not (folder := FOLDER / method).is_dir():
    pytest.skip(f"the published code's numbers are not in {folder}")
  cases = json.loads((folder / "cases.json").read_text())["cases"]
  (case,) = (case for case in cases if case["name"] == name)
  return (dict(np.load(folder / case["file"])) if "file" in case else {}), case


def check_case(arrays, case, found):
  """Checks arrays by name against the expected ones, and that none is missing."""
  errors = case["tolerance"]["measured_float32_error_over_max_abs"]
  assert found.keys() == errors.keys()
  for key, error in errors.items():
    tolerance = max(1e-5, 8 * error) * np.abs(arrays[key]).max()
    np.testing.assert_allclose(found[key], arrays[key], rtol=0, atol=tolerance, err_msg=key)
