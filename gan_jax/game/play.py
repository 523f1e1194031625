"""A game is played: the state before the first round, one round, and examples of its generator."""

import jax
import jax.numpy as jnp
import optax

from gan_jax.checks import is_integer, shown
from gan_jax.game.core import (
  Batch,
  Carried,
  Decay,
  Ema,
  Game,
  Metrics,
  Params,
  PyTree,
  State,
  StepContext,
  Turn,
  images_a_round,
  owned_by,
  pick,
  update,
  uses_data,
)
from gan_jax.game.memory import join_devices, mean
from gan_jax.game.random import AxisName, as_key, dtype_in_32_bits, fixed, in_32_bits
from gan_jax.game.validation import check_batch, check_complete, check_game, check_key, check_state


@fixed
def init(game: Game, key: jax.Array, batch: Batch) -> State:
  """Builds the state before the first round.

  Args:
    game: the game.
    key: typed PRNG key.
    batch: batch as for `play_round`, or `jax.ShapeDtypeStruct` leaves: values are not read.

  Returns:
    The initial state.

  Raises:
    ValueError: if one of them is of another type or shape.
  """
  check_game(game)
  check_key(key)
  check_batch(game, batch)
  spec = lambda x: jax.ShapeDtypeStruct(x.shape[1:], dtype_in_32_bits(x))
  minibatch = jax.tree.map(spec, dict(batch))

  def make(key: jax.Array) -> State:
    # Two keys: what a run draws later has no part in where its networks start.
    params, carried = game.init(jax.random.fold_in(key, 0), minibatch)
    for player in game.players.values():
      carried = {**carried, **player.objective.memory}
    # A weak type would turn strong in the first round and have the step traced again.
    params, carried = jax.tree.map(in_32_bits, (params, carried))
    return State(
      round=jnp.zeros((), jnp.int32),
      # Unsigned: a signed count would turn negative at two thousand million images.
      images=jnp.zeros((), jnp.uint32),
      key=jax.random.fold_in(key, 1),
      params=params,
      carried=carried,
      opt={name: p.optimizer.init(pick(params, p.owns)) for name, p in game.players.items()},
      ema={net: _first_ema(params, carried, net, game.averages[net]) for net in game.averages},
    )

  # One program: initialising layer by layer compiles each of them.
  return jax.jit(make)(as_key(key))


@fixed
def play_round(
  game: Game, state: State, batch: Batch, *, axis_name: AxisName = None
) -> tuple[State, Metrics]:
  """Plays one round: every turn once, in order. Pure.

  Goodfellow et al. 2014 (arXiv:1406.2661), Algorithm 1, is one such round: k turns of the
  discriminator, each on a fresh minibatch and fresh noise, then one of the generator.

  Args:
    game: the game.
    state: the state before the round.
    batch: real data, leaves [minibatches(game), B, ...].
    axis_name: name of the mapped axis, or axes, when called under `pmap` or `shard_map`, where B is
      this device's share; None under `jit`, on sharded arrays too.

  Returns:
    The state after the round and the metrics of each player's last move.

  Raises:
    ValueError: if `batch` does not hold as many minibatches as the round consumes, or `state` is of
      another game.
  """
  check_state(state)
  check_complete(game, state)
  check_batch(game, batch)
  batch = jax.tree.map(in_32_bits, dict(batch))
  # Derived from the round, never split off: a resumed run draws the same numbers.
  key = jax.random.fold_in(state.key, state.round)
  metrics: Metrics = {}
  first = 0  # the first minibatch that no turn has consumed
  for index, turn in enumerate(game.turns):
    # Real data that no other turn of this round has seen, as in Algorithm 1.
    share = slice(first, first + turn.repeat) if uses_data(game, turn) else slice(1)
    first = share.stop if uses_data(game, turn) else first
    turn_batch = jax.tree.map(lambda x, share=share: x[share], batch)
    # By place, not by player: who has two turns in a round draws anew in the second.
    turn_key = jax.random.fold_in(key, index)
    state, new_metrics = _play_turn(game, state, turn, turn_batch, turn_key, axis_name)
    metrics |= new_metrics
  images = state.images + jnp.uint32(images_a_round(game, _global_size(batch, axis_name, axis=1)))
  return state.replace(round=state.round + 1, images=images), metrics


@fixed
def sample(
  game: Game,
  state: State,
  key: jax.Array,
  n: int,
  labels: jax.Array | None = None,
  *,
  ema: bool = True,
  sampler: str | None = None,
  inputs: PyTree = None,
) -> jax.Array:
  """Samples n examples in the data's own range, from averaged networks where there are any.

  Args:
    game: the game.
    state: state of the game.
    key: typed PRNG key.
    n: number of examples.
    labels: classes, int32 [n], or vectors, float32 [n, d], of a conditional game.
    ema: whether to use averaged networks.
    sampler: name of one of the game's samplers; by default the first.
    inputs: leaves [n, ...] to start from; by default the sampler draws them, if it can.

  Returns:
    [n, ...] examples.

  Raises:
    ValueError: if the key, the number, the labels or the inputs are of another type or shape.
  """
  check_state(state)
  check_key(key)
  if not is_integer(n) or n < 1:
    raise ValueError(f"n is {shown(n)}: expected how many examples to draw, an int >= 1")
  if labels is not None:
    of_vectors = jnp.issubdtype(jnp.result_type(labels), jnp.floating)
    if jnp.shape(labels)[:1] != (n,) or jnp.ndim(labels) != (2 if of_vectors else 1):
      raise ValueError(
        f"labels are {shown(labels)}: expected int32 [{n}], one for each example, or vectors,"
        f" float32 [{n}, d]"
      )
  how = game.sampler(sampler)
  if inputs is None and how.inputs is None:
    raise ValueError(f"this sampler starts from {how.source!r}: give inputs=..., [{n}, ...]")
  inputs = how.inputs(key, n) if inputs is None and how.inputs is not None else inputs
  if any(jnp.shape(leaf)[:1] != (n,) for leaf in jax.tree.leaves(inputs)):
    raise ValueError(f"inputs are {shown(inputs)}: expected leaves [{n}, ...], one an example")
  return how.draw(*networks(state, ema), inputs, labels, key, jnp.arange(n))


