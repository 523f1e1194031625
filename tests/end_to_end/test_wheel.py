"""The package as others get it: built, installed elsewhere, run from another folder."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import zipfile

import yaml

import gan_jax

ROOT = pathlib.Path(__file__).parents[2]


def test_license_and_citation_say_the_same():
  text = (ROOT / "LICENSE").read_bytes()  # as apache.org has it
  assert hashlib.sha256(text).hexdigest()[:12] == "cfc7749b96f6"
  cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
  assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["title"]
  assert cited["authors"] == [{"name": "The gan_jax authors"}]
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  assert cited["license"] == project["license"] == "Apache-2.0"
  assert str(cited["version"]) == gan_jax.__version__


def test_installed_wheel_works_from_another_directory(tmp_path):
  source, site, elsewhere = tmp_path / "source", tmp_path / "site", tmp_path / "elsewhere"
  elsewhere.mkdir()
  keep = shutil.ignore_patterns("__pycache__", ".*", "runs", "build", "*.egg-info")
  shutil.copytree(ROOT, source, ignore=keep)
  build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, source]
  subprocess.run(build, check=True, capture_output=True)
  (wheel,) = tmp_path.glob("*.whl")
  with zipfile.ZipFile(wheel) as archive:
    assert not [name for name in archive.namelist() if name.startswith(("tests", "experiments"))]
    for file in (
      "features/bundled/classifier",
      "report/assets/page.js",
      "report/assets/uplot.LICENSE",
    ):
      assert any(file in name for name in archive.namelist())
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())
    archive.extractall(site)  # what installing it does, but for the script

  environment = {**os.environ, "PYTHONPATH": str(site), "JAX_PLATFORMS": "cpu"}
  environment["GAN_JAX_CACHE"] = str(tmp_path / "cache")
  for quicker in ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS"):  # programs are a user's
    environment.pop(quicker, None)
  run = lambda *command: (
    subprocess.run(
      [sys.executable, *map(str, command)],
      cwd=elsewhere,
      env=environment,
      check=True,
      capture_output=True,
      text=True,
    ).stdout
  )
  told = run(
    "-c",
    "import gan_jax; print(gan_jax.__file__, gan_jax.data.load('mnist10k').arrays['x'].shape)",
  )
  assert told.startswith(str(site)) and "(10000, 28, 28, 1)" in told
  config = shutil.copy(ROOT / "experiments" / "ring.py", elsewhere)
  small = ["--config.rounds=10", "--config.rounds_per_call=5", "--config.num_fake=100"]
  small += [f"--config.{player}.hidden=(16,)" for player in ("discriminator", "generator")]
  run("-m", "gan_jax.run.cli.app", "train", f"--config={config}", "--workdir=here", *small)
  run("-m", "gan_jax.run.cli.app", "sample", "--workdir=here", "--out=points.png")
  assert (elsewhere / "points.png").is_file()
