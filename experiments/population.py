"""Plays several runs of one game at once: seeds share a compilation by `vmap`."""

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.source import Source
from gan_jax.game import Game, State, init, minibatches, play_round, sample


def samples_of(
  game: Game, source: Source, *, rounds: int, seeds: int, batch_size: int, samples: int
) -> np.ndarray:
  """Trains runs that differ in networks, data and noise, and samples from each.

  Args:
    game: the game.
    source: endless data without labels.
    rounds: of each run.
    seeds: how many runs, of the seeds 0, 1, ...
    batch_size: of a minibatch.
    samples: of each run, in the end.

  Returns:
    [seeds, samples, ...], from averaged parameters where the game keeps them.
  """
  n, draw = minibatches(game), source.draw
  assert draw is not None, f"{source.name} is a table; these runs draw from endless sources"

  def one(state: State, seed: jax.Array) -> State:
    first = state.round.astype(jnp.uint32) * n * batch_size
    positions = first + jnp.arange(n * batch_size, dtype=jnp.uint32)
    x = draw(dict(source.arrays), positions, seed)["x"]
    return play_round(game, state, {"x": x.reshape(n, batch_size, *source.shape)})[0]

  def run(seed: jax.Array) -> jax.Array:
    spec = {"x": jax.ShapeDtypeStruct((n, batch_size, *source.shape), jnp.float32)}
    state = init(game, jax.random.key(seed), spec)
    state, _ = jax.lax.scan(lambda s, _: (one(s, seed), None), state, length=rounds)
    return sample(game, state, jax.random.key(seed), samples)

  return np.asarray(jax.jit(jax.vmap(run))(jnp.arange(seeds, dtype=jnp.uint32)))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
  """Computes the mean over runs [n], n > 1, and its standard error."""
  return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def lost(before: np.ndarray, after: np.ndarray) -> tuple[float, float, bool]:
  """Compares a score of two sets of runs, each [n] with n > 1 of its own.

  Returns:
    (how much lower it is after, the standard error of that, whether it is lower by more than two).
  """
  (a, a_error), (b, b_error) = mean_and_error(before), mean_and_error(after)
  error = float(np.hypot(a_error, b_error))
  return a - b, error, a - b > 2 * error
