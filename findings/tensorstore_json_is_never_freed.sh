#!/usr/bin/env bash
# TensorStore never frees the JSON that it hands to Python, so every checkpoint leaves some behind.
#
# One would guess: `Spec.to_json()` returns plain dicts, lists and strings, which are freed when the
# caller drops them, as any Python object is.
# What is so: TensorStore 0.1.86 leaves references too many on the values in it (three each), though not
# on the outermost dict. Of the spec of one array 8 containers, some 33 pieces of memory and 2 kB stay
# per call, for ever: the garbage collector sees them, and that somebody seems to hold them.
# Why it matters: checkpointing libraries of JAX ask for this JSON array by array at every save. A run
# of GANs that saves often, because neither player's last state is the best one, grows by tens of kB
# a checkpoint; after days it is the leak that is looked for in the training loop.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tensorstore==0.1.86 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import gc
import importlib.metadata
import resource
import sys

import tensorstore as ts

array = {"shape": [4, 4], "chunks": [4, 4], "dtype": "<f4"}
spec = ts.Spec({"driver": "zarr", "kvstore": {"driver": "memory"}, "metadata": array})


def growth(call, calls):
  """Containers, pieces of memory and kB that are left by each call."""
  for _ in range(200):
    call()
  count = lambda: (
    len(gc.get_objects()),
    sys.getallocatedblocks(),
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
  )
  gc.collect()
  before = count()
  for _ in range(calls):
    call()
  gc.collect()
  return [(b - a) / calls for a, b in zip(before, count())]


print("tensorstore", importlib.metadata.version("tensorstore"), "python", sys.version.split()[0])
used = growth(lambda: spec.to_json(), 20_000)
copied = growth(lambda: {"metadata": {key: [*str(x)] for key, x in array.items()}}, 20_000)
print("per call of to_json: {:.1f} containers, {:.1f} pieces, {:.2f} kB stay".format(*used))
print("per dict made in Python: {:.1f} containers, {:.1f} pieces, {:.2f} kB stay".format(*copied))
same = used[0] >= 4 and used[1] >= 20 and used[2] > 0.5 and max(copied[:2]) < 0.1
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
