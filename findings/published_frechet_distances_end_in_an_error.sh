#!/usr/bin/env bash
# With SciPy 1.18 the published Fréchet distances end in a TypeError, after all features are computed.
#
# One would guess: the code that most tables of GANs are made with, installed today as its own
# requirements say, computes the number that it always did; or if not, that it was warned of.
# What is so: pytorch-fid 0.3.0 and clean-fid 0.1.35 ask for the matrix square root by
# scipy.linalg.sqrtm(..., disp=False), and for any SciPy. SciPy 1.17.1 has a DeprecationWarning for it,
# which Python shows to nobody, since a library is who calls; SciPy 1.18.1 has no such argument. What
# fails is the last line of a score: images are drawn, and Inception has run, before it is reached.
# torch-fidelity 0.4.0 takes eigenvalues, and works with both.
# Why it matters to people who train GANs: the metrics of StyleGAN2-ADA's, StyleGAN3's, R3GAN's and
# StudioGAN's own code make the same call, and score while they train: a run on a new environment (with
# Python 3.12 or newer pip takes SciPy 1.18) ends at its first score. SciPy below 1.18 computes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=$(command -v python3.14 || command -v python3.13 || command -v python3.12 || echo python3)
cat >"$folder/play.py" <<'PY'
import ast
import pathlib
import sys
import sysconfig
import warnings

import numpy as np
import scipy
from scipy import linalg

SITE = pathlib.Path(sysconfig.get_paths()["purelib"])
CODES = {  # each is one function of NumPy and SciPy, in a module that imports torch for others
  "pytorch-fid 0.3.0": ("pytorch_fid/fid_score.py", "calculate_frechet_distance"),
  "clean-fid 0.1.35": ("cleanfid/fid.py", "frechet_distance"),
}
DIM, SHIFT, SCALE = 64, 0.5, 2.0
mean, covariance = np.zeros(DIM), np.eye(DIM)
exact = DIM * (SHIFT**2 + (SCALE - 1) ** 2)  # of N(0, I) and N(SHIFT, SCALE² I)


def called(function, filters):
  """Calls it; returns what it found, and how many warnings were shown."""
  with warnings.catch_warnings(record=True) as shown:
    if filters:
      warnings.simplefilter(filters)
    try:
      found = f"{function(mean, covariance, mean + SHIFT, SCALE**2 * covariance):.6f}"
    except TypeError as error:
      found = f"TypeError: {error}"
  return found, len(shown)


for name, (path, function) in CODES.items():
  tree = ast.parse((SITE / path).read_text())
  tree.body = [x for x in tree.body if isinstance(x, ast.FunctionDef) and x.name == function]
  scope = {"np": np, "linalg": linalg, "__name__": path.replace("/", ".").removesuffix(".py")}
  exec(compile(tree, path, "exec"), scope)
  (found, shown), (_, there) = (called(scope[function], x) for x in ("", "always"))
  print(f"| SciPy {scipy.__version__} | {name} | {found} | {shown} of {there} warnings shown |")
  if scipy.__version__ == "1.17.1":
    assert found == f"{exact:.6f}", "changed: it was computed"
    assert shown == 0 < there, "changed: a warning was there, and was not shown"
  else:
    assert "disp" in found, "changed: it was a TypeError"
PY
for version in 1.17.1 1.18.1; do
  "$python" -m venv "$folder/$version"
  pip() { "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
  pip numpy==2.4.6 scipy==$version
  pip --no-deps pytorch-fid==0.3.0 clean-fid==0.1.35
  "$folder/$version/bin/python" "$folder/play.py"
done
for metadata in "$folder"/1.18.1/lib/python3*/site-packages/{pytorch_fid,clean_fid}-*/METADATA; do
  grep -i "^Requires-Dist: scipy" "$metadata"
  ! grep -iq "^Requires-Dist: scipy.*<" "$metadata" || { echo "changed: a SciPy was not too new"; exit 1; }
done
