#!/usr/bin/env bash
# A compiled program that JAX could write only in part stays in its cache: it is read, warned of and compiled again for ever.
#
# One would guess: an entry of the persistent compilation cache appears whole or not at all; and if a
# disk was full or a process was killed in between, the next process that cannot read the entry
# compiles the program and writes it anew.
# What is so: JAX 0.10.2 writes an entry in place. What was written before the error stays under the
# entry's name. Later processes read it, warn that it cannot be decompressed, compile, and then leave
# the file as it is, as one of that name is there. Room on the disk does not help; only removing the
# file by hand does.
# Why it matters: runs on preemptible machines are killed at any moment, home folders have quotas, and
# the first minute of a GAN is compiling: the program that takes longest is the one whose entry is
# largest, and from then on the one that is never found.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import pathlib
import resource
import sys
import warnings

import jax
import jax.numpy as jnp

folder, limit = pathlib.Path(sys.argv[1]), int(sys.argv[2])
jax.config.update("jax_compilation_cache_dir", str(folder))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits = []
jax.monitoring.register_event_listener(
  lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None
)
x = jnp.asarray(1.0)


def loss(x):
  return jnp.sum(jnp.tanh(x * jnp.arange(8.0)))


with warnings.catch_warnings(record=True) as warned:
  warnings.simplefilter("always")
  if limit:  # bytes a file may have, as a disk that is full
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
  hits.clear()
  jax.jit(loss)(x).block_until_ready()
(entry,) = folder.glob("jit_loss-*-cache")
seen = [str(one.message).split(" for ")[0] for one in warned]
print(entry.stat().st_size, len(hits), "; ".join(seen) or "no warning")
PY
play() { JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py" "$@"; }

"$folder/venv/bin/python" -c 'import jax; print("jax", jax.__version__)'
read -r whole _ warned < <(play "$folder/whole" 0)
echo "room on the disk: $whole bytes; $warned"
read -r part _ warned < <(play "$folder/part" 1000)
echo "no room: $part bytes; $warned"
read -r second hits warned < <(play "$folder/part" 0)
echo "room again: $second bytes, found $hits times; $warned"
read -r third hits_third warned_third < <(play "$folder/part" 0)
echo "and once more: $third bytes, found $hits_third times; $warned_third"
if [ "$whole" -gt 1000 ] && [ "$part $second $third" = "1000 1000 1000" ] && [ "$hits $hits_third" = "0 0" ] &&
  [ "$warned_third" = "$warned" ] && [[ $warned = *reading* ]]; then
  echo "as described"
else
  echo "CHANGED"
  exit 1
fi
