#!/usr/bin/env bash
# Normal numbers that JAX draws in bfloat16 have 128 values, none beyond 2.9, and a mean below zero.
#
# One would guess: `jax.random.normal(key, shape, bfloat16)` is a draw in float32, rounded: thousands of
# values, both tails, a mean of zero.
# What is so: JAX (0.10.2, 0.12.0.1) takes a uniform number of that dtype's 7 bits and passes it through
# the inverse of the error function. The numbers are -2.89, -2.52 and so on up to 2.52; six of a
# thousand should be above. As the uniform number lies on the lower ends of 128 cells, the mean is
# -0.012, however many are drawn, and that of truncated normals -0.016. In float16 there are 1,024.
# Why it matters: latents, noise that is added to images and weights of networks in bfloat16 are drawn so
# wherever a dtype is handed on. A generator sees no latent from the tails, the sum over a latent of 512
# numbers is off by 6 where its deviation is 23, and noise that is added in a thousand steps drifts by
# 12. Drawn in float32 and then cast, all of it is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import jax
import jax.numpy as jnp
import numpy as np

N = 1_000_000  # the mean of as many has a standard error of .001
print("jax", jax.__version__, jax.default_backend())
print("| draw | values | least | largest | mean | deviation | beyond 2.6 |")


def row(name, x):
  x = np.asarray(x, np.float64)
  values, beyond = len(np.unique(x)), np.mean(np.abs(x) > 2.6)
  print(
    f"| {name} | {values} | {x.min():.3f} | {x.max():.3f} | {x.mean():.4f} | {x.std():.4f} "
    f"| {beyond:.5f} |"
  )
  return values, x.min(), x.max(), x.mean()


key = jax.random.key(0)
exact = jax.random.normal(key, (N,))
found = row("bfloat16", jax.random.normal(key, (N,), jnp.bfloat16))
half = row("float16", jax.random.normal(key, (N,), jnp.float16))
cast = row("float32, cast to bfloat16", exact.astype(jnp.bfloat16))
row("float32", exact)
limits = (-2, 2, (N,), jnp.bfloat16)
truncated = row("truncated to 2, bfloat16", jax.random.truncated_normal(key, *limits))
sums = [
  np.asarray(jax.random.normal(key, (2000, 512), dtype), np.float64).sum(axis=1)
  for dtype in (jnp.bfloat16, jnp.float32)
]
print("sum of 512 numbers: mean {:.2f} in bfloat16, {:.2f} in float32".format(*(x.mean() for x in sums)))
assert found[0] == 128 and found[1] > -2.95 and found[2] < 2.6, "changed: the values"
assert found[3] < -0.009 and truncated[3] < -0.012, "changed: the mean"
assert half[0] == 1024, "changed: float16"
assert cast[0] > 1000 and cast[2] > 4 and abs(cast[3]) < 0.004, "changed: float32"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
