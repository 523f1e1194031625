#!/usr/bin/env bash
# The gradient of a convolution in the body of lax.scan is tens of times slower on a CPU than outside.
#
# One would guess: XLA compiles the body of a loop as it compiles anything else, so that a training
# step takes as long within `lax.scan` as bare, and scanning several steps in one call can only save.
# What is so: on CPU (jax 0.10.2, 0.12.0.1) the gradients of `lax.conv_general_dilated`, stride 1, 3x3,
# with respect to input and kernel leave the fast path in the body of `lax.scan`, `fori_loop` and `map`;
# the forward convolution does not, and neither does a scan that is unrolled whole.
# Why it matters: steps of GANs are often scanned (k moves of a critic, several rounds a dispatch,
# accumulated minibatches). On a CPU this turns half a second a step into many, with nothing to see
# but a slow program; matrix products of patches, closed under differentiation, do not suffer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PY'
import sys
import time

import jax
import jax.numpy as jnp

x = jax.random.normal(jax.random.key(0), (16, 8, 8, 128))
k = jax.random.normal(jax.random.key(1), (3, 3, 128, 128))
conv = lambda k: jax.lax.conv_general_dilated(
  x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
)
loss = lambda k: jnp.sum(conv(k) ** 2)
gradient = jax.grad(loss)


def scanned(step, unroll=1):
  return lambda k: jax.lax.scan(lambda k, _: (1e-9 * step(k), None), k, length=2, unroll=unroll)[0]


def seconds(function, steps):
  """The fastest of five calls, for one step, after one that compiles."""
  function = jax.jit(function)
  times = []
  for _ in range(6):
    start = time.perf_counter()
    function(k).block_until_ready()
    times.append(time.perf_counter() - start)
  return min(times[1:]) / steps


forward = lambda k: jnp.resize(conv(k), k.shape)
bare, body = seconds(gradient, 1), seconds(scanned(gradient), 2)
whole = seconds(scanned(gradient, unroll=2), 2)
ahead, ahead_body = seconds(forward, 1), seconds(scanned(forward), 2)
print(f"jax {jax.__version__}, milliseconds a step, 16 x 8 x 8 x 128 -> 128, 3x3")
print(f"kernel gradient: bare {1e3 * bare:.1f}, in a scan {1e3 * body:.1f}, unrolled {1e3 * whole:.1f}")
print(f"forward:         bare {1e3 * ahead:.1f}, in a scan {1e3 * ahead_body:.1f}")
print(f"ratio of the gradient in a scan to bare: {body / bare:.0f}")
if body < 4 * bare or ahead_body > 4 * ahead or whole > 4 * bare:
  sys.exit("changed: the gradient is no longer the one that is slow, and only in a loop")
PY
