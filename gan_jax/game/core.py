"""A game is data: who plays, what each player owns, what each minimises, whose turn it is.

This is the file to read first. A `Game` is an immutable description, as an
`optax.GradientTransformation` is a pair of pure functions. Nothing in it has state: all state is
arrays in one pytree, `State`. `play.play_round` is the only step there is. GAN, WGAN-GP, R3GAN,
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
import numpy as np
import optax
from flax import struct

from gan_jax.game.random import (
  EXAMPLES,
  WHOLE_BATCH,
  AxisName,
  Microbatch,
  as_key,
  example_keys,
  named_key,
)

PyTree = Any
Params = dict[str, PyTree]  # by network
Carried = dict[str, PyTree]  # by network: batch statistics; by "player.term": its memory
Batch = Mapping[str, Any]  # {"x": [B, ...], "y": [B]}; in `play_round` with a leading [n]
Metrics = dict[str, jax.Array]  # scalars
JoinRule = Callable[[PyTree], PyTree]  # leaves [microbatches, ...] -> leaves [...]


class Clock(NamedTuple):
  """How far a game is, before a round; all that changes by a schedule is a function of it.

  Attributes:
    round: int32 scalar, complete rounds.
    images: uint32 scalar, examples in the batches of these rounds.
  """

  round: jax.Array | int = 0
  images: jax.Array | int = 0


class StepContext(NamedTuple):
  """When a move happens, and where its randomness comes from.

  Attributes:
    key: typed PRNG key of this move alone.
    clock: clock before the round of this move.
    axis_name: mapped axis, or axes, that split the batch (under pmap or shard_map), or None.
    microbatch: examples of the batch that this forward sees, where it does not see all of them.
  """

  key: jax.Array
  clock: Clock
  axis_name: AxisName
  microbatch: Microbatch = WHOLE_BATCH

  def example_keys(self, key: jax.Array, n: int) -> jax.Array:
    """Derives one key for each of the n examples of this forward; see `random.example_keys`."""
    return example_keys(key, n, self.axis_name, self.microbatch)


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
      given the `clock`.
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
    rate: (clock, images of the global batch) -> decay of a move, in [0, 1].
    corrected: whether the average is bias-corrected, its weights divided by their sum; otherwise it
      starts from the network at random, which it forgets at the same rate.
  """

  rate: Callable[[Clock, int], jax.Array]
  corrected: bool = True


class Sampler(NamedTuple):
  """How examples are made of inputs.

  Attributes:
    generate: (params, carried, inputs, labels or None) -> examples in the data's own range. Within
      `draw`, `carried` has the keys [n] of the examples too, which `forward.sample_network` reads.
    inputs: (key, n) -> inputs of n examples, such as latents [n, d]; None if they are given, as the
      images that a translator starts from.
    truncate: (inputs, bound) -> inputs that are nearer to their mean; None if they cannot be.
    source: entry of a batch that given inputs are of.
    target: entry of a batch whose kind of examples it makes.
    back: name of the sampler from the target to the source, if there is one.
    paired: whether the target's example at the same place is what it should make of a given input.
    accumulate: (params, carried, inputs, labels, key, momentum) -> `carried` after a forward in
      training mode, of which running statistics keep a share; None if there is none. See
      `standing.standing_statistics`.
    mapping: (params, carried, inputs, labels) -> styles [n, rows, d] of a generator in stages; None
      of another.
    synthesis: (params, carried, styles, None) -> examples of styles, likewise.
  """

  generate: Callable[[Params, Carried, PyTree, jax.Array | None], jax.Array]
  inputs: Callable[[jax.Array, int], PyTree] | None = None
  truncate: Callable[[np.ndarray, float], np.ndarray] | None = None
  source: str | None = None
  target: str = "x"
  back: str | None = None
  paired: bool = False
  accumulate: Callable[..., Carried] | None = None
  mapping: Callable[..., jax.Array] | None = None
  synthesis: Callable[..., jax.Array] | None = None

  def draw(
    self,
    params: Params,
    carried: Carried,
    inputs: PyTree,
    labels: jax.Array | None,
    key: jax.Array,
    places: jax.Array,
  ) -> jax.Array:
    """Generates examples by networks that may draw noise of their own.

    Args:
      params: parameters, by network.
      carried: statistics, by network.
      inputs: inputs, leaves [n, ...].
      labels: labels [n, ...], or None.
      key: typed PRNG key.
      places: int32 [n]; what is drawn for an example depends on the key and on its place.

    Returns:
      [n, ...] examples in the data's own range.
    """
    # A key of its own: the inputs are drawn from the key itself.
    key = named_key(as_key(key), "networks")
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, places)
    return self.generate(params, {**carried, EXAMPLES: {"keys": keys}}, inputs, labels)


