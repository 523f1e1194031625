"""Update rules of theory: gradients for the optimizers, in the place of the plain ones.

A rule is data, a transformation of a game's turns:

    two_player(..., turns=extragradient(simultaneous()))
    two_player(..., turns=consensus(simultaneous(), weight=1.0))
    two_player(..., turns=unrolled(alternating(), steps=5))

Whatever a rule, the players' own optimizers move them, so each goes with each. Rules that need no
other gradient are no more than turns (`simultaneous`, `alternating(k)`) or optimizers: optimistic
gradient descent is optax's, and `lookahead` wraps any of them.
"""

import jax
import jax.numpy as jnp
import optax

from gan_jax.checks import is_integer, is_number, shown
from gan_jax.game.core import (
  Batch,
  Game,
  Gradients,
  Params,
  PyTree,
  State,
  StepContext,
  Turn,
  gradient_descent,
  gradients,
  losses_of,
  update,
)
from gan_jax.game.memory import join_mean, join_rules, mean
from gan_jax.game.random import Microbatch
from gan_jax.game.validation import check_turns

Turns = tuple[Turn, ...]


def extragradient(turns: Turns) -> Turns:
  """Builds turns by extragradient: gradients at the next point, applied at the present one.

  Korpelevich 1976; for GANs Gidel et al. 2019, arXiv:1802.10551. The step ahead is the optimizers'
  own, on the same draw, and leaves their state as it was. With SGD this is the method as published;
  the paper's ExtraAdam updates Adam's moments with both gradients.

  Args:
    turns: one turn, in which all players move at once.

  Raises:
    ValueError: if the players take turns.
  """

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    grads, _ = gradient_descent(game, turn, state, batch, context)
    # Averaged here: on every device the extrapolation must be that of the whole batch.
    ahead = update(game, state, mean(grads, context.axis_name))
    # The same draw: with another the two gradients would differ by noise as well.
    return gradient_descent(game, turn, ahead, batch, context)

  return (_at_once(turns, "extragradient")._replace(rule=rule),)


def consensus(turns: Turns, *, weight: float) -> Turns:
  """Builds turns in which players descend ½‖v‖² as well, v being the gradients of all of them.

  Consensus optimisation, Mescheder et al. 2017, arXiv:1705.10461: g + γ ∇½‖v‖² for each player. It
  costs about a second forward and backward.

  Args:
    turns: one turn, in which all players move at once.
    weight: γ >= 0; the paper takes 10.

  Raises:
    ValueError: if the players take turns, or the weight is negative.
  """
  if not is_number(weight, lambda x: x >= 0):
    raise ValueError(f"consensus optimisation has a weight >= 0, got {shown(weight)}")

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    def half_square(params: Params) -> tuple[jax.Array, Gradients]:
      grads, new_carried = gradient_descent(game, turn, _at(state, params), batch, context)
      v = mean(grads, context.axis_name)  # the norm is not linear: it is of the mean, not a mean
      return optax.tree.norm(v, squared=True) / 2, (grads, new_carried)

    owned = {net: state.params[net] for name in turn.players for net in game.players[name].owns}
    # ∇½‖v‖² = (∂v/∂w)ᵀ v, by reverse mode through the gradients: no Hessian is formed.
    slope, (grads, new_carried) = jax.grad(half_square, has_aux=True)(owned)
    add = lambda g, s: g + weight * s
    return {
      name: {net: jax.tree.map(add, g, slope[net]) for net, g in nets.items()}
      for name, nets in grads.items()
    }, new_carried

  return (_at_once(turns, "consensus")._replace(rule=rule),)


