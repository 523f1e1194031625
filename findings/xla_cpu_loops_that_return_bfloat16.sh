#!/usr/bin/env bash
# A loop that returns bfloat16 converts all its results, of every turn, with each turn on a CPU.
#
# One would guess: `lax.scan` and `lax.map` write what a turn returns into its place of the stacked
# results, so that a turn costs the same however many there are, and half as much in bfloat16.
# What is so (jax 0.10.2): on CPU the write into bfloat16 is one into float32, and the whole array of
# results is converted to float32 before and back to bfloat16 after it, in every turn: of 128 turns of
# a product of 256 x 256 each takes 3.5 to 5 times as long as of 4. In float32, and as integers of the
# same bits, it takes 1.1 to 1.6 times as long.
# Why it matters: layers that see a batch in chunks, and rollouts and microbatches whose activations
# are stacked, were slower in bfloat16 than in float32 with nothing to see but a slow program. The cure
# is `lax.bitcast_convert_type(y, jnp.uint16)` at the end of the body, and back after the loop.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check install jax==0.10.2 jaxlib==0.10.2
cat >"$folder/play.py" <<'PY'
import time

import jax
import jax.numpy as jnp
from jax import lax

print("jax", jax.__version__, jax.default_backend())
WAYS = {  # the type of a product, and what a turn makes of it
  "float32": (jnp.float32, lambda y: y),
  "bfloat16": (jnp.bfloat16, lambda y: y),
  "bits of bfloat16": (jnp.bfloat16, lambda y: lax.bitcast_convert_type(y, jnp.uint16)),
}


def milliseconds(dtype, returned, turns):
  """The fastest of six calls, by turn, in time of all cores."""
  xs, k = jnp.ones((turns, 256, 256), dtype), jnp.ones((256, 256), dtype)

  def body(carry, x):
    y = lax.dot_general(x, k, (((1,), (0,)), ((), ())), preferred_element_type=jnp.float32)
    y = lax.optimization_barrier(y).astype(dtype)
    return carry, returned(lax.optimization_barrier(y))

  loop = jax.jit(lambda xs: lax.scan(body, 0, xs)[1]).lower(xs).compile()
  times = []
  for _ in range(6):
    start = time.process_time()
    loop(xs).block_until_ready()
    times.append(1e3 * (time.process_time() - start) / turns)
  return min(times)


print("| a turn returns | ms a turn, 4 turns | 128 turns |")
growth = {}
for name, way in WAYS.items():
  few, many = (milliseconds(*way, turns) for turns in (4, 128))
  growth[name] = many / few
  print(f"| {name} | {few:.3f} | {many:.3f} |")
if growth["bfloat16"] < 1.7 * max(growth["float32"], growth["bits of bfloat16"]):
  raise SystemExit("changed: a turn that returns bfloat16 no longer costs more the more there are")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