class Game(NamedTuple):
  """An immutable description of a game.

  Attributes:
    init: (key, minibatch) -> (params, carried); reads the minibatch's shapes only.
    samplers: by name; the first is the one that is meant where none is named.
    players: by name.
    turns: turns of one round, in order.
    averages: decay of the moving average, for each network that has one.
    headline: {what it is called: metric} to show while it is played.
    predict: (params, carried, examples, None) -> logits of their classes [n, K]; None of a game
      that predicts none.
    monitored: player whose gradient norm is a monitor, the one that samples are of; "" for none.
    probed: player whose real logits are compared on training and held-out examples; "" for none.
  """

  init: Callable[[jax.Array, Batch], tuple[Params, Carried]]
  samplers: Mapping[str, Sampler]
  players: Mapping[str, Player]
  turns: tuple[Turn, ...]
  averages: Mapping[str, Decay] = {}
  headline: Mapping[str, str] = {}
  predict: Callable[[Params, Carried, PyTree, Any], jax.Array] | None = None
  monitored: str = ""
  probed: str = ""

  def sampler(self, name: str | None = None) -> Sampler:
    """Returns a sampler by its name, or the first; of a game without, one that refuses to draw."""
    if not self.samplers:
      # Refused when it is used: such a game is built, trained and evaluated all the same.
      return Sampler(_no_examples, _no_examples)
    if name is None:
      return next(iter(self.samplers.values()))
    if name not in self.samplers:
      raise ValueError(f"there is no sampler {name!r}: expected one of {', '.join(self.samplers)}")
    return self.samplers[name]


def _no_examples(*_: Any) -> Any:
  raise ValueError("this game has no sampler and makes no examples: evaluate it instead")


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

  @property
  def clock(self) -> Clock:
    """Clock before the next round."""
    return Clock(self.round, self.images)


def minibatches(game: Game) -> int:
  """Counts the minibatches of real data that one round consumes."""
  return sum(turn.repeat for turn in game.turns if uses_data(game, turn))


def batches_a_round(game: Game) -> int:
  """Counts the batches that a round is given: one at least, whose shape moves without data read."""
  return max(1, minibatches(game))


def images_a_round(game: Game, batch_size: int) -> int:
  """Counts the examples in the batches of one round, by which `State.images` grows."""
  return batches_a_round(game) * batch_size


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
    context: key and clock.

  Returns:
    ({player: loss}, (new statistics and memory in `carried`, metrics)).
  """
  # Statistics of networks that do not move are dropped: only moves of their owner update them.
  movable = {*owned_by(players), *(name for p in players.values() for name in p.objective.memory)}
  outputs: dict[Any, Any] = {}  # by forward
  values: dict[str, jax.Array] = {}
  new_carried: Carried = {}
  metrics: Metrics = {}
  for name, (owns, objective, *_) in players.items():
    # The same function is the same computation, and is evaluated once.
    if objective.forward not in outputs:
      outputs[objective.forward], new = objective.forward(params, carried, batch, context)
      # An unknown name would be a new leaf of the state, and have the step traced again.
      _check_names(name, new, {*params, *carried})
      new_carried |= pick(new, tuple(key for key in new if key in movable))
    # Of its own networks: a term on parameters, such as a decay, sees no other player's.
    values[name], (memory, new_metrics) = objective.value(
      outputs[objective.forward], pick(params, owns), carried, context
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
  owned_params = pick(params, owned_by(players))
  loss_of = lambda owned: losses_of(players, {**params, **owned}, carried, batch, context)
  # Linearised once: players that move at once share the forward and its activations.
  _, jvp, new_carried = jax.linearize(loss_of, owned_params, has_aux=True)
  grads = {}
  for name, player in players.items():
    # Transposing one output alone leaves no trace of the other players' losses.
    vjp = jax.linear_transpose(lambda tangent, name=name: jvp(tangent)[name], owned_params)
    # The loss has slopes in networks of opponents as well, which are not this player's to move.
    grads[name] = pick(vjp(jnp.ones(()))[0], player.owns)
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
    old_params = pick(state.params, game.players[name].owns)
    # Schedules are functions of the clock, which optax's own transformations are not given.
    optimizer = optax.with_extra_args_support(game.players[name].optimizer)
    updates, opt[name] = optimizer.update(gradient, state.opt[name], old_params, clock=state.clock)
    params |= optax.apply_updates(old_params, updates)
  return state.replace(params=params, opt=opt)


def uses_data(game: Game, turn: Turn) -> bool:
  """Checks whether a turn consumes minibatches of real data."""
  return any(game.players[name].uses_data for name in (*turn.players, *turn.opponents))


def owned_by(players: Mapping[str, Player]) -> tuple[str, ...]:
  """Lists the networks that players own."""
  return tuple(net for player in players.values() for net in player.owns)


def pick(tree: Mapping[str, PyTree], names: tuple[str, ...]) -> dict[str, PyTree]:
  """Returns the entries of these names."""
  return {name: tree[name] for name in names}


def _check_names(player: str, new_carried: Carried, known: set[str]) -> None:
  """Checks that new statistics and memory have the name of a network or a declared memory."""
  if unknown := set(new_carried) - known:
    raise ValueError(
      f"the objective of {player!r} leaves {', '.join(map(repr, sorted(unknown)))} in `carried`, "
      "which is no network and no memory: declare it, Objective(..., memory={name: start})"
    )
