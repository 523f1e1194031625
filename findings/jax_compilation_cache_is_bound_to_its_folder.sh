#!/usr/bin/env bash
# JAX's persistent compilation cache misses everything after its folder was moved, copied or mounted elsewhere.
#
# One would guess: a program is found by what it is and what compiles it (its text, options, versions,
# devices), so that a folder of compiled programs works wherever it lies: baked into an image, copied to
# the machines of a pod, mounted from a bucket. On a CPU above all, which has no autotuning.
# What is so: JAX 0.10.2 tells XLA a folder for autotuning on GPUs, below the cache's own, also where
# there is no GPU; it is one of the options that are hashed, and is not among those left out of the
# hash. So the key of each program holds the path of the cache: the same program has other keys in
# another folder, and a copy of the whole folder gives no hit. With
# JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES=none it does.
# Why it matters: the rounds of a GAN (two players, penalties with second derivatives) are among the
# programs that take long to compile, and are compiled again on every machine of a sweep.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import os
import sys

import jax
import jax.numpy as jnp

hits = []
jax.monitoring.register_event_listener(
  lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None
)
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.block_until_ready(jax.jit(lambda x: jnp.tanh(x @ x))(jnp.ones((4, 4))))
print(len(hits), len([name for name in os.listdir(sys.argv[1]) if name.endswith("-cache")]))
PY
play() { JAX_PLATFORMS=cpu JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES="$2" "$folder/venv/bin/python" "$folder/play.py" "$folder/$1"; }
"$folder/venv/bin/python" -c 'import jax; print("jax", jax.__version__)'
default=xla_gpu_per_fusion_autotune_cache_dir
first=$(play a "$default")
again=$(play a "$default")
cp -r "$folder/a" "$folder/b"
copied=$(play b "$default")
without=$(play c none)
cp -r "$folder/c" "$folder/d"
moved=$(play d none)
echo "hits and programs kept: first $first, again $again, in a copy of the folder $copied"
echo "without XLA's own caches: first $without, in a copy of the folder $moved"
programs=${first#* }
if [ "$first" = "0 $programs" ] && [ "$again" = "$programs $programs" ] &&
  [ "$copied" = "0 $((2 * programs))" ] && [ "$moved" = "$programs $programs" ]; then
  echo "as described"
else
  echo "CHANGED"
  exit 1
fi
