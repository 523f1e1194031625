"""Sharded games: where the arrays of a state lie, and moves that share their work out.

Of the arrays that `fsdp` splits, a move gathers the parameters it looks at.

    mesh = make_mesh(batch_size, data=-1, fsdp=1)
    game = shard_game(game, mesh)      # the same game, whose moves share their work out
    state = jax.jit(make, out_shardings=state_sharding(jax.eval_shape(make), mesh))()
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.game.core import Batch, Game, Gradients, Params, PyTree, Rule, State, StepContext, Turn
from gan_jax.game.memory import join_devices
from gan_jax.parallel.mesh import AXES, replicated

SMALL = 2**14  # elements: a smaller array is cheaper kept on every device than gathered


def state_sharding(state: State, mesh: Mesh) -> State:
  """Computes the sharding of each array of a state.

  Args:
    state: state, or its shapes.
    mesh: mesh of `make_mesh`.

  Returns:
    Shardings in the shape of the state. Parameters, averages and optimizer states are split over
    `fsdp` if they are large; all else, such as batch statistics, is replicated.
  """
  shared = jax.tree.map(lambda _: replicated(mesh), state)
  split = lambda tree: jax.tree.map(lambda leaf: _leaf_sharding(leaf, mesh), tree)
  return shared.replace(params=split(state.params), opt=split(state.opt), ema=split(state.ema))


def abstract_state(make: Callable[[], State], mesh: Mesh) -> State:
  """Describes a state that is yet to be made or restored: shapes, dtypes and shardings."""
  shapes = jax.eval_shape(make)
  describe = lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
  return jax.tree.map(describe, shapes, state_sharding(shapes, mesh))


def _leaf_sharding(leaf: Any, mesh: Mesh) -> NamedSharding:
  """Splits an array along its longest axis that `fsdp` divides, if it is large."""
  parts = mesh.shape.get("fsdp", 1)
  axes = [axis for axis, size in enumerate(leaf.shape) if size % parts == 0]
  if parts == 1 or leaf.size < SMALL or not axes:
    return replicated(mesh)
  longest = max(axes, key=lambda axis: leaf.shape[axis])
  return NamedSharding(mesh, PartitionSpec(*[None] * longest, "fsdp"))


def shard_game(game: Game, mesh: Mesh) -> Game:
  """Builds the same game, whose moves share their work out over the devices of a mesh.

  Communication is written down (by `shard_map`) and not left to the compiler, which would also
  split arrays that are small and needed whole, such as the monitors' comparisons.

  Args:
    game: game to shard.
    mesh: mesh of `make_mesh`.

  Returns:
    The game: in each move every device gathers the parameters, takes gradients by the turn's rule
    on its rows of the batch, averages them with the others, and keeps its part.
  """
  turns = tuple(turn._replace(rule=_shard_rule(turn, mesh)) for turn in game.turns)
  return game if mesh.size == 1 else game._replace(turns=turns)


def _shard_rule(turn: Turn, mesh: Mesh) -> Rule:
  def rule(game: Game, _: Turn, state: State, batch: Batch, context: StepContext) -> Gradients:
    specs = jax.tree.map(lambda leaf: _leaf_sharding(leaf, mesh).spec, state.params)
    owned = {name: {net: specs[net] for net in game.players[name].owns} for name in turn.players}
    whole = PartitionSpec()

    def local_rule(params: Params, rest: State, batch: Batch, key: jax.Array) -> Gradients:
      params = jax.tree.map(_gather_shards, params, specs)
      grads, (new_carried, metrics) = turn.rule(
        game, turn, rest.replace(params=params), batch, StepContext(key, context.clock, AXES)
      )
      new_carried = join_devices(game, new_carried, AXES)
      return _average(grads, owned, mesh), (new_carried, jax.lax.pmean(metrics, AXES))

    return jax.shard_map(
      local_rule,
      mesh=mesh,
      in_specs=(specs, whole, PartitionSpec(AXES), whole),
      out_specs=(owned, whole),
      check_vma=False,
    )(state.params, state.replace(params={}), batch, context.key)  # params alone are sharded

  return rule


def _gather_shards(shard: jax.Array, spec: PartitionSpec) -> jax.Array:
  """Gathers an array whole on every device, under `shard_map`."""
  if "fsdp" not in spec:
    return shard
  return jax.lax.all_gather(shard, "fsdp", axis=spec.index("fsdp"), tiled=True)


def _average(grads: PyTree, specs: PyTree, mesh: Mesh) -> PyTree:
  """Averages gradients over all devices, of which each keeps its shard; under `shard_map`."""

  def scatter(x: jax.Array, spec: PartitionSpec) -> jax.Array:
    if "fsdp" not in spec:
      return x
    shard = jax.lax.psum_scatter(x, "fsdp", scatter_dimension=spec.index("fsdp"), tiled=True)
    return shard / mesh.shape["fsdp"]

  leaves, tree = jax.tree.flatten(jax.tree.map(scatter, grads, specs))
  is_spec = lambda x: isinstance(x, PartitionSpec)
  sharded = ["fsdp" in spec for spec in jax.tree.leaves(specs, is_leaf=is_spec)]
  # Gradients that are averaged over the same axes go in one message.
  of = lambda kind: [x for x, yes in zip(leaves, sharded, strict=True) if yes == kind]
  whole, shards = jax.lax.pmean(of(False), AXES), of(True)
  shards = shards if mesh.shape["data"] == 1 else jax.lax.pmean(shards, "data")
  means = {False: iter(whole), True: iter(shards)}
  return jax.tree.unflatten(tree, [next(means[yes]) for yes in sharded])
