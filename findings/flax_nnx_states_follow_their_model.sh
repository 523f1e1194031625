#!/usr/bin/env bash
# What flax.nnx.state and nnx.split take of a model follows the model: extragradient by it is plain descent.
#
# One would guess: `saved = nnx.state(model)` is the model's state at that time, a pytree of arrays, and
# `nnx.update(model, saved)` later brings it back; and `nnx.merge(*nnx.split(model))` is a second model.
# What is so (flax 0.12.8): the leaves of a State are the model's own Variables. The
# next `Optimizer.update` writes into them, so that the state is then the new one, and to update the
# model by it changes nothing. The merged model has the same weights for ever. Neither docstring says so.
# nnx.clone, and jax.tree.map over the State, even by lambda x: x, make Variables of their own.
# Why it matters: methods for games save a point, step away and come back. Extragradient
# (Korpelevich 1976; Gidel et al. 2019, arXiv:1802.10551) becomes two plain steps a round and spirals
# out of the saddle that it should find. An unrolled GAN (Metz et al. 2017, arXiv:1611.02163) keeps the
# discriminator of its k steps ahead, a lookahead goes back to nowhere, and "the best generator so far" is
# the last. All of it runs, and trains, if worse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  flax==0.12.8 optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

print("flax", flax.__version__, "optax", optax.__version__, "jax", jax.__version__)


class Player(nnx.Module):
  def __init__(self):
    self.weight = nnx.Param(jnp.ones(()))


def weight(player):
  return float(player.weight[...])


players = Player(), Player()
optimizer = nnx.Optimizer(players[0], optax.sgd(1.0), wrt=nnx.Param)
saved = nnx.state(players[0])
merged, cloned = nnx.merge(*nnx.split(players[0])), nnx.clone(players[0])
optimizer.update(players[0], nnx.grad(lambda p: 3 * p.weight[...])(players[0]))
stored = float(jax.tree.leaves(saved)[0])
print("a weight of 1 after a step of -3:", weight(players[0]))
print("its state from before the step:", stored, "merged:", weight(merged), "cloned:", weight(cloned))
nnx.update(players[0], saved)
print("and after it was updated by that state:", weight(players[0]))
assert stored == weight(merged) == weight(players[0]) == -2 and weight(cloned) == 1, "changed"


def extragradient(save, rounds, step):
  """Distance from the equilibrium of min_x max_y xy, from (1, 1)."""
  x, y = Player(), Player()
  for_x = nnx.Optimizer(x, optax.sgd(step), wrt=nnx.Param)
  for_y = nnx.Optimizer(y, optax.sgd(step), wrt=nnx.Param)

  @nnx.jit
  def gradients(x, y):
    of_x = nnx.grad(lambda x: x.weight[...] * y.weight[...])(x)
    of_y = nnx.grad(lambda y: -x.weight[...] * y.weight[...])(y)
    return of_x, of_y

  for _ in range(rounds):
    start = save(x), save(y)
    of_x, of_y = gradients(x, y)
    for_x.update(x, of_x)
    for_y.update(y, of_y)
    of_x, of_y = gradients(x, y)
    nnx.update(x, start[0])
    nnx.update(y, start[1])
    for_x.update(x, of_x)
    for_y.update(y, of_y)
  return float(np.hypot(weight(x), weight(y)))


ROUNDS, STEP = 50, 0.2
settles = 2**0.5 * ((1 - STEP**2) ** 2 + STEP**2) ** (ROUNDS / 2)
spirals = 2**0.5 * (1 + STEP**2) ** ROUNDS
print(f"{ROUNDS} rounds of steps of {STEP}, distance by the formulas of")
print(f"  extragradient {settles:.4f}, of twice as many plain steps {spirals:.4f}")
print("measured, the point being saved by")
for name, save, expected in (
  ("nnx.state", nnx.state, spirals),
  ("nnx.split", lambda player: nnx.split(player)[1], spirals),
  ("nnx.clone", lambda player: nnx.state(nnx.clone(player)), settles),
  ("jax.tree.map", lambda player: jax.tree.map(lambda x: x, nnx.state(player)), settles),
):
  distance = extragradient(save, ROUNDS, STEP)
  print(f"  {name + ':':<14} {distance:.4f}")
  assert abs(distance / expected - 1) < 1e-3, f"changed: {name}"
print("as described")
PY
PYTHONWARNINGS=ignore JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
