#!/usr/bin/env bash
# Optimizers that estimate their own learning rate estimate without bound in a game, most of them up to NaN.
#
# One would guess: Prodigy (Mishchenko and Defazio 2023, arXiv:2306.06101), D-Adaptation (2301.07733), DoG
# (Ivgi et al. 2023, arXiv:2302.12022), DoWG (2305.16284) and COCOB (1705.07795) need no learning rate: they
# estimate how far off the solution is, and theorems keep the estimate of that order. In a game they at
# worst circle, as Adam does, and ever more slowly, as what they divide by sums up all gradients.
# What is so (optax 0.2.8): the theorems are of one convex function, where the gradient of one who has
# gone too far turns back. In xy it is the other's weight, which turns a quarter of a circle later; by then
# both have gone further, and the estimate with them. It outgrows the sum of gradients: from a distance of
# 1.3 all five are beyond 10^6 after 1,000 rounds, three of them at NaN. On x² + y², of the same start, they
# do what they promise. Damping saves all but D-Adaptation. mechanize (Cutkosky et al. 2023,
# arXiv:2306.00144) of plain descent, which pays for what it loses, is thrown out to 5,000 and comes back.
# Why it matters: they are what one takes so as not to tune two learning rates at once. A Wasserstein
# loss without a penalty is linear in the logits, and such a game: two small perceptrons are at NaN after
# 100 rounds with Prodigy, where Adam trains. The non-saturating loss, whose gradients are bounded, holds
# its estimate down. D-Adaptation lost the penalised Wasserstein loss as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

print("optax", optax.__version__, "jax", jax.__version__)
MOMENTS = (0, 30, 100, 300, 1000, 10_000)
OPTIMIZERS = {
  "prodigy": contrib.prodigy(),
  "dadapt_adamw": contrib.dadapt_adamw(),
  "dog": contrib.dog(),
  "dowg": contrib.dowg(),
  "cocob": contrib.cocob(),
  "mechanize(sgd)": contrib.mechanize(optax.sgd(1.0)),
  "adam, rate .01": optax.adam(0.01),
}


def distances(optimizer, couple, damping):
  """Distance of (x, y) from 0 in couple xy + damping (x² - y²) / 2, and the estimate of x's player."""

  def play(carry, _):
    x, y, state_x, state_y = carry
    step_x, new_x = optimizer.update(couple * y + damping * x, state_x, x)
    step_y, new_y = optimizer.update(-couple * x + damping * y, state_y, y)
    seen = jnp.hypot(x, y), getattr(state_x, "estim_lr", jnp.nan)
    return (x + step_x, y + step_y, new_x, new_y), seen

  x, y = jnp.asarray(1.0), jnp.asarray(0.9)
  start = (x, y, optimizer.init(x), optimizer.init(y))
  run = jax.jit(lambda: jax.lax.scan(play, start, length=MOMENTS[-1] + 1)[1])
  return [np.asarray(values) for values in run()]


found = {}
for title, couple, damping in (
  ("two minima, x² / 2 and y² / 2", 0.0, 1.0),
  ("game xy", 1.0, 0.0),
  ("game xy, damping .3", 1.0, 0.3),
):
  print(f"| {title}: distance after |", " | ".join(f"{t:,}" for t in MOMENTS), "| largest estimate |")
  for name, optimizer in OPTIMIZERS.items():
    d, estimates = distances(optimizer, couple, damping)
    largest = "" if np.isnan(estimates[0]) else f"{np.fmax.reduce(estimates):.3g}"
    print(f"| {name} |", " | ".join(f"{d[t]:.3g}" for t in MOMENTS), f"| {largest} |")
    found[couple, damping, name] = d
for name in list(OPTIMIZERS)[:5]:
  assert not found[1.0, 0.0, name][1000] < 1e6, f"changed: {name} in xy"
  assert found[0.0, 1.0, name][10_000] < 0.1, f"changed: {name} at minima"
