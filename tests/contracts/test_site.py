"""The site of docs/ builds: every warning of Sphinx is an error, and every public name is on it."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import gan_jax as gj

ROOT = pathlib.Path(__file__).parents[2]


def test_the_site_builds_and_needs_no_network(tmp_path):
  pytest.importorskip("myst_nb", reason="the extra docs is not installed")
  where = [str(ROOT), str(tmp_path)]
  command = [sys.executable, "-m", "sphinx", "-b", "dummy", "-c", str(ROOT / "docs"), "-W", *where]
  nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
  done = subprocess.run(command, capture_output=True, text=True, env=os.environ | nowhere)
  assert done.returncode == 0, done.stderr


def test_every_public_name_is_documented():
  modules = set(re.findall(r"automodule:: (\S+)", (ROOT / "docs" / "api.rst").read_text()))
  for name in dir(gj):
    found = getattr(gj, name)
    home = getattr(found, "__module__", None) or found.__name__
    assert any(module == home or module.startswith(f"{home}.") for module in modules), name
