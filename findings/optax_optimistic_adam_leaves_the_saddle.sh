#!/usr/bin/env bash
# Optax's optimistic Adam leaves the saddle that it is there to find: its momentum eats up its optimism.
#
# One would guess: `optax.optimistic_adam_v2(lr)` settles at the equilibrium of min_x max_y xy, where Adam
# circles; its documentation says so of GANs, and shows a run that is at a distance of .001 after 1,024
# rounds.
# What is so: a filter of gradients with mean lag L turns the players out by (2 (L - beta) + 1) h²/2 a
# round of small steps h. The moving average lags b1 / (1 - b1) rounds behind, with Nesterov's look ahead
# b1² / (1 - b1), and optimism gives back beta. So beta must exceed 1/2 + L: 8.6 for optax's defaults,
# which are b1 = .9 and beta = 1, and 1.5 for the 2 g - g' of Daskalakis et al. 2018 (arXiv:1711.00141)
# after Adam of b1 = .5. With optax 0.2.8's defaults the players end further out than they began. The
# documented run has beta 100 times alpha, falls to 1e-7, and is back at .24 when it goes on: as the
# gradients vanish so does what Adam divides them by, until h is too long.
# Why it matters: it is the optimizer that is reached for when a GAN circles. With b1 = 0 it does what it
# says, and settles within about two learning rates; so does any b1 with a beta above the bound.
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


def distances(optimizer, start, rounds):
  """Distance of (x, y) from the equilibrium of xy at the start of each round."""

  def play(carry, _):
    point, state = carry
    gradient = jnp.stack([point[1], -point[0]])
    updates, state = optimizer.update(gradient, state, point)
    return (optax.apply_updates(point, updates), state), jnp.linalg.norm(point)

  start = jnp.asarray(start)
  run = jax.jit(lambda: jax.lax.scan(play, (start, optimizer.init(start)), length=rounds)[1])
  return np.asarray(run())


adam = functools.partial(optax.optimistic_adam_v2, 0.01)
print("| from a distance of 1.41, lr .01 | after 1,000 | 10,000 | 100,000 |")
ends = {}
for name, optimizer in (
  ("optimistic_adam_v2, defaults", adam()),
  ("without Nesterov", adam(nesterov=False)),
  ("b1 = 0", adam(b1=0.0)),
):
  d = distances(optimizer, (1.0, 1.0), 100_001)
  ends[name] = d[100_000]
  print(f"| {name} | {d[1000]:.2g} | {d[10_000]:.2g} | {d[100_000]:.2g} |")
assert ends["optimistic_adam_v2, defaults"] > 2 and ends["without Nesterov"] > 2, "changed: defaults"
assert ends["b1 = 0"] < 0.05, "changed: b1 = 0"

documented = distances(optax.optimistic_adam_v2(1.0, alpha=1e-2, beta=1.0), (1.0, 2.0), 100_001)
shown = {n: f"{documented[n]:.1g}" for n in (1024, 2000, 16_000, 100_000)}
print("the documented run, distance after rounds:", shown)
assert documented[1024] < 2e-3 and documented[2000] < 1e-5 and documented[100_000] > 0.1, "changed"

print("| b1 | Nesterov | 1/2 + L | beta just below, above | from 5,000 to 20,000 rounds the distance is times |")
for b1, nesterov, lag in ((0.0, False, 0.0), (0.5, True, 0.5), (0.5, False, 1.0), (0.9, True, 8.1)):
  times = []
  for beta in (0.5 + lag - 0.25, 0.5 + lag + 0.25):
    options = {"b1": b1, "b2": 0.9999, "beta": beta, "nesterov": nesterov}
    d = distances(optax.optimistic_adam_v2(0.02, **options), (1.0, 1.0), 20_001)
    times.append(d[20_000] / d[5000])
  bounds = f"{0.25 + lag:.3g}, {0.75 + lag:.3g}"
  print(f"| {b1} | {nesterov} | {0.5 + lag:.3g} | {bounds} | {times[0]:.2g}, {times[1]:.2g} |")
  assert times[0] > 1.2 and times[1] < 0.1, "changed: the bound of beta"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
