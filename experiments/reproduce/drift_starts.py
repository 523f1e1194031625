"""Starts of drifting on a ring of eight Gaussians: where the published fields move samples.

Paper:    arXiv:2602.04770; its notebook's field at its temperature, and that of its ImageNet code.
          W-Flow, arXiv:2605.11755: its field, and the flow of its divergence
Command:  python -m experiments.reproduce.drift_starts [beginning of a row's name ...]
Hardware: 2 cores, beside other work; jax 0.10.2
Time:     not yet measured without other work
Score:    the table of docs/losses.md, "Drifting": a start on one mode or at (4, 0) stays there with
          the notebook's field, and comes to a point with the other; it is left at temperatures that
          start at the distances, and by both fields of W-Flow
"""

import functools
import sys

import jax
import jax.numpy as jnp
import optax

from gan_jax import data
from gan_jax.game.kinds.drift import drift
from gan_jax.game.latents import normal
from gan_jax.game.play import init, play_round
from gan_jax.losses.one_step.drifting import drift_field, mean_shift_field, toy_field
from gan_jax.losses.one_step.sinkhorn import sinkhorn_field
from gan_jax.nets import MLPGenerator

ROUNDS, LAST, BATCH_SIZE = 400, 50, 128
TOY = functools.partial(toy_field, temperature=0.05)
IMAGENET = functools.partial(drift_field, temperatures=(0.2, 0.05, 0.02))
FLOW = functools.partial(sinkhorn_field, normalise=False)


def annealed(make, start):
  """Builds a field whose temperature falls from a start to 0.03, by half of the rounds."""

  def field(generated, data, *, clock):
    share = jnp.minimum(2 * clock.round / ROUNDS, 1.0)
    return make(generated, data, start * (0.03 / start) ** share)

  return field


TOY_ANNEALED = annealed(lambda g, d, t: toy_field(g, d, temperature=t), 0.5)
GAUSSIAN_ANNEALED = annealed(
  lambda g, d, t: mean_shift_field(g, d, temperatures=(t,), gaussian=True), 1.0
)
# Field, where samples start, and what the last layer's weights are multiplied by.
STARTS = {
  "toy, as initialised": (TOY, (0.0, 0.0), 1.0),
  "toy, on one mode": (TOY, (1.0, 0.0), 1e-3),
  "toy, at (4, 0)": (TOY, (4.0, 0.0), 1e-3),
  "imagenet, on one mode": (IMAGENET, (1.0, 0.0), 1e-3),
  "imagenet, last layer times 30": (IMAGENET, (0.0, 0.0), 30.0),
  "sinkhorn, as initialised": (sinkhorn_field, (0.0, 0.0), 1.0),
  "sinkhorn, on one mode": (sinkhorn_field, (1.0, 0.0), 1e-3),
  "sinkhorn, at (4, 0)": (sinkhorn_field, (4.0, 0.0), 1e-3),
  "sinkhorn_flow, as initialised": (FLOW, (0.0, 0.0), 1.0),
  "sinkhorn_flow, on one mode": (FLOW, (1.0, 0.0), 1e-3),
  "sinkhorn_flow, at (4, 0)": (FLOW, (4.0, 0.0), 1e-3),
  "toy annealed, on one mode": (TOY_ANNEALED, (1.0, 0.0), 1e-3),
  "toy annealed, at (4, 0)": (TOY_ANNEALED, (4.0, 0.0), 1e-3),
  "gaussian annealed, on one mode": (GAUSSIAN_ANNEALED, (1.0, 0.0), 1e-3),
  "gaussian annealed, at (4, 0)": (GAUSSIAN_ANNEALED, (4.0, 0.0), 1e-3),
}


def play(field, at, factor):
  """Plays a game from a start; returns the mean of each metric over the last rounds."""
  game = drift(
    MLPGenerator(shape=(2,), hidden=(128, 128, 128)),
    optimizer=optax.adam(1e-3),
    latent=normal(32),
    field=field,
    second_batch=field is sinkhorn_field,
  )
  batches = data.Batches(data.load("ring8"), batch_size=BATCH_SIZE, seed=0).iterate()
  stacked = jax.tree.map(lambda *x: jnp.stack(x)[:, None], *(next(batches) for _ in range(ROUNDS)))
  state = init(game, jax.random.key(0), jax.tree.map(lambda x: x[0], stacked))
  params = state.params["generator"]
  last = sorted(params)[-1]
  moved = {"kernel": factor * params[last]["kernel"], "bias": jnp.asarray(at)}
  state = state.replace(params={"generator": {**params, last: moved}})
  step = lambda state, batch: play_round(game, state, batch)
  _, metrics = jax.jit(lambda state: jax.lax.scan(step, state, stacked))(state)
  return {name: float(jnp.mean(x[-LAST:])) for name, x in metrics.items()}


def main():
  shown = ("generator/force", "monitor/mismatch", "monitor/pull", "monitor/diversity")
  for name, start in STARTS.items():
    if not name.startswith(tuple(sys.argv[1:]) or ""):
      continue
    means = play(*start)
    print(name, *(f"{each.rpartition('/')[2]} {means[each]:.4g}" for each in shown))


if __name__ == "__main__":
  main()
