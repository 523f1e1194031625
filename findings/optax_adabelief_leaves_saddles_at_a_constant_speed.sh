#!/usr/bin/env bash
# AdaBelief leaves a saddle by more than two learning rates a round for ever, where Adam slows down.
#
# One would guess: AdaBelief (Zhuang et al. 2020, arXiv:2010.07468, with GANs among its results) is Adam
# with a better scale. On min_x max_y xy, where no simple descent settles, it does what Adam does.
# What is so (optax 0.2.8): it divides by how far gradients are from their average of lag
# L = b1 / (1 - b1). Where players turn around each other by w a round at a distance R, that is L w R, and
# not R: the slower they turn, the longer the steps. Averaged over the whole past (b2 near 1), the mean
# square is L lr R / 2, and R grows by 4/3 (2 + 1/L) lr a round: 2.8 lr with b1 = .9, 4 lr with .5, a
# quarter of it by pumping, as the two averages sway with the turning (which brakes Adam). Adam's R grows
# as lr (8/3 (2 L + 1) t)^1/2. A shorter memory makes AdaBelief faster still: with its default b2 = .999 the
# players are some 10^8 learning rates away after 10^5 rounds.
# Why it matters: it is taken for a steadier Adam in GANs, at the same rates. A damped game is held at
# a distance that goes as 1 / damping squared, Adam's as 1 / damping. Noise of deviation s in the
# gradients hides it until L lr R is beyond s squared; before that the steps are lr / s of plain
# descent, which leaves too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

print("optax", optax.__version__, "jax", jax.__version__)
RATE, ROUNDS = 0.01, 100_000
MOMENTS = (1000, 10_000, ROUNDS)


@functools.partial(jax.jit, static_argnums=0)
def distances(optimizer, damping, noise):
  """Distance of (x, y) from 0 at the start of each round of xy + damping (x² - y²) / 2, from (1, 1)."""

  def play(carry, key):
    point, state = carry
    gradient = jnp.stack([point[1], -point[0]]) + damping * point
    gradient += noise * jax.random.normal(key, (2,))
    updates, state = optimizer.update(gradient, state, point)
    return (optax.apply_updates(point, updates), state), jnp.linalg.norm(point)

  start = jnp.ones(2)
  keys = jax.random.split(jax.random.key(0), ROUNDS + 1)
  return jax.lax.scan(play, (start, optimizer.init(start)), keys)[1]


def row(name, optimizer, damping=0.0, noise=0.0):
  d = np.asarray(distances(optimizer, damping, noise))
  print(f"| {name} |", " | ".join(f"{d[t]:.3g}" for t in MOMENTS), "|")
  return d


print(f"| distance, rate {RATE} | after", " | ".join(f"{t:,}" for t in MOMENTS), "|")
for b1 in (0.9, 0.5):
  lag = b1 / (1 - b1)
  d = row(f"adabelief, b1 = {b1}", optax.adabelief(RATE, b1=b1))
  assert d[1000] > 2 * RATE * 1000 and d[10_000] > 4 * RATE * 10_000, "changed: default memory"
  assert d[ROUNDS] > 1e7 * RATE, "changed: default memory"
  d = row("adam, the same", optax.adam(RATE, b1=b1))
  assert d.max() < 5, "changed: Adam"
  d = row("adabelief, b2 = .99999", optax.adabelief(RATE, b1=b1, b2=0.99999))
  speed, law = (d[30_000] - d[10_000]) / 20_000 / RATE, 4 / 3 * (2 + 1 / lag)
  print(f"  speed in rates a round: {speed:.3f}, by the law {law:.3f}")
  assert abs(speed / law - 1) < 0.03, "changed: the speed"  # averages still sway by 1 / (w t)
  d = row("adam, b2 = .99999", optax.adam(RATE, b1=b1, b2=0.99999))
  grown, law = (d[30_000] ** 2 - d[10_000] ** 2) / 20_000 / RATE**2, 8 / 3 * (2 * lag + 1)
  print(f"  growth of the squared distance in squared rates a round: {grown:.1f}, by the law {law:.1f}")
  assert abs(grown / law - 1) < 0.1, "changed: Adam"  # its players turn less often

print("with noise of deviation .1 in each gradient:")
assert row("adabelief", optax.adabelief(RATE), noise=0.1)[10_000] > 4 * RATE * 10_000, "changed: noise"
assert row("adam", optax.adam(RATE), noise=0.1).max() < 5, "changed: noise"
print("damped:")
ends = {}
for damping in (0.1, 0.3):
  for name in ("adabelief", "adam"):
    d = row(f"{name}, damping {damping}", getattr(optax, name)(RATE), damping)
    ends[name, damping] = d[ROUNDS // 2 :].max()
assert ends["adabelief", 0.1] > 10 and ends["adam", 0.1] < 2, "changed: damped games"
assert ends["adabelief", 0.3] > 1.4 and ends["adam", 0.3] < 0.7, "changed: damped games"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
