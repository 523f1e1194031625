#!/usr/bin/env bash
# The gradient of a bias that a layer adds in bfloat16 stops growing on CPU: 50,176 equal numbers add up to 512.
#
# One would guess: parameters are float32, so that their gradients are sums in float32, as jnp.sum of
# a bfloat16 array is; only the summands are rounded, to 1 part in 256.
# What is so: flax casts the bias to the dtype that the layer computes in, and what JAX derives of the
# addition is a reduction in bfloat16, whose result alone is cast to float32. XLA on CPU adds up in
# bfloat16 as well: a partial sum that is 256 times as large as a summand no longer grows. Of one
# image of 28 x 28 places a third of the gradient is there, of 64 images 1%.
# Why it matters: a generator of images adds its last bias at every pixel of every image of a batch,
# and a discriminator those of its first maps. Adam hides the scale of what is left, but not that
# channels lose unlike shares, by how far their summands agree in sign. A bias that is added in
# float32 before the cast has its gradient, and the forward costs no more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__, "flax", flax.__version__, jax.default_backend())


def gradient(images, dtype):
  """The gradient of a bias that 28 x 28 places of each image have, of the sum of all outputs."""
  net = nn.Dense(4, dtype=dtype)
  x = jnp.asarray(np.ones((images, 28, 28, 1)), jnp.float32)
  weight = jnp.asarray(np.ones((images, 28, 28, 4)), jnp.float32)
  variables = net.init(jax.random.key(0), x)
  loss = lambda variables, x, weight: jnp.sum(net.apply(variables, x).astype(jnp.float32) * weight)
  return float(jax.jit(jax.grad(loss))(variables, x, weight)["params"]["bias"][0])


print("| images | summands | in float32 | in bfloat16 |")
shares = {}
for images in (1, 16, 64, 128):
  n = images * 28 * 28
  values = [gradient(images, dtype) for dtype in (jnp.float32, jnp.bfloat16)]
  print(f"| {images} | {n} | {values[0]:.0f} | {values[1]:.0f} |")
  shares[images] = values[1] / n
  assert abs(values[0] / n - 1) < 1e-3, "sums in float32 have changed"
same = float(jnp.sum(jnp.ones(100_352, jnp.bfloat16)))
print("jnp.sum of as many ones of bfloat16:", same)
if shares[128] > 0.5:
  raise SystemExit("changed: gradients of biases in bfloat16 are no longer lost")
print(f"of 128 images, {shares[128]:.0%} of the gradient is there")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
