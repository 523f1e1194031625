"""How the statistics and memory of several devices or microbatches become one."""

import jax
import jax.numpy as jnp

from gan_jax.game.core import Carried, Game, JoinRule, PyTree, owned_by
from gan_jax.game.random import AxisName


def join_alike(stacked: PyTree) -> PyTree:
  """Joins memory computed from the global batch, which is the same on all devices."""
  return jax.tree.map(lambda x: x[0], stacked)


def join_mean(stacked: PyTree) -> PyTree:
  """Joins memory by its mean; counts and other integers are the same on all devices."""
  mean = lambda x: jnp.mean(x, axis=0) if jnp.issubdtype(x.dtype, jnp.floating) else x[0]
  return jax.tree.map(mean, stacked)


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


def join_rules(game: Game, new_carried: Carried) -> dict[str, JoinRule]:
  """Returns the rule by which each statistic and memory joins; refuses memory without one."""
  declared = {name: how for p in game.players.values() for name, how in p.objective.join.items()}
  networks = owned_by(game.players)
  # Without a rule each device would go on with a memory of its own, and nobody would notice.
  for name, tree in new_carried.items():
    if name not in declared and name not in networks and jax.tree.leaves(tree):
      raise ValueError(
        f"the memory {name!r} does not say how those of several devices or microbatches become "
        "one: give its term or view join=..., or a term couples=True where it looks at the global "
        "batch, by match.mean or match.gather; or play on one device with microbatches = 1"
      )
  # Running statistics are means over examples, of which all devices have equally many.
  return {name: declared.get(name, join_mean) for name in new_carried}


def mean(tree: PyTree, axis_name: AxisName) -> PyTree:
  """Averages over the devices that share a batch, if there are several under one name."""
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def _mean_floats(tree: PyTree, axis_name: AxisName) -> PyTree:
  """Averages over devices in one message; counts and the like are the same on all of them."""
  leaves, kind = jax.tree.flatten(tree)
  is_float = [jnp.issubdtype(x.dtype, jnp.floating) for x in leaves]
  means = iter(mean([x for x, yes in zip(leaves, is_float, strict=True) if yes], axis_name))
  pairs = zip(leaves, is_float, strict=True)
  return jax.tree.unflatten(kind, [next(means) if yes else x for x, yes in pairs])
