#!/usr/bin/env bash
# A residual block of mimicry adds relu(x) to its residual, not x: its activation writes over its input.
#
# One would guess: a block with pre-activation computes x + residual(x), as the SNGAN code that mimicry
# follows and the formula of residual networks say; where the widths differ, x goes through a 1x1
# convolution first.
# What is so: torch_mimicry 0.1.16 has ReLU(inplace=True) as the first step of the residual, on the
# tensor that it was given. The shortcut is evaluated after it, on the same tensor, which by then is
# relu(x). A discriminator's block passes on no negative number, and its input is changed for whoever
# holds it. Generators are spared: their batch norm comes first and makes a new tensor.
# Why it matters to people who train GANs: mimicry's baselines of SNGAN, SSGAN and InfoMax-GAN are of
# these networks. Weights that are carried to another library give other logits there (outputs of the
# blocks below are off by two thirds of the largest and more), and a discriminator that is built from
# the papers is another one than that of the baselines.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install torch==2.13.0 numpy==2.4.6
# Its source alone: the package as a whole needs TensorFlow, which its networks do not.
pip download --no-deps --no-build-isolation --no-binary :all: --dest "$folder" torch-mimicry==0.1.16 2>"$folder/log" ||
  { cat "$folder/log" >&2; exit 1; }
tar -xzf "$folder"/torch_mimicry-0.1.16.tar.gz -C "$folder"
cat >"$folder/play.py" <<'PY'
import sys
import types

import torch

package = types.ModuleType("torch_mimicry")
package.__path__ = [sys.argv[1] + "/torch_mimicry"]
sys.modules["torch_mimicry"] = package
from torch_mimicry.modules.resblocks import DBlock, GBlock

print("torch", torch.__version__, "torch_mimicry 0.1.16")
torch.manual_seed(0)
x = torch.randn(8, 16, 8, 8)
apply = lambda block, x: block(x.clone())
print("| block | off x + residual(x) | off relu(x) + residual(x) | input changed |")
for name, block in (
  ("DBlock, 16 to 16", DBlock(16, 16, spectral_norm=False)),
  ("DBlock, 16 to 16, halved", DBlock(16, 16, downsample=True, spectral_norm=False)),
  ("GBlock, 16 to 16", GBlock(16, 16)),
):
  block.eval()
  with torch.no_grad():
    residual = block._residual(x.clone())
    given = x.clone()
    found = block(given)
    off = [
      float((found - residual - block._shortcut(start)).abs().max() / found.abs().max())
      for start in (x.clone(), torch.relu(x))
    ]
  changed = not torch.equal(given, x)
  print(f"| {name} | {off[0]:.2g} | {off[1]:.2g} | {changed} |")
  if name.startswith("D"):
    assert off[0] > 0.1 and off[1] < 1e-6 and changed, "changed: shortcuts read the input itself"
  else:
    assert off[0] < 1e-6 and not changed, "changed: a generator's block was spared"
PY
"$folder/venv/bin/python" "$folder/play.py" "$folder/torch_mimicry-0.1.16"
