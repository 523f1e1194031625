#!/usr/bin/env bash
# One metric that is not a number makes Orbax delete the best checkpoints and keep worse ones.
#
# One would guess: with `best_fn`, `best_mode="min"` and `max_to_keep=2` the two lowest distances are
# kept, and a checkpoint whose distance is NaN counts as the worst, or is refused when it is saved.
# What is so: Orbax 0.12.8 (CheckpointManager, and the policy BestN of its v1) sorts checkpoints by the
# metric with Python's `sorted`. NaN is neither below nor above anything, so that the list falls into
# parts that are not compared: what stands before NaN stays before it, however good, and the last of the
# list are taken for the best. Of distances 10, 5, NaN, 20, 30 the steps of 20 and 30 are left, and
# `best_step()` names the one of 20. Of 30, 10, 5, NaN, NaN the two NaN are left. No warning.
# Why it matters: GANs diverge, and the Fréchet distance of fakes that are not finite is NaN. The
# checkpoint from before is what one then goes back to, and it is deleted by the save that follows the
# divergence. A `best_fn` that turns NaN into infinity keeps it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  orbax-checkpoint==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import importlib.metadata
import logging
import math
import sys

import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import v1

logging.disable(logging.CRITICAL)
print("orbax-checkpoint", importlib.metadata.version("orbax-checkpoint"))
nan, count = math.nan, 0


def managed(distances, best_fn):
  """The distances that are left, and the best, of a CheckpointManager that keeps two."""
  global count
  count += 1
  options = ocp.CheckpointManagerOptions(
    max_to_keep=2, best_fn=best_fn, best_mode="min", enable_async_checkpointing=False
  )
  with ocp.CheckpointManager(f"{sys.argv[1]}/managed{count}", options=options) as manager:
    for step, distance in enumerate(distances):
      state = ocp.args.StandardSave({"x": np.ones(2)})
      manager.save(step, args=state, metrics={"distance": distance})
    return [distances[step] for step in manager.all_steps()], distances[manager.best_step()]


def by_policy(distances, best_fn):
  """The same of v1's Checkpointer and its policy."""
  global count
  count += 1
  best = v1.training.preservation_policies.BestN(get_metric_fn=best_fn, reverse=True, n=2)
  with v1.training.Checkpointer(f"{sys.argv[1]}/v1_{count}", preservation_policy=best) as saving:
    for step, distance in enumerate(distances):
      saving.save(step, {"x": np.ones(2)}, metrics={"distance": distance})
    return [distances[checkpoint.step] for checkpoint in saving.checkpoints], None


def plain(metrics):
  return metrics["distance"]


def guarded(metrics):
  return math.inf if math.isnan(metrics["distance"]) else metrics["distance"]


print("| distances as they were saved | best_fn | left | best | left by v1 |")
found = {}
for distances in ([10.0, 5.0, 15.0, 20.0, 30.0], [10.0, 5.0, nan, 20.0, 30.0], [30.0, 10.0, 5.0, nan, nan]):
  for best_fn in (plain, guarded):
    left, best = managed(distances, best_fn)
    of_v1, _ = by_policy(distances, best_fn)
    print(f"| {distances} | {best_fn.__name__} | {left} | {best} | {of_v1} |")
    found[str(distances), best_fn.__name__] = left, best, of_v1
(finite, once, twice) = [[found[d, f] for f in ("plain", "guarded")] for d in dict.fromkeys(d for d, _ in found)]
kept = ([10.0, 5.0], 5.0, [10.0, 5.0])
assert finite[0] == kept and finite[1] == kept, "changed: without NaN"
assert once[0] == ([20.0, 30.0], 20.0, [20.0, 30.0]), "changed: one NaN no longer costs the best"
assert all(map(math.isnan, [*twice[0][0], twice[0][1]])), "changed: NaN is no longer the best"
assert once[1] == kept and twice[1] == kept, "changed: NaN as infinity"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py" "$folder"
