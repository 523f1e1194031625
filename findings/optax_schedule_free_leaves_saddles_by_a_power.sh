#!/usr/bin/env bash
# Optax's schedule-free optimizer leaves a saddle by the ninth power of time, at any learning rate.
#
# One would guess: schedule-free learning (Defazio et al. 2024, arXiv:2405.15682) averages what it visits,
# and averages are what settles in games, where gradient descent circles; or if it does not settle,
# that a rate ten times smaller keeps it near for longer, as it does gradient descent, whose distance
# grows by exp(h t / 2) where t is rounds times the rate h, and not at all as h goes to 0.
# What is so (optax 0.2.8): the gradient is taken at y = b1 x + (1 - b1) z, x being the mean of all z.
# Where players see each other's y, z must outweigh the mean to bring y to the saddle, and then moves the
# mean further out. Of v' = J y for small steps, w = z + b1 / (1 - b1) x follows
# w' = ((1 - b1) J + b1 / (1 - b1) / t) w to first order in 1 / t: in a game of pure rotation z grows
# as t to the power of b1 / (1 - b1), 9 by default, and the mean as one power less. There is no rate in
# the exponent. Minima are spared, as -H in the place of J damps it. Only below b1 = 1/2 does x come in.
# Why it matters: it is an optimizer that promises to need no tuning, and each player of a GAN can have
# one. Damped games (a Dirac-GAN with R1, Mescheder et al. 2018, arXiv:1801.04406) are reached in the
# end, but first left: where gradient descent is there, it is further out than it began. With its Adam a
# player walks away without bound, by a steady share of the rate a round.
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
from optax import contrib

print("optax", optax.__version__, "jax", jax.__version__)


@functools.partial(jax.jit, static_argnames=("make", "rounds", "field"))
def play(make, rounds, rate, b1, field):
  """Distances from the equilibrium by round: of the point to evaluate and, if there is one, of z."""
  optimizer = make(rate, b1)
  averages = make is not gradient_descent and make is not adam

  def turn(carry, _):
    point, state = carry
    updates, state = optimizer.update(field(point), state, point)
    point = optax.apply_updates(point, updates)
    x = contrib.schedule_free_eval_params(state, point) if averages else point
    z = state.z if averages else point
    return (point, state), (jnp.linalg.norm(x), jnp.linalg.norm(z))

  start = jnp.ones(2)
  return jax.lax.scan(turn, (start, optimizer.init(start)), length=rounds)[1]


def schedule_free(rate, b1):
  return contrib.schedule_free_sgd(rate, b1=b1)


def schedule_free_adam(rate, b1):
  return contrib.schedule_free_adamw(rate, b1=b1)


def gradient_descent(rate, b1):
  return optax.sgd(rate)


def adam(rate, b1):
  return optax.adam(rate, b1=b1)


def rotation(point):
  """Gradients of min_x max_y xy."""
  return jnp.stack([point[1], -point[0]])


def dirac(point):
  """Gradients of the non-saturating Dirac-GAN with R1 of weight .1."""
  g, d = point
  return jnp.stack([-d * jax.nn.sigmoid(-d * g), g * jax.nn.sigmoid(d * g) + 0.1 * d])


def at(rounds, *arguments):
  """Distances (of x, of z) after these numbers of rounds."""
  x, z = (np.asarray(d) for d in play(arguments[0], max(rounds), *arguments[1:]))
  return x[np.asarray(rounds) - 1], z[np.asarray(rounds) - 1]


print("min max of xy from a distance of 1.41; t is rounds times rate")
print("| optimizer | rate | x at t = 10, 100, 1000 |")
ends = {}
for name, make, b1 in (("schedule free, b1 = .9", schedule_free, 0.9), ("gradient descent", gradient_descent, 0.0)):
  for rate in (0.01, 0.002):
    x, _ = at([round(t / rate) for t in (10, 100, 1000)], make, rate, b1, rotation)
    ends[name, rate] = x
    print(f"| {name} | {rate} | " + ", ".join(f"{d:.3g}" for d in x) + " |")
free = ends["schedule free, b1 = .9", 0.01], ends["schedule free, b1 = .9", 0.002]
assert np.allclose(*free, rtol=0.1) and free[1][2] > 1e9, "changed: schedule free"
assert ends["gradient descent", 0.002][2] < 5, "changed: gradient descent"

print("| b1 | b1 / (1 - b1) | power of t by which z grows, x grows, from t = 300 to 1000 |")
rate = 0.002
for b1 in (0.2, 0.75, 0.8):
  x, z = at([round(t / rate) for t in (300, 1000)], schedule_free, rate, b1, rotation)
  # What Euler's steps of the rotation (1 - b1) J add of themselves is taken off.
  own = 0.5 * rate * (1 - b1) ** 2 * 700
  powers = [(np.log(d[1] / d[0]) - own) / np.log(1000 / 300) for d in (z, x)]
  print(f"| {b1} | {b1 / (1 - b1):.3g} | {powers[0]:.2f}, {powers[1]:.2f} |")
  assert abs(powers[0] - b1 / (1 - b1)) < 0.1, "changed: the power of z"
  assert abs(powers[1] - b1 / (1 - b1) + 1) < 0.15, "changed: the power of x"

print("Dirac-GAN with R1, rate .1, distance after 300, 1,000 and 10,000 rounds:")
for name, make, b1 in (("gradient descent", gradient_descent, 0.0), ("schedule free, b1 = .9", schedule_free, 0.9)):
  x, _ = at([300, 1000, 10_000], make, 0.1, b1, dirac)
  print(f"  {name}: " + ", ".join(f"{d:.2g}" for d in x))
  assert (x[1] < 0.05) if make is gradient_descent else (x[1] > 1.5 and x[2] < 0.5), "changed: Dirac-GAN"

print("with Adam, rate .01, on xy, distance after 1,000, 10,000 and 100,000 rounds:")
for name, make in (("Adam", adam), ("schedule-free Adam", schedule_free_adam)):
  x, _ = at([1000, 10_000, 100_000], make, 0.01, 0.9, rotation)
  print(f"  {name}: " + ", ".join(f"{d:.3g}" for d in x))
  assert (x[2] < 5) if make is adam else (x[2] > 100), "changed: Adam"
print("as described")
PY
PYTHONWARNINGS=ignore JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
