#!/usr/bin/env bash
# Evaluating a layer under flax.nnx.SpectralNorm divides its weights by their norm, for good.
#
# One would guess: spectral normalisation is a reparametrisation (Miyato et al. 2018, arXiv:1802.05957):
# the layer computes with W / sigma(W), W is what is trained and stored; and with update_stats=False a
# call changes nothing at all.
# What is so: nnx.SpectralNorm of flax (0.12.8, 0.12.12) writes W / sigma into the layer before it applies
# it, in every call, whatever update_stats says (google/flax issue 5576 reports it of training).
# A discriminator that was scored once has other weights than before. In a step the gradient is taken at
# W, where it is 1 / sigma of that at W / sigma, and added to W / sigma: a kernel of norm 20 moves 20
# times as far as by the paper, and 400 times as far if it was evaluated before the step.
# Why it matters: whether and when one evaluates changes what is trained, a checkpoint from after an
# evaluation is another than from before, and the damping of steps by the growth of W is gone. With
# flax.linen.SpectralNorm, which leaves W alone once it is initialised, rates cannot be compared.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check flax==0.12.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

print("flax", flax.__version__, "jax", jax.__version__)
RATE = 0.01
weight = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
weight *= 20 / np.linalg.norm(weight, ord=2)
x, target = jax.random.normal(jax.random.key(0), (2, 16, 8))


def sigma(w):
  return float(np.linalg.norm(np.asarray(w), ord=2))


def loss(y):
  return jnp.mean((y - target) ** 2)


def made():
  """A layer of that weight, normalised with enough steps of the power method to be exact."""
  layer = nnx.Linear(8, 8, use_bias=False, rngs=nnx.Rngs(0))
  layer.kernel[...] = jnp.asarray(weight)
  return nnx.SpectralNorm(layer, n_steps=200, rngs=nnx.Rngs(1))


def stepped(net):
  """The normalised weight after one step of gradient descent."""
  grads = nnx.grad(lambda net: loss(net(x, update_stats=True)))(net)
  kernel = net.layer_instance.kernel
  new = kernel[...] - RATE * grads["layer_instance"]["kernel"][...]
  return new / sigma(new)


net = made()
before = sigma(net.layer_instance.kernel[...])
y = net(x, update_stats=False)
after = sigma(net.layer_instance.kernel[...])
print(f"norm of the stored kernel: {before:.2f}, after an evaluation {after:.2f}")
assert np.allclose(y, x @ weight / 20, atol=1e-4), "changed: what the layer computes"

start = weight / sigma(weight)
paper = weight - RATE * jax.grad(lambda w: loss(x @ w / jnp.linalg.norm(w, ord=2)))(weight)
moves = {
  "by the paper": paper / sigma(paper),
  "nnx": stepped(made()),
  "nnx, evaluated before": stepped(net),
}
moves = {name: float(jnp.linalg.norm(new - start)) for name, new in moves.items()}
for name, move in moves.items():
  print(f"one step moves the normalised kernel by {move:.2e} = {move / moves['by the paper']:5.1f} x, {name}")
assert abs(before - 20) < 1e-3 and abs(after - 1) < 1e-3, "changed: an evaluation leaves the kernel alone"
assert 18 < moves["nnx"] / moves["by the paper"] < 22, "changed: the step"
evaluated = moves["nnx, evaluated before"] / moves["by the paper"]
assert 350 < evaluated < 450, "changed: the step after an evaluation"
print("as described")
PY
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/play.py"
