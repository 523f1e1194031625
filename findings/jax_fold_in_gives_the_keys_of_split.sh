#!/usr/bin/env bash
# fold_in(key, i) is split(key)[i], and JAX's own check for keys that are used twice lets it pass.
#
# One would guess: `split` and `fold_in` are two derivations, so that a program may split a key for its
# parts and fold the step into the same key; or if not, that the check of reused keys says so.
# What is so (jax 0.10.2, 0.12.0.1): since 0.5, whose default is partitionable Threefry, both hash (key, i),
# bit for bit: fold_in(key, 0), fold_in(key, 1) are the two keys of split(key), and so on for any number,
# for keys of "rbg" too. It is meant (jax-ml/jax pull request 13341), and stands in neither docstring.
# jax_debug_key_reuse, which raises if a key is drawn from twice, takes fold_in for no use of a key, and
# does not see that two derived keys are one. With partitionable Threefry off they are four keys.
# Why it matters: a GAN is a program of many draws, with a key for the generator, one for the
# discriminator, and one for each step. By `g_key, d_key = split(key)` and `fold_in(key, step)` the
# latents of the first rounds are the numbers that the networks were initialised with. Nothing fails;
# who wrote so before 0.5 had independent draws.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import jax
import numpy as np

jax.config.update("jax_debug_key_reuse", True)
print("jax", jax.__version__, "partitionable:", jax.config.jax_threefry_partitionable)


def folded_are_split(impl):
  """How many of 100 folded keys are the split ones."""
  folded = [jax.random.fold_in(jax.random.key(7, impl=impl), i) for i in range(100)]
  split = jax.random.split(jax.random.key(7, impl=impl), 100)
  return sum(
    np.array_equal(jax.random.key_data(a), jax.random.key_data(b)) for a, b in zip(folded, split)
  )


@jax.jit
def round_of_a_gan(key):
  """Numbers of the generator's first kernel, and latents of the first round, of an example each."""
  latents = jax.random.normal(jax.random.fold_in(key, 0), (64, 128))
  g_key, _ = jax.random.split(key)
  return jax.random.normal(g_key, (64, 128)), latents


@jax.jit
def drawn_twice(key):
  return jax.random.normal(key), jax.random.normal(key)


same = {impl: folded_are_split(impl) for impl in ("threefry2x32", "rbg", "unsafe_rbg")}
print("of 100 folded keys, equal to the split ones:", same)
kernel, latents = round_of_a_gan(jax.random.key(0))
print("latents equal to the kernel:", bool((kernel == latents).all()), "- no complaint")
try:
  drawn_twice(jax.random.key(0))
  caught = False
except jax.errors.KeyReuseError as error:
  caught = True
  print("the check is on, of a key drawn from twice:", type(error).__name__)
with jax.threefry_partitionable(False):
  before = folded_are_split("threefry2x32")
print("with partitionable Threefry off:", before)
assert same == {"threefry2x32": 100, "rbg": 100, "unsafe_rbg": 0}, "changed: keys"
assert (kernel == latents).all() and caught, "changed: the check of reused keys"
assert before == 0, "changed: keys without partitionable Threefry"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