def networks(state: State, ema: bool = True) -> tuple[Params, Carried]:
  """Returns (params, carried) to sample with: averages of the networks that have one, if `ema`."""
  averages = state.ema if ema else {}
  params = {net: average.params for net, average in averages.items()}
  carried = {net: average.carried for net, average in averages.items()}
  return {**state.params, **params}, {**state.carried, **carried}


def _play_turn(
  game: Game, state: State, turn: Turn, batch: Batch, key: jax.Array, axis_name: AxisName
) -> tuple[State, Metrics]:
  """Plays the repeats of a turn, each on a fresh draw; returns the metrics of the last."""

  def once(state: State, r: int | jax.Array) -> tuple[State, Metrics]:
    # A turn without data has one minibatch for all its repeats, of which it reads the shape.
    minibatch = jax.tree.map(lambda x: x[r if uses_data(game, turn) else 0], batch)
    return _move(game, state, turn, minibatch, jax.random.fold_in(key, r), axis_name)

  if turn.repeat == 1:
    return once(state, 0)
  # A loop: the program, and the time to compile it, do not grow with k.
  state, history = jax.lax.scan(once, state, jnp.arange(turn.repeat))
  return state, jax.tree.map(lambda x: x[-1], history)


def _move(
  game: Game, state: State, turn: Turn, batch: Batch, key: jax.Array, axis_name: AxisName
) -> tuple[State, Metrics]:
  """Moves the players of a turn at once: same parameters, same draw, one forward for all."""
  grads, (new_carried, metrics) = turn.rule(
    game, turn, state, batch, StepContext(key, state.clock, axis_name)
  )
  # Each device has the mean over its own examples, and all as many: the mean of means is exact.
  grads, new_carried = mean(grads, axis_name), join_devices(game, new_carried, axis_name)
  # The norm of the mean, which the optimizer sees, and not a mean of the devices' norms.
  metrics |= {f"{name}/gradient_norm": optax.tree.norm(grads[name]) for name in grads}
  # Statistics are of the forward, before the update, as frameworks of deep learning have it.
  state = update(game, state, grads).replace(carried={**state.carried, **new_carried})
  owned = owned_by({name: game.players[name] for name in turn.players})
  return _average(game, state, owned, batch, axis_name), mean(metrics, axis_name)


def _average(
  game: Game, state: State, moved: tuple[str, ...], batch: Batch, axis_name: AxisName
) -> State:
  """Updates the moving averages of the networks that have moved."""
  size = _global_size(batch, axis_name)
  ema = dict(state.ema)
  for net in moved:
    if net in game.averages:
      decay = game.averages[net].rate(state.clock, size)
      now = state.params[net], state.carried.get(net, {})
      ema[net] = _updated_ema(ema[net], decay, *now)
  return state.replace(ema=ema)


def _first_ema(params: Params, carried: Carried, net: str, decay: Decay) -> Ema:
  """Builds the average of a network that has not moved yet: a copy, of weight 0 if corrected."""
  # Copies, since two names for one buffer could not be donated.
  own, statistics = jax.tree.map(jnp.copy, (params[net], carried.get(net, {})))
  return Ema(own, statistics, weight=jnp.full((), not decay.corrected, jnp.float32))


def _updated_ema(ema: Ema, decay: jax.Array, params: PyTree, carried: PyTree) -> Ema:
  """Adds a state to an average; the average of a constant is that constant, bit for bit."""
  # Adam's bias correction (arXiv:1412.6980) as a running mean: with w_n = β w_{n-1} + (1 - β) from
  # w_0 = 0, the mean of n states moves by (1 - β) / w_n of the difference to the newest, and from
  # w_0 = 1, where w_n = 1, by the usual 1 - β.
  weight = decay * ema.weight + (1 - decay)
  share = (1 - decay) / weight  # 1 for the first state, if corrected

  def add(mean: jax.Array, x: jax.Array) -> jax.Array:
    # Counts are not averaged: a mean of them would be no count.
    if not jnp.issubdtype(x.dtype, jnp.floating):
      return x
    # mean + 1 (x - mean) would round, and not be x.
    return jnp.where(share < 1, mean + share * (x - mean), x).astype(x.dtype)

  new_params = jax.tree.map(add, ema.params, params)
  return Ema(new_params, jax.tree.map(add, ema.carried, carried), weight)


def _global_size(batch: Batch, axis_name: AxisName, axis: int = 0) -> int:
  """Counts the examples of a minibatch, along `axis` of its leaves, over all devices."""
  leaves = jax.tree.leaves(dict(batch))
  # The sum of a constant is a number while tracing, and so may be computed with in Python.
  devices = 1 if axis_name is None else jax.lax.psum(1, axis_name)
  return devices * leaves[0].shape[axis] if leaves else 1