def unrolled(
  turns: Turns, *, steps: int, player: str | None = None, opponent: str | None = None
) -> Turns:
  """Builds turns in which one player moves against the opponent k updates ahead.

  Unrolled GANs, Metz et al. 2017, arXiv:1611.02163: the generator's gradient is that of its loss
  against the discriminator k updates on, differentiated through these updates. They are of the
  opponent's own optimizer, go on from its state, see this move's draw, and are then taken back. To
  differentiate through Adam, give it an `eps_root` > 0: its square root has no slope at 0.

  Args:
    turns: turns of the game; those in which the player does not move stay as they are.
    steps: number k >= 0 of unrolled updates, 5 to 10 in the paper; 0 unrolls none.
    player: player whose gradients are unrolled; by default the last one to move in a round.
    opponent: player whose updates are unrolled; by default the first one to move in a round.

  Returns:
    The turns. An unrolled one consumes real data if the opponent's objective does.

  Raises:
    ValueError: if k is negative, the player never moves, or is its own opponent.
  """
  check_turns(turns)
  if not is_integer(steps) or steps < 0:
    raise ValueError(f"unrolling takes k >= 0 steps, got {shown(steps)}")
  player, opponent = player or turns[-1].players[-1], opponent or turns[0].players[0]
  if player == opponent:
    raise ValueError(f"unrolling takes two players, got {player!r} against {opponent!r}")
  if not any(player in turn.players for turn in turns):
    raise ValueError(f"unrolling is for {player!r}, who has no turn")

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    # At the present point: of the others, the statistics and the metrics.
    grads, new_carried = gradient_descent(game, turn, state, batch, context)
    unrolled_player = {player: game.players[player]}

    def unrolled_loss(params: Params) -> jax.Array:
      def step(state: State, _: None) -> tuple[State, None]:
        grads, _aux = gradient_descent(game, Turn((opponent,)), state, batch, context)
        return update(game, state, mean(grads, context.axis_name)), None

      # The unrolled updates depend on `params`, and are differentiated through as well.
      later, _ = jax.lax.scan(step, _at(state, params), length=steps)
      # The player's own parameters stay where they are; the opponent's are k updates on.
      of_all = {**later.params, **params}
      return losses_of(unrolled_player, of_all, state.carried, batch, context)[0][player]

    owned = {net: state.params[net] for net in game.players[player].owns}
    return {**grads, player: jax.grad(unrolled_loss)(owned)}, new_carried

  # The opponent is named, so that the turn is given the data that its objective looks at.
  unroll = lambda turn: turn._replace(rule=rule, opponents=(opponent,))
  return tuple(unroll(turn) if player in turn.players else turn for turn in turns)


def microbatches(turns: Turns, count: int) -> Turns:
  """Builds turns that accumulate gradients over microbatches, to take less memory.

  The gradients are those of the whole minibatch, and so are all draws. Batch norm, packing, and
  terms across the batch cannot be computed by microbatch, and are refused when the game is played.
  Monitors compare the examples of a microbatch.

  Args:
    turns: turns of the game, by gradient descent.
    count: number of microbatches, >= 1; it divides each device's share of the batch.

  Raises:
    ValueError: for another rule than gradient descent, or a count out of range.
  """
  check_turns(turns)
  if not is_integer(count) or count < 1:
    raise ValueError(f"a minibatch is seen in one part or more, got microbatches = {shown(count)}")
  # Such a rule would make its extrapolation from one part, and be another rule.
  if count > 1 and any(turn.rule is not gradient_descent for turn in turns):
    raise ValueError(
      f"microbatches = {count}: they go with plain gradients, and rules such as extragradient look "
      "at the whole batch between; set one of them"
    )

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    players = {name: game.players[name] for name in turn.players}

    def add(total: PyTree, indexed: tuple[jax.Array, Batch]) -> tuple[PyTree, PyTree]:
      index, examples = indexed
      # Draws know which examples of the whole these are: the noise is that of one batch.
      part = context._replace(microbatch=Microbatch(index, count))
      grads, new_carried = gradients(players, state.params, state.carried, examples, part)
      return jax.tree.map(jnp.add, total, grads), new_carried

    owned = {name: {net: state.params[net] for net in p.owns} for name, p in players.items()}
    indexed = jnp.arange(count), jax.tree.map(lambda x: _split(x, count), dict(batch))
    zeros = jax.tree.map(jnp.zeros_like, owned)
    # One after the other, gradients added up: activations of one microbatch alone are alive.
    total, (new_carried, metrics) = jax.lax.scan(add, zeros, indexed)
    how = join_rules(game, new_carried)
    new_carried = {name: how[name](stacked) for name, stacked in new_carried.items()}
    # Microbatches have equally many examples, so that the mean of their means is the batch's.
    return jax.tree.map(lambda x: x / count, total), (new_carried, join_mean(metrics))

  # One part is the whole: the program stays that of a game without microbatches.
  return turns if count == 1 else tuple(turn._replace(rule=rule) for turn in turns)


def _split(x: jax.Array, count: int) -> jax.Array:
  """Groups every `count`th example: [B, ...] -> [count, B / count, ...]."""
  if x.shape[0] % count:
    raise ValueError(
      f"microbatches = {count} does not divide a device's {x.shape[0]} examples; choose a divisor"
    )
  # Every count-th, not a run of them: a part of sharded data stays on the device that has it.
  return jnp.moveaxis(x.reshape(-1, count, *x.shape[1:]), 1, 0)


def _at_once(turns: Turns, rule: str) -> Turn:
  check_turns(turns)
  if len(turns) != 1 or len(turns[0].players) < 2:
    raise ValueError(
      f"{rule} is for players who move at once, and here they take turns: give it one turn of all "
      "players, simultaneous() (config.simultaneous = True)"
    )
  return turns[0]


def _at(state: State, params: Params) -> State:
  return state.replace(params={**state.params, **params})