d = found[1.0, 0.0, "mechanize(sgd)"]
print(f"mechanize in xy: furthest at {d.max():,.0f} in round {d.argmax()}, {d[5000:].max():.2g} after 5,000")
assert d.max() > 100 and d[5000:].max() < 30, "changed: mechanize in xy"
assert found[1.0, 0.0, "adam, rate .01"].max() < 5, "changed: Adam in xy"
assert found[1.0, 0.3, "prodigy"][1000] < 1e-3, "changed: Prodigy, damped"
assert not np.isfinite(found[1.0, 0.3, "dadapt_adamw"][1000]), "changed: D-Adaptation, damped"


def perceptron(widths, key):
  keys = jax.random.split(key, len(widths) - 1)
  shapes = zip(keys, widths, widths[1:])
  return [(jax.random.normal(k, (m, n)) * (2 / m) ** 0.5, jnp.zeros(n)) for k, m, n in shapes]


def apply(layers, x):
  for kernel, bias in layers[:-1]:
    x = jax.nn.leaky_relu(x @ kernel + bias, 0.2)
  return x @ layers[-1][0] + layers[-1][1]


def trained(optimizer, loss, penalty=0.0, rounds=1000):
  """Norm of the discriminator's weights after each round of a GAN of points on a circle."""

  def play(carry, key):
    g, d, state_g, state_d = carry
    k1, k2, k3 = jax.random.split(key, 3)
    angle = jax.random.uniform(k1, (128, 1), maxval=2 * jnp.pi)
    real, z = 2 * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], 1), jax.random.normal(k2, (128, 2))

    def discriminate(d):
      fake = apply(g, z)
      between = fake + jax.random.uniform(k3, (128, 1)) * (real - fake)
      slopes = jax.grad(lambda x: apply(d, x).sum())(between)
      excess = jnp.sqrt((slopes**2).sum(1) + 1e-12) - 1
      return jnp.mean(loss(-apply(d, real)) + loss(apply(d, fake))) + penalty * jnp.mean(excess**2)

    grad_d = jax.grad(discriminate)(d)
    grad_g = jax.grad(lambda g: jnp.mean(loss(-apply(d, apply(g, z)))))(g)
    step_g, state_g = optimizer.update(grad_g, state_g, g)
    step_d, state_d = optimizer.update(grad_d, state_d, d)
    g, d = optax.apply_updates(g, step_g), optax.apply_updates(d, step_d)
    return (g, d, state_g, state_d), optax.global_norm(d)

  k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
  g, d = perceptron((2, 64, 64, 2), k1), perceptron((2, 64, 64, 1), k2)
  start = (g, d, optimizer.init(g), optimizer.init(d))
  return np.asarray(jax.jit(lambda: jax.lax.scan(play, start, jax.random.split(k3, rounds))[1])())


print("| GAN of two perceptrons: norm of the discriminator after | 1 | 100 | 300 | 1,000 |")
norms = {}
for title, loss, penalty in (
  ("Wasserstein", lambda x: x, 0.0),
  ("penalised Wasserstein", lambda x: x, 1.0),
  ("non-saturating", jax.nn.softplus, 0.0),
):
  for name in ("prodigy", "dadapt_adamw", "adam"):
    optimizer = OPTIMIZERS.get(name, optax.adam(1e-3, b1=0.5))
    n = norms[title, name] = trained(optimizer, loss, penalty)
    print(f"| {title}, {name} |", " | ".join(f"{n[t - 1]:.3g}" for t in (1, 100, 300, 1000)), "|")
assert not norms["Wasserstein", "prodigy"][-1] < 1e4, "changed: Prodigy, Wasserstein"
assert not norms["penalised Wasserstein", "dadapt_adamw"][-1] < 1e4, "changed: D-Adaptation, penalised"
held = ("Wasserstein", "adam"), ("penalised Wasserstein", "prodigy"), ("non-saturating", "prodigy")
assert max(norms[case].max() for case in held) < 100, "changed: where it is held"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
