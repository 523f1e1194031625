"""The networks of another run in the place of those that a run would start with at random."""

import functools
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.core import Ema, Game, State, pick

_LOG = logging.getLogger(__name__)


def start_from(game: Game, state: State, spec: str) -> State:
  """Puts networks of another run in the place of those of a first state.

  Args:
    game: the game that the state is of.
    state: state before the first round.
    spec: folder of a run, and after a colon the networks that are taken, with commas between; by
      default all that both runs have. The last checkpoint is taken.

  Returns:
    The state, placed on devices as it was. Statistics and moving averages come along; optimizers
    start anew.

  Raises:
    FileNotFoundError: there is no such run.
    ValueError: a network that one of the runs has not, or one of other shapes; names it.
  """
  from gan_jax.run.results.folder import load  # which needs all that builds a run

  folder, names = parse(spec)
  source = load(folder).state
  chosen = names or tuple(net for net in state.params if net in source.params)
  for net in chosen:
    for where, nets in (("that run", source.params), ("this one", state.params)):
      if net not in nets:
        raise ValueError(
          f"start_from={spec}: there is no network {net!r} in {where}: expected some of"
          f" {', '.join(nets)}"
        )
    for part in ("params", "carried"):
      own, other = getattr(state, part)[net], getattr(source, part)[net]
      check_shapes(net, f"the run in {folder}", own, other)
  if not chosen:
    raise ValueError(f"start_from={spec}: the runs have no networks of the same name")
  if anew := [net for net in state.params if net not in chosen]:
    _LOG.warning("at random, and not from %s, start: %s", folder, ", ".join(anew))
  averages = {net: source.ema[net] for net in chosen if net in source.ema}
  return with_networks(
    game, state, pick(source.params, chosen), pick(source.carried, chosen), averages
  )


def parse(spec: str) -> tuple[pathlib.Path, tuple[str, ...]]:
  """Returns the folder of a run, and the networks that are named after it.

  Raises:
    ValueError: a colon that no network follows.
  """
  path = pathlib.Path(spec).expanduser()
  folder, colon, names = spec.rpartition(":")
  if not colon or path.is_dir():
    return path, ()
  chosen = tuple(name for name in names.split(",") if name)
  if not chosen:
    raise ValueError(
      f"start_from={spec}: expected networks after the colon, such as {folder}:generator, or none"
    )
  return pathlib.Path(folder).expanduser(), chosen


def with_networks(
  game: Game,
  state: State,
  params: Mapping[str, Any],
  carried: Mapping[str, Any],
  averages: Mapping[str, Ema],
) -> State:
  """Puts networks in the place of those of a first state, on the same devices.

  Args:
    game: the game.
    state: state before the first round.
    params: parameters, by network.
    carried: statistics of the same networks.
    averages: moving averages of some of them; of others they are copies of the networks, of which
      one round changes little.

  Returns:
    The state; optimizers start anew.
  """
  copy = functools.partial(jax.tree.map, lambda like, x: _placed(x, like))
  nets = dict(state.params) | {net: copy(state.params[net], params[net]) for net in params}
  stats = dict(state.carried) | {net: copy(state.carried[net], carried[net]) for net in params}
  ema = dict(state.ema)
  for net in ema.keys() & params.keys():
    average = averages.get(net, Ema(params[net], carried[net], jnp.ones(())))
    ema[net] = copy(ema[net], average)
  # Some optimizers remember where they started.
  begin = lambda params: {
    name: player.optimizer.init(pick(params, player.owns)) for name, player in game.players.items()
  }
  places = jax.tree.map(lambda x: x.sharding, state.opt)
  opt = jax.jit(begin, out_shardings=places)(nets)
  return state.replace(params=nets, carried=stats, ema=ema, opt=opt)


def check_shapes(net: str, where: str, own: Any, other: Any) -> None:
  """Refuses arrays that are not those of a network.

  Args:
    net: name of the network.
    where: where the other arrays are from.
    own: arrays of the network.
    other: the other arrays.

  Raises:
    ValueError: names the first array that differs, and how many do.
  """
  a, b = _shapes(own), _shapes(other)
  unlike = [name for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)]
  if unlike:
    show = lambda shapes: list(shapes[unlike[0]]) if unlike[0] in shapes else "missing"
    raise ValueError(
      f"the {net} of {where} does not fit: {unlike[0]} is {show(b)} there and {show(a)} here,"
      f" and {len(unlike) - 1} other arrays differ; give this run the same network, or leave the"
      f" {net} out of start_from"
    )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {".".join(str(key.key) for key in path): jnp.shape(leaf) for path, leaf in leaves}


def _placed(x: Any, like: jax.Array) -> jax.Array:
  """Puts an array where another is; of several processes each puts its own part."""
  array = np.asarray(x, like.dtype)
  return jax.make_array_from_callback(array.shape, like.sharding, lambda index: array[index])
