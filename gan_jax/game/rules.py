"""Update rules that theory brought: what the optimizers are given instead of the plain gradients.

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

from gan_jax.checks import is_number, is_whole, shown
from gan_jax.game.core import (
  Batch,
  Game,
  Gradients,
  Params,
  PyTree,
  State,
  StepContext,
  Turn,
  check_turns,
  gradient_descent,
  gradients,
  join_mean,
  joins,
  losses,
  mean,
  update,
)
from gan_jax.game.random import Microbatch

Turns = tuple[Turn, ...]


def extragradient(turns: Turns) -> Turns:
  """Takes the gradients a step ahead: where the players would go, and moves from here by those.

  Korpelevich 1976; for GANs Gidel et al. 2019, arXiv:1802.10551. The step ahead is the optimizers'
  own, on the same draw; what they remember of it is forgotten. With SGD this is the method as it
  was published; the paper's ExtraAdam lets Adam remember both gradients.

  Args:
    turns: one turn, in which all players move at once.

  Returns:
    The turns.

  Raises:
    ValueError: if the players take turns.
  """

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    grads, _ = gradient_descent(game, turn, state, batch, context)
    ahead = update(game, state, mean(grads, context.axis_name))
    return gradient_descent(game, turn, ahead, batch, context)

  return (_at_once(turns, "extragradient")._replace(rule=rule),)


def consensus(turns: Turns, *, weight: float) -> Turns:
  """Lets every player descend ½‖v‖² as well, v being the gradients of all of them.

  Consensus optimisation, Mescheder et al. 2017, arXiv:1705.10461: g + γ ∇½‖v‖² for each player. It
  costs about a second forward and backward.

  Args:
    turns: one turn, in which all players move at once.
    weight: γ >= 0; the paper takes 10.

  Returns:
    The turns.

  Raises:
    ValueError: if the players take turns, or the weight is negative.
  """
  if not is_number(weight, lambda x: x >= 0):
    raise ValueError(f"consensus optimisation has a weight >= 0, got {shown(weight)}")

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    def half_square(own: Params) -> tuple[jax.Array, Gradients]:
      grads, new_carried = gradient_descent(game, turn, _at(state, own), batch, context)
      whole = mean(grads, context.axis_name)
      return optax.tree.norm(whole, squared=True) / 2, (grads, new_carried)

    owned = {net: state.params[net] for name in turn.players for net in game.players[name].owns}
    slope, (grads, new_carried) = jax.grad(half_square, has_aux=True)(owned)
    add = lambda g, s: g + weight * s
    return {
      name: {net: jax.tree.map(add, g, slope[net]) for net, g in own.items()}
      for name, own in grads.items()
    }, new_carried

  return (_at_once(turns, "consensus")._replace(rule=rule),)


def unrolled(
  turns: Turns, *, steps: int, player: str = "generator", opponent: str = "discriminator"
) -> Turns:
  """Lets one player see where its move sends the other in the next k moves.

  Unrolled GANs, Metz et al. 2017, arXiv:1611.02163: the generator's gradient is that of its loss
  against the discriminator k updates on, differentiated through these updates. They are of the
  opponent's own optimizer, go on from its state, see this move's draw, and are then taken back. To
  differentiate through Adam, give it an `eps_root` > 0: its square root has no slope at 0.

  Args:
    turns: of the game; those in which the player does not move are left as they are.
    steps: k >= 0; 0 is no look-ahead, the paper takes 5 to 10.
    player: who looks ahead.
    opponent: who is looked through.

  Returns:
    The turns. One that looks ahead consumes real data if the opponent's objective does.

  Raises:
    ValueError: if k is negative, or the player never moves.
  """
  check_turns(turns)
  if not is_whole(steps) or steps < 0:
    raise ValueError(f"unrolling takes k >= 0 steps, got {shown(steps)}")
  if not any(player in turn.players for turn in turns):
    raise ValueError(f"unrolling is for {player!r}, who has no turn")

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    grads, new_carried = gradient_descent(game, turn, state, batch, context)
    me = {player: game.players[player]}

    def ahead(own: Params) -> jax.Array:
      def step(state: State, _: None) -> tuple[State, None]:
        grads, _aux = gradient_descent(game, Turn((opponent,)), state, batch, context)
        return update(game, state, mean(grads, context.axis_name)), None

      then, _ = jax.lax.scan(step, _at(state, own), length=steps)
      return losses(me, {**then.params, **own}, state.carried, batch, context)[0][player]

    own = {net: state.params[net] for net in game.players[player].owns}
    return {**grads, player: jax.grad(ahead)(own)}, new_carried

  looks = lambda turn: turn._replace(rule=rule, opponents=(opponent,))
  return tuple(looks(turn) if player in turn.players else turn for turn in turns)


def microbatches(turns: Turns, count: int) -> Turns:
  """Lets moves look at their minibatch in parts, one after the other, to take less memory.

  The gradients are those of the whole minibatch, and so are all draws. What an objective sees of
  the whole at once has no parts: batch norm, packing, and terms that look across the batch are
  refused when the game is played. Monitors compare the examples of a part.

  Args:
    turns: of the game, by gradient descent.
    count: of the parts, >= 1; it divides each device's share of the batch.

  Returns:
    The turns.

  Raises:
    ValueError: for another rule than gradient descent, or a count out of range.
  """
  check_turns(turns)
  if not is_whole(count) or count < 1:
    raise ValueError(f"a minibatch is seen in one part or more, got microbatches = {shown(count)}")
  if count > 1 and any(turn.rule is not gradient_descent for turn in turns):
    raise ValueError(
      f"microbatches = {count}: they go with plain gradients, and rules such as extragradient look "
      "at the whole batch between; set one of them"
    )

  def rule(game: Game, turn: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    players = {name: game.players[name] for name in turn.players}

    def look(total: PyTree, given: tuple[jax.Array, Batch]) -> tuple[PyTree, PyTree]:
      seen = context._replace(microbatch=Microbatch(given[0], count))
      grads, new_carried = gradients(players, state.params, state.carried, given[1], seen)
      return jax.tree.map(jnp.add, total, grads), new_carried

    owned = {name: {net: state.params[net] for net in p.owns} for name, p in players.items()}
    parts = jnp.arange(count), jax.tree.map(lambda x: _apart(x, count), dict(batch))
    total, new_carried = jax.lax.scan(look, jax.tree.map(jnp.zeros_like, owned), parts)
    carried, metrics = new_carried
    how = joins(game, carried)
    carried = {name: how[name](stacked) for name, stacked in carried.items()}
    return jax.tree.map(lambda x: x / count, total), (carried, join_mean(metrics))

  return turns if count == 1 else tuple(turn._replace(rule=rule) for turn in turns)


def _apart(x: jax.Array, count: int) -> jax.Array:
  """Takes every `count`th example together: [B, ...] -> [count, B / count, ...]."""
  if x.shape[0] % count:
    raise ValueError(
      f"microbatches = {count} does not divide a device's {x.shape[0]} examples; choose a divisor"
    )
  return jnp.moveaxis(x.reshape(-1, count, *x.shape[1:]), 1, 0)


def _at_once(turns: Turns, rule: str) -> Turn:
  check_turns(turns)
  if len(turns) != 1 or len(turns[0].players) < 2:
    raise ValueError(
      f"{rule} is for players who move at once, and here they take turns: give it one turn of all "
      "players, such as simultaneous()"
    )
  return turns[0]


def _at(state: State, own: Params) -> State:
  return state.replace(params={**state.params, **own})
