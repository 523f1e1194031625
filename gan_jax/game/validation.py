"""Checks of a game, its state and its batches, in one line and before anything is computed."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.checks import is_integer, shown
from gan_jax.game.core import Game, State, Turn, batches_a_round, minibatches, owned_by


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
  owned = owned_by(game.players)
  # An average moves with the moves of its owner, so that without one it would stand still.
  if unknown := set(game.averages) - set(owned):
    raise ValueError(
      f"averages of {', '.join(map(repr, sorted(unknown)))}, which no player owns; "
      f"the networks are {', '.join(map(repr, owned))}"
    )


def structure(game: Game) -> dict[str, Any]:
  """Describes what tells a game from another whose state may have the same arrays.

  Args:
    game: the game.

  Returns:
    Players with what they own and remember and the functions of their objectives, turns, samplers
    and averages: names alone, as JSON has them. Numbers and networks are not among them.
  """
  # As text: functions of two processes cannot be compared, and their names can.
  return {
    "players": {
      name: {
        "owns": list(player.owns),
        "memory": sorted(player.objective.memory),
        "forward": _path(player.objective.forward),
        "value": _path(player.objective.value),
      }
      for name, player in game.players.items()
    },
    "turns": [
      {"players": list(turn.players), "repeat": turn.repeat, "rule": _path(turn.rule)}
      for turn in game.turns
    ],
    "samplers": {name: _path(sampler.generate) for name, sampler in game.samplers.items()},
    "averages": sorted(game.averages),
  }


def _path(function: Any) -> str:
  """Returns the name of a function, with its module; of a partial one that of what it is of."""
  # A partial has the numbers of a config, in which two runs of one game may differ.
  while hasattr(function, "func"):
    function = function.func
  return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


def check_turns(turns: Any) -> None:
  """Checks that `turns` are turns, of players and repeated at least once."""
  of_turns = isinstance(turns, tuple | list) and all(isinstance(turn, Turn) for turn in turns)
  if not of_turns or not turns:
    raise ValueError(f"turns is {shown(turns)}: expected turns, such as turns.alternating(k=1)")
  for turn in turns:
    # Every letter of a string would count as a player.
    if isinstance(turn.players, str) or not turn.players:
      raise ValueError(
        f"the players of a turn are {turn.players!r}: expected a tuple of names, such as "
        "Turn(('generator',))"
      )
    if not is_integer(turn.repeat) or turn.repeat < 1:
      raise ValueError(f"a turn is repeated {shown(turn.repeat)} times: expected an int >= 1")


def check_state(state: Any) -> None:
  """Checks that a state is one, and of one game alone."""
  if not isinstance(state, State):
    raise ValueError(f"state is {shown(state)}: expected the State that init(game, ...) returns")
  # Members of a population are stacked: every leaf has one axis more.
  if jnp.ndim(state.round):
    raise ValueError(
      f"state is of {len(state.round)} members of a population: expected that of one, "
      "population.member(state, i)"
    )


def check_complete(game: Game, state: State) -> None:
  """Checks that a state has all networks, memory and averages of the game."""
  # Statistics are not asked for: a network without any has an empty entry, or none.
  memory = [name for player in game.players.values() for name in player.objective.memory]
  needs = {
    "params": owned_by(game.players),
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


def check_key(key: Any) -> None:
  """Checks that `key` is one typed PRNG key, not a seed, a raw key or several keys."""
  dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
  if dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key) and shape == ():
    return
  # Keys of jax.random.PRNGKey are plain arrays, which nothing tells from other numbers.
  old = dtype == jnp.uint32 and len(shape or ()) == 1
  hint = "; of an old one jax.random.wrap_key_data(key) makes such a key" if old else ""
  raise ValueError(f"key is {shown(key)}: expected one typed key, as jax.random.key(0){hint}")


def check_batch(game: Game, batch: Any) -> None:
  """Checks that a batch holds the minibatches of a round, stacked."""
  if not isinstance(batch, Mapping):
    raise ValueError(f'batch is {shown(batch)}: expected a dict of arrays, such as {{"x": x}}')
  for name, x in batch.items():
    if not all(_is_array(leaf) for leaf in jax.tree.leaves(x)):
      raise ValueError(f"batch[{name!r}] is {shown(x)}: expected an array of numbers")
  leaves = jax.tree.leaves(dict(batch))
  # All leaves together: a scene with domains of unlike batch sizes has no "one example".
  needed = batches_a_round(game)
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


def _is_array(x: Any) -> bool:
  # By what is no number: bfloat16 has a kind of its own, and dtypes of typed keys have none.
  return hasattr(x, "shape") and getattr(x.dtype, "kind", "f") not in "OSUmM"
