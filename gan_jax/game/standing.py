"""Standing statistics: batch norm in evaluation by means over many batches of samples.

Brock et al. 2019 (arXiv:1809.11096), appendix B: running statistics lag behind the network, and an
average's are of no network; these depend on neither the course of training nor the batch.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.game.core import Carried, Game, PyTree, State
from gan_jax.game.play import networks
from gan_jax.game.random import as_key, fixed


@fixed
def standing_statistics(
  game: Game,
  state: State,
  key: jax.Array,
  *,
  batches: int,
  batch_size: int,
  labels: jax.Array | None = None,
  ema: bool = True,
  sampler: str | None = None,
) -> State:
  """Computes the state whose running statistics are means over batches of fresh latents.

  Args:
    game: the game.
    state: state of the game.
    key: typed PRNG key of the latents.
    batches: number of batches >= 1.
    batch_size: examples of each.
    labels: labels of all examples, [batches * batch_size, ...], of a conditional game.
    ema: whether the statistics are those of averaged networks.
    sampler: name of one of the game's samplers; by default the first.

  Raises:
    ValueError: for a sampler that does not start from latents.
  """
  how = game.sampler(sampler)
  add, inputs = how.accumulate, how.inputs
  if add is None or inputs is None:
    raise ValueError(
      "standing statistics are of a generator of latents, and this sampler is none: leave them out"
    )
  split = lambda x: jnp.reshape(x, (batches, batch_size, *x.shape[1:]))
  labels = None if labels is None else split(jnp.asarray(labels))
  accumulate = _accumulator(add, inputs, batches, batch_size)
  new = accumulate(*networks(state, ema), as_key(key), labels)
  averaged = state.ema if ema else {}
  unaveraged = {net: state.carried[net] for net in averaged}
  averages = {net: average.replace(carried=new[net]) for net, average in averaged.items()}
  return state.replace(carried={**new, **unaveraged}, ema={**state.ema, **averages})


@functools.lru_cache(maxsize=4)  # so that the next checkpoint compiles nothing
def _accumulator(
  add: Callable[..., Carried], inputs: Callable[..., PyTree], batches: int, batch_size: int
) -> Callable[..., Carried]:
  @jax.jit
  def accumulate(params: PyTree, carried: Carried, key: jax.Array, labels: PyTree) -> Carried:
    def step(carried: Carried, given: PyTree) -> tuple[Carried, None]:
      index, y = given
      own = jax.random.fold_in(key, index)
      # The mean of n batches: n - 1 parts in n of it are the mean of those before.
      momentum = index / (index + 1)
      return add(params, carried, inputs(own, batch_size), y, own, momentum), None

    return jax.lax.scan(step, carried, (jnp.arange(batches), labels))[0]

  return accumulate
