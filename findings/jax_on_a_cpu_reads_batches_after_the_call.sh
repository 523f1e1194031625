#!/usr/bin/env bash
# A training step that JAX runs on a CPU may read its batch after the call, when the loader has refilled it.
#
# One would guess: what a jitted function is called with is a value. A NumPy batch is copied, or at least
# read, before the call returns, so that the next batch may be written into the same memory; and an array
# that `jax.device_put` made of it is immutable, as every jax.Array is.
# What is so (jax 0.10.2): on CPU a NumPy array whose memory begins at a multiple of 64 bytes is not
# copied. The call is queued behind the step before it and returns; the step reads the memory when its
# turn comes. device_put and jnp.asarray hand out the same memory too, even with may_alias=False
# (jax-ml/jax issue 37830 reports that part). jnp.array, which is to copy, queues its copy like a step.
# Shared memory begins on a page, and so is never copied; of other memory the allocator decides.
# NumPy's own copy, made by the caller, is safe.
# Why it matters: loaders of several processes fill one buffer in shared memory again and again. A round
# of a GAN reads real images late, behind a generator and the round before, and its batches are then
# later ones: some are seen many times and others never, differently in each run of one seed, with
# nothing raised. Waiting for each result, as one does to debug, makes it go away.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/rounds.py" <<'PY'
from multiprocessing import shared_memory

import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__, "numpy", np.__version__)
ROUNDS, SHAPE = 12, (64, 1024)


@jax.jit
def step(weights, batch):
  """A round that takes a while: other weights, and the mean of the batch that it read."""
  weights = jax.lax.fori_loop(0, 4, lambda _, w: jnp.tanh(w @ w), weights)
  return weights, jnp.mean(batch)


def means(buffer, given, wait=False):
  """What each round read: round k writes k into the buffer, hands it on and calls the step."""
  weights, read = 0.01 * jnp.ones((512, 512)), []
  for k in range(ROUNDS):
    buffer[:] = k
    weights, mean = step(weights, given(buffer))
    if wait:
      mean.block_until_ready()
    read.append(mean)
  return [int(mean) for mean in read]


block = shared_memory.SharedMemory(create=True, size=4 * SHAPE[0] * SHAPE[1])
shared = np.ndarray(SHAPE, np.float32, buffer=block.buf)
shared[:] = 0
step(0.01 * jnp.ones((512, 512)), shared)[1].block_until_ready()

own = list(range(ROUNDS))
print("batches written:              ", *own)
runs = {
  "given as they are": means(shared, lambda x: x),
  "by jnp.asarray": means(shared, jnp.asarray),
  "by device_put, may not alias": means(shared, lambda x: jax.device_put(x, may_alias=False)),
  "by jnp.array, copy=True": means(shared, lambda x: jnp.array(x, copy=True)),
  "by NumPy's copy": means(shared, np.copy),
  "as they are, each awaited": means(shared, lambda x: x, wait=True),
}
for name, read in runs.items():
  print(f"{name + ':':<30}", *read)

late = [name for name, read in runs.items() if sum(r != k for r, k in zip(read, own)) > ROUNDS // 2]
assert late == list(runs)[:4], f"changed: other batches were read by {late}"
assert all(runs[name] == own for name in list(runs)[4:]), "changed: copies, or results awaited"

array = jax.device_put(shared)
shared[:] = -1
print("the mean of a jax.Array, after the buffer it was made of was set to -1:", float(array.mean()))
assert float(array.mean()) == -1, "changed: device_put copies"

del array, runs, shared
jax.clear_caches()
block.unlink()
print("as described")
PY
PYTHONWARNINGS=ignore JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/rounds.py"
