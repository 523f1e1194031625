"""A game is data: who plays, what each player owns, what each minimises, whose turn it is.

This is the file to read first. A `Game` is an immutable description, as an
`optax.GradientTransformation` is a pair of pure functions. Nothing in it has state: all state is
arrays in one pytree, `State`. `play_round` is the only step there is. GAN, WGAN-GP, R3GAN,
conditional GAN and simultaneous descent differ in the `Game`, never in the step, and since the step
is pure it runs unchanged under `jit` (with or without shardings), `pmap`, `shard_map` and `vmap`.

    state = init(game, jax.random.key(0), batch)
    step = jax.jit(functools.partial(play_round, game), donate_argnums=0)
    for batch in batches:
      state, metrics = step(state, batch)
    images = sample(game, state, jax.random.key(1), 64)
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from gan_jax.checks import is_integer, shown
from gan_jax.game.random import (
  WHOLE_BATCH,
  AxisName,
  Microbatch,
  as_key,
  check_key,
  example_keys,
  fixed,
  in_32_bits,
)

PyTree = Any
Params = dict[str, PyTree]  # by network
Carried = dict[str, PyTree]  # by network: batch statistics; by "player.term": its memory
Batch = Mapping[str, Any]  # {"x": [B, ...], "y": [B]}; in `play_round` with a leading [n]
Metrics = dict[str, jax.Array]  # scalars


class StepContext(NamedTuple):
  """When a move happens, and where its randomness comes from.

  Attributes:
    key: typed PRNG key of this move alone.
    round: int32 scalar, the number of complete rounds before this one.
    axis_name: mapped axis, or axes, that split the batch (under pmap or shard_map), or None.
    microbatch: examples of the batch that this forward sees, where it does not see all of them.
  """

  key: jax.Array
  round: jax.Array
  axis_name: AxisName
  microbatch: Microbatch = WHOLE_BATCH

  def example_keys(self, key: jax.Array, n: int) -> jax.Array:
    """Derives one key for each of the n examples of this forward; see `random.example_keys`."""
    return example_keys(key, n, self.axis_name, self.microbatch)


JoinRule = Callable[[PyTree], PyTree]  # leaves [microbatches, ...] -> leaves [...]


def join_alike(stacked: PyTree) -> PyTree:
  """Joins memory computed from the global batch, which is the same on all devices."""
  return jax.tree.map(lambda x: x[0], stacked)


def join_mean(stacked: PyTree) -> PyTree:
  """Joins memory by its mean; counts and other integers are the same on all devices."""
  mean = lambda x: jnp.mean(x, axis=0) if jnp.issubdtype(x.dtype, jnp.floating) else x[0]
  return jax.tree.map(mean, stacked)


class Objective(NamedTuple):
  """The loss of a player: a forward of the networks, and its value.

  Players that move at once and have the same `forward` share one evaluation of it.

  Attributes:
    forward: (params, carried, batch, context) -> (outputs, new statistics of networks and memory,
      by name). New statistics of networks, and memory of players, that do not
      move are dropped.
    value: (outputs, own params, carried, context) -> (loss, (memory, metrics)).
    memory: initial memory of terms and of the forward, by name; part of `State.carried`.
    join: rule by which a memory of several devices or microbatches becomes one, by name. Without
      one a game of several devices or microbatches is refused.
    uses_real: whether the value depends on real data, not on the shape of the batch alone.
  """

  forward: Callable[[Params, Carried, Batch, StepContext], tuple[Any, Carried]]
  value: Callable[[Any, Params, Carried, StepContext], tuple[jax.Array, tuple[Carried, Metrics]]]
  memory: Mapping[str, PyTree] = {}
  join: Mapping[str, "JoinRule"] = {}
  uses_real: bool = True


class Player(NamedTuple):
  """One player.

  Attributes:
    owns: networks this player moves; gradients exist for these alone.
    objective: loss of this player.
    optimizer: any optax transformation; its state is kept by player. One with extra arguments is
      given `round`, the number of complete rounds.
    uses_data: whether its move consumes a minibatch of real data: its objective `uses_real`, or it
      sees labels or statistics of real examples. Other moves are given one for its shape alone.
  """

  owns: tuple[str, ...]
  objective: Objective
  optimizer: optax.GradientTransformation
  uses_data: bool = True


Gradients = tuple[dict[str, Params], tuple[Carried, Metrics]]  # as `gradients` returns them
# The gradients are of this device's examples; the move averages them over devices.
Rule = Callable[["Game", "Turn", "State", Batch, StepContext], Gradients]


def gradient_descent(
  game: "Game", turn: "Turn", state: "State", batch: Batch, context: StepContext
) -> Gradients:
  """Computes the gradients at the current parameters: the rule of gradient descent."""
  players = {name: game.players[name] for name in turn.players}
  return gradients(players, state.params, state.carried, batch, context)


class Turn(NamedTuple):
  """Whose turn it is.

  Attributes:
    players: one name to move alone; several to move at once, from the same parameters and draw.
    repeat: how often in a row, each time on a fresh draw (k of Algorithm 1).
    rule: rule that computes the gradients for the optimizers; see `gan_jax.game.rules`.
    opponents: players who do not move, but whose objectives the rule evaluates.
  """

  players: tuple[str, ...]
  repeat: int = 1
  rule: Rule = gradient_descent
  opponents: tuple[str, ...] = ()


class Decay(NamedTuple):
  """The decay of the moving average of a network.

  Attributes:
    rate: (images seen before this round, images of the global batch) -> decay of a move, in [0, 1].
    corrected: whether the average is bias-corrected, its weights divided by their sum; otherwise it
      starts from the network at random, which it forgets at the same rate.
  """

  rate: Callable[[jax.Array, int], jax.Array]
  corrected: bool = True


class Game(NamedTuple):
  """An immutable description of a game.

  Attributes:
    init: (key, minibatch) -> (params, carried); reads the minibatch's shapes only.
    prior: (key, n) -> inputs of the generator, e.g. latents [n, d].
    generate: (params, carried, z, labels or None) -> examples in the data's own range.
    players: by name.
    turns: turns of one round, in order.
    averages: decay of the moving average, for each network that has one.
  """

  init: Callable[[jax.Array, Batch], tuple[Params, Carried]]
  prior: Callable[[jax.Array, int], jax.Array]
  generate: Callable[[Params, Carried, jax.Array, jax.Array | None], jax.Array]
  players: Mapping[str, Player]
  turns: tuple[Turn, ...]
  averages: Mapping[str, Decay] = {}


class Ema(struct.PyTreeNode):
  """The moving average of a network, from which examples are sampled.

  Statistics are averaged with the parameters: those of one state would not fit the mean of many.

  Attributes:
    params: averaged parameters.
    carried: averaged statistics, of batch norm for instance.
    weight: float32 scalar, the sum of the weights of the states averaged.
  """

  params: PyTree
  carried: PyTree
  weight: jax.Array


class State(struct.PyTreeNode):
  """Everything that changes, as arrays only.

  Attributes:
    round: int32 scalar, rounds played.
    images: uint32 scalar, examples in the batches of these rounds, whatever the size of each.
    key: typed PRNG key; it never changes, every draw folds round, turn and purpose into it.
    params: parameters, by network.
    carried: statistics by network, and memory of terms by "player.term".
    opt: optimizer states, by player.
    ema: moving averages, by network.
  """

  round: jax.Array
  images: jax.Array
  key: jax.Array
  params: Params
  carried: Carried
  opt: dict[str, PyTree]
  ema: dict[str, Ema]


def minibatches(game: Game) -> int:
  """Counts the minibatches of real data that one round consumes."""
  return sum(turn.repeat for turn in game.turns if _uses_data(game, turn))


def images_a_round(game: Game, batch_size: int) -> int:
  """Counts the examples in the batches of one round, by which `State.images` grows."""
  return max(1, minibatches(game)) * batch_size


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
  _check_batch(game, batch)
  minibatch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), dict(batch))

  def make(key: jax.Array) -> State:
    # Two keys: what a run draws later has no part in where its networks start.
    params, carried = game.init(jax.random.fold_in(key, 0), minibatch)
    for player in game.players.values():
      carried = {**carried, **player.objective.memory}
    # A weak type would turn strong in the first round and have the step traced again.
    params, carried = jax.tree.map(in_32_bits, (params, carried))
    return State(
      round=jnp.zeros((), jnp.int32),
      images=jnp.zeros((), jnp.uint32),
      key=jax.random.fold_in(key, 1),
      params=params,
      carried=carried,
      opt={name: p.optimizer.init(_pick(params, p.owns)) for name, p in game.players.items()},
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
  _check_state(state)
  _check_complete(game, state)
  _check_batch(game, batch)
  batch = jax.tree.map(in_32_bits, dict(batch))
  needed = max(1, minibatches(game))  # one at least: moves without data read its shape
  # Derived from the round, never split off: a resumed run draws the same numbers.
  key = jax.random.fold_in(state.key, state.round)
  metrics: Metrics = {}
  first = 0  # the first minibatch that no turn has consumed
  for index, turn in enumerate(game.turns):
    # Real data that no other turn of this round has seen, as in Algorithm 1.
    share = slice(first, first + turn.repeat) if _uses_data(game, turn) else slice(1)
    first = share.stop if _uses_data(game, turn) else first
    turn_batch = jax.tree.map(lambda x, share=share: x[share], batch)
    # By place, not by player: who has two turns in a round draws anew in the second.
    turn_key = jax.random.fold_in(key, index)
    state, new_metrics = _play_turn(game, state, turn, turn_batch, turn_key, axis_name)
    metrics |= new_metrics
  images = state.images + jnp.uint32(needed * _global_size(batch, axis_name, axis=1))
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
) -> jax.Array:
  """Samples n examples in the data's own range, from averaged networks where there are any.

  Args:
    game: the game.
    state: state of the game.
    key: typed PRNG key.
    n: number of examples.
    labels: int32 [n], for a conditional game.
    ema: whether to use averaged networks.

  Returns:
    [n, ...] examples.

  Raises:
    ValueError: if the key, the number or the labels are of another type or shape.
  """
  _check_state(state)
  check_key(key)
  if not is_integer(n) or n < 1:
    raise ValueError(f"n is {shown(n)}: expected how many examples to draw, an int >= 1")
  if labels is not None and jnp.shape(labels) != (n,):
    raise ValueError(f"labels are {shown(labels)}: expected int32 [{n}], one for each example")
  return game.generate(*networks(state, ema), game.prior(key, n), labels)


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
    minibatch = jax.tree.map(lambda x: x[r if _uses_data(game, turn) else 0], batch)
    return _move(game, state, turn, minibatch, jax.random.fold_in(key, r), axis_name)

  if turn.repeat == 1:
    return once(state, 0)
  # A loop: the program, and the time to compile it, do not grow with k.
  state, history = jax.lax.scan(once, state, jnp.arange(turn.repeat))
  return state, jax.tree.map(lambda x: x[-1], history)


def losses_of(
  players: Mapping[str, Player],
  params: Params,
  carried: Carried,
  batch: Batch,
  context: StepContext,
) -> tuple[dict[str, jax.Array], tuple[Carried, Metrics]]:
  """Computes each player's loss at given parameters and draw, with one forward for all.

  Args:
    players: players, by name.
    params: parameters of all networks.
    carried: `State.carried`.
    batch: one minibatch, leaves [B, ...].
    context: key and round.

  Returns:
    ({player: loss}, (new statistics and memory in `carried`, metrics)).
  """
  # Statistics of networks that do not move are dropped: only moves of their owner update them.
  movable = {*_owned(players), *(name for p in players.values() for name in p.objective.memory)}
  outputs: dict[Any, Any] = {}  # by forward
  values: dict[str, jax.Array] = {}
  new_carried: Carried = {}
  metrics: Metrics = {}
  for name, (owns, objective, *_) in players.items():
    # The same function is the same computation, and is evaluated once.
    if objective.forward not in outputs:
      outputs[objective.forward], new = objective.forward(params, carried, batch, context)
      _check_names(name, new, {*params, *carried})
      new_carried |= _pick(new, tuple(key for key in new if key in movable))
    # Of its own networks: a term on parameters, such as a decay, sees no other player's.
    values[name], (memory, new_metrics) = objective.value(
      outputs[objective.forward], _pick(params, owns), carried, context
    )
    _check_names(name, memory, set(objective.memory))
    new_carried |= memory
    metrics |= new_metrics
  return values, (new_carried, metrics)


def gradients(
  players: Mapping[str, Player],
  params: Params,
  carried: Carried,
  batch: Batch,
  context: StepContext,
) -> Gradients:
  """Computes each player's gradient at given parameters and draw; arguments as for `losses_of`.

  Each player's loss is differentiated in its own networks alone. This is what `stop_gradient` is
  used for elsewhere, and needs no mark in the losses.

  Returns:
    ({player: gradients of its own networks}, (new statistics and memory, metrics)), of this
    device's examples: `mean` over devices makes them those of the batch.
  """
  owned_params = _pick(params, _owned(players))
  loss_of = lambda owned: losses_of(players, {**params, **owned}, carried, batch, context)
  # Linearised once: players that move at once share the forward and its activations.
  _, jvp, new_carried = jax.linearize(loss_of, owned_params, has_aux=True)
  grads = {}
  for name, player in players.items():
    # Transposing one output alone leaves no trace of the other players' losses.
    vjp = jax.linear_transpose(lambda tangent, name=name: jvp(tangent)[name], owned_params)
    grads[name] = _pick(vjp(jnp.ones(()))[0], player.owns)
  return grads, new_carried


def update(game: Game, state: State, grads: Mapping[str, Params]) -> State:
  """Applies the optimizers of the players that move.

  Args:
    game: the game.
    state: state before the update.
    grads: gradients of a player's own networks, for each player that moves.

  Returns:
    The state with new parameters and optimizer states.
  """
  params, opt = dict(state.params), dict(state.opt)
  for name, gradient in grads.items():
    # Of the state, not of `params`: players that move at once all start from the same point.
    old_params = _pick(state.params, game.players[name].owns)
    # Schedules are functions of the round, which optax's own transformations are not given.
    optimizer = optax.with_extra_args_support(game.players[name].optimizer)
    updates, opt[name] = optimizer.update(gradient, state.opt[name], old_params, round=state.round)
    params |= optax.apply_updates(old_params, updates)
  return state.replace(params=params, opt=opt)


def _move(
  game: Game, state: State, turn: Turn, batch: Batch, key: jax.Array, axis_name: AxisName
) -> tuple[State, Metrics]:
  """Moves the players of a turn at once: same parameters, same draw, one forward for all."""
  grads, (new_carried, metrics) = turn.rule(
    game, turn, state, batch, StepContext(key, state.round, axis_name)
  )
  # Each device has the mean over its own examples, and all as many: the mean of means is exact.
  grads, new_carried = mean(grads, axis_name), join_devices(game, new_carried, axis_name)
  # The norm of the mean, which the optimizer sees, and not a mean of the devices' norms.
  metrics |= {f"{name}/gradient_norm": optax.tree.norm(grads[name]) for name in grads}
  # Statistics are of the forward, before the update, as frameworks of deep learning have it.
  state = update(game, state, grads).replace(carried={**state.carried, **new_carried})
  owned = _owned({name: game.players[name] for name in turn.players})
  return _average(game, state, owned, batch, axis_name), mean(metrics, axis_name)


def _first_ema(params: Params, carried: Carried, net: str, decay: Decay) -> Ema:
  """Builds the average of a network that has not moved yet: a copy, of weight 0 if corrected."""
  # Copies, since two names for one buffer could not be donated.
  own, statistics = jax.tree.map(jnp.copy, (params[net], carried.get(net, {})))
  return Ema(own, statistics, weight=jnp.full((), not decay.corrected, jnp.float32))


def _average(
  game: Game, state: State, moved: tuple[str, ...], batch: Batch, axis_name: AxisName
) -> State:
  """Updates the moving averages of the networks that have moved."""
  size = _global_size(batch, axis_name)
  ema = dict(state.ema)
  for net in moved:
    if net in game.averages:
      decay = game.averages[net].rate(state.images.astype(jnp.float32), size)
      now = state.params[net], state.carried.get(net, {})
      ema[net] = _updated(ema[net], decay, *now)
  return state.replace(ema=ema)


def _updated(ema: Ema, decay: jax.Array, params: PyTree, carried: PyTree) -> Ema:
  """Adds a state to an average; the average of a constant is that constant, bit for bit."""
  # Adam's bias correction (arXiv:1412.6980) as a running mean: with w_n = β w_{n-1} + (1 - β) from
  # w_0 = 0, the mean of n states moves by (1 - β) / w_n of the difference to the newest, and from
  # w_0 = 1, where w_n = 1, by the usual 1 - β.
  weight = decay * ema.weight + (1 - decay)
  share = (1 - decay) / weight  # 1 for the first state, if corrected

  def add(mean: jax.Array, x: jax.Array) -> jax.Array:
    if not jnp.issubdtype(x.dtype, jnp.floating):
      return x
    # mean + 1 (x - mean) would round, and not be x.
    return jnp.where(share < 1, mean + share * (x - mean), x).astype(x.dtype)

  new_params = jax.tree.map(add, ema.params, params)
  return Ema(new_params, jax.tree.map(add, ema.carried, carried), weight)


def _global_size(batch: Batch, axis_name: AxisName, axis: int = 0) -> int:
  """Counts the examples of a minibatch, along `axis` of its leaves, over all devices."""
  leaves = jax.tree.leaves(dict(batch))
  devices = 1 if axis_name is None else jax.lax.psum(1, axis_name)
  return devices * leaves[0].shape[axis] if leaves else 1


def join_devices(game: Game, new_carried: Carried, axis_name: AxisName) -> Carried:
  """Joins the new statistics and memory of all devices that share a batch."""
  if axis_name is None:
    return new_carried
  # One message for all means: a message costs more than what is in it.
  how = join_rules(game, new_carried)
  of = lambda *kinds: {name: tree for name, tree in new_carried.items() if how[name] in kinds}
  averaged = _mean_floats(of(join_mean), axis_name)
  custom = set(how.values()) - {join_mean, join_alike}
  stacked = jax.lax.all_gather(of(*custom), axis_name)  # any other rule needs those of each device
  return new_carried | averaged | {name: how[name](tree) for name, tree in stacked.items()}


def _mean_floats(tree: PyTree, axis_name: AxisName) -> PyTree:
  """Averages over devices in one message; counts and the like are the same on all of them."""
  leaves, kind = jax.tree.flatten(tree)
  is_float = [jnp.issubdtype(x.dtype, jnp.floating) for x in leaves]
  means = iter(mean([x for x, yes in zip(leaves, is_float, strict=True) if yes], axis_name))
  pairs = zip(leaves, is_float, strict=True)
  return jax.tree.unflatten(kind, [next(means) if yes else x for x, yes in pairs])


def join_rules(game: Game, new_carried: Carried) -> dict[str, JoinRule]:
  """Returns the rule by which each statistic and memory joins; refuses memory without one."""
  declared = {name: how for p in game.players.values() for name, how in p.objective.join.items()}
  networks = _owned(game.players)
  for name, tree in new_carried.items():
    if name not in declared and name not in networks and jax.tree.leaves(tree):
      raise ValueError(
        f"the memory {name!r} does not say how those of several devices or microbatches become "
        "one: give its term join=..., or couples=True where it looks at the global batch, by "
        "match.mean or match.gather; or play on one device with microbatches = 1"
      )
  return {name: declared.get(name, join_mean) for name in new_carried}


def _uses_data(game: Game, turn: Turn) -> bool:
  return any(game.players[name].uses_data for name in (*turn.players, *turn.opponents))


def _owned(players: Mapping[str, Player]) -> tuple[str, ...]:
  return tuple(net for player in players.values() for net in player.owns)


def _pick(tree: Mapping[str, PyTree], names: tuple[str, ...]) -> dict[str, PyTree]:
  return {name: tree[name] for name in names}


def mean(tree: PyTree, axis_name: AxisName) -> PyTree:
  """Averages over the devices that share a batch, if there are several under one name."""
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


# --- checks ---------------------------------------------------------------------------------------


def check_game(game: Game) -> None:
  """Checks that players of turns exist, and that averaged networks have an owner."""
  if not isinstance(game, Game):
    raise ValueError(f"game is {shown(game)}: expected a Game, such as two_player(...) makes")
  check_turns(game.turns)
  for turn in game.turns:
    if unknown := {*turn.players, *turn.opponents} - set(game.players):
      raise ValueError(
        f"a turn is of {', '.join(map(repr, sorted(unknown)))}, who does not play; "
        f"the players are {', '.join(map(repr, game.players))}"
      )
  owned = _owned(game.players)
  if unknown := set(game.averages) - set(owned):
    raise ValueError(
      f"averages of {', '.join(map(repr, sorted(unknown)))}, which no player owns; "
      f"the networks are {', '.join(map(repr, owned))}"
    )


def check_turns(turns: Any) -> None:
  """Checks that `turns` are turns, of players and repeated at least once."""
  of_turns = isinstance(turns, tuple | list) and all(isinstance(turn, Turn) for turn in turns)
  if not of_turns or not turns:
    raise ValueError(f"turns is {shown(turns)}: expected turns, such as turns.alternating(k=1)")
  for turn in turns:
    if isinstance(turn.players, str) or not turn.players:
      raise ValueError(
        f"the players of a turn are {turn.players!r}: expected a tuple of names, such as "
        "Turn(('generator',))"
      )
    if not is_integer(turn.repeat) or turn.repeat < 1:
      raise ValueError(f"a turn is repeated {shown(turn.repeat)} times: expected an int >= 1")


def _check_names(player: str, new_carried: Carried, known: set[str]) -> None:
  """Checks that new statistics and memory have the name of a network or a declared memory."""
  if unknown := set(new_carried) - known:
    raise ValueError(
      f"the objective of {player!r} leaves {', '.join(map(repr, sorted(unknown)))} in `carried`, "
      "which is no network and no memory: declare it, Objective(..., memory={name: start})"
    )


def _check_state(state: Any) -> None:
  if not isinstance(state, State):
    raise ValueError(f"state is {shown(state)}: expected the State that init(game, ...) returns")
  if jnp.ndim(state.round):
    raise ValueError(
      f"state is of {len(state.round)} members of a population: expected that of one, "
      "population.member(state, i)"
    )


def _check_complete(game: Game, state: State) -> None:
  """Checks that a state has all networks, memory and averages of the game."""
  memory = [name for player in game.players.values() for name in player.objective.memory]
  needs = {
    "params": _owned(game.players),
    "carried": memory,
    "opt": game.players,
    "ema": game.averages,
  }
  for part, names in needs.items():
    if missing := [name for name in names if name not in getattr(state, part)]:
      raise ValueError(
        f"state.{part} has no {missing[0]!r}, which this game plays with: expected the State that "
        "init(game, ...) returns of this game"
      )


def _is_array(x: Any) -> bool:
  return hasattr(x, "shape") and getattr(x.dtype, "kind", "f") not in "OSUmM"


def _check_batch(game: Game, batch: Any) -> None:
  """Checks that a batch holds the minibatches of a round, stacked."""
  if not isinstance(batch, Mapping):
    raise ValueError(f'batch is {shown(batch)}: expected a dict of arrays, such as {{"x": x}}')
  for name, x in batch.items():
    if not all(_is_array(leaf) for leaf in jax.tree.leaves(x)):
      raise ValueError(f"batch[{name!r}] is {shown(x)}: expected an array of numbers")
  leaves = jax.tree.leaves(dict(batch))
  needed = max(1, minibatches(game))  # one at least: moves without data read its shape
  if len({x.shape[:2] for x in leaves}) > 1 or any(
    x.ndim < 2 or x.shape[0] != needed for x in leaves
  ):
    given = ", ".join(
      f"{name} {jax.tree.map(lambda x: list(x.shape), x)}" for name, x in batch.items()
    )
    stack = "; if it is one minibatch, pass jax.tree.map(lambda x: x[None], batch)"
    raise ValueError(
      f"a round of this game consumes {minibatches(game)} minibatches, so the leaves of `batch` "
      f"must be [{needed}, B, ...], all of one B; they are {given}{stack if needed == 1 else ''}"
    )
  if leaves and not leaves[0].shape[1]:
    raise ValueError("batch has no examples: expected leaves [n, B, ...] with B >= 1, got B = 0")
