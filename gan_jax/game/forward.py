"""One network in one forward: applied as it is trained, and as it is sampled from."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.errors import ScopeParamNotFoundError, ScopeParamShapeError

from gan_jax.game.core import Carried, Params, PyTree, StepContext
from gan_jax.game.random import EXAMPLES, make_key, named_key

Variables = Mapping[str, PyTree]  # as `init` of a linen module returns them
# Methods of a generator in stages: (z, y, *, train) -> w, and (w, *, train) -> examples.
STAGES = MAPPING, SYNTHESIS = "mapping", "synthesis"


def train_network(
  net: nn.Module,
  name: str,
  params: PyTree,
  stats: PyTree,
  x: PyTree,
  y: Any,
  key: jax.Array,
  context: StepContext,
  remat: bool = False,
  method: str | None = None,
  parts: int = 1,
) -> tuple[Any, PyTree]:
  """Applies a network in training mode.

  Args:
    net: module called as `net(x, y, train=)`.
    name: name of the network, for messages.
    params: its parameters.
    stats: its statistics.
    x: inputs, leaves [B, ...].
    y: labels, or None.
    key: typed PRNG key of its streams, "dropout" and others; see `nets.layers.stream_keys`.
    context: context of the move.
    remat: whether activations are recomputed for gradients.
    method: name of the method that is applied; None for `__call__`.
    parts: number of batches that x is, one after the other, such as 2 of real examples and fakes.

  Returns:
    (outputs, new statistics).

  Raises:
    ValueError: if parameters are of another network, or batch norm meets microbatches.
  """
  if context.axis_name is not None and hasattr(net, "axis_name"):
    # Batch norm averages its statistics over the devices of this axis.
    net = net.clone(axis_name=context.axis_name)
  # Read by layers whose numbers depend on an example's place: `stream_keys`, `minibatch_std`.
  place = {} if context.microbatch.count == 1 else vars(context.microbatch)
  if context.axis_name is not None:
    device, devices = jax.lax.axis_index(context.axis_name), jax.lax.psum(1, context.axis_name)
    place = {**place, "device": device, "devices": devices, "parts": parts}
  extra = {EXAMPLES: place} if place else {}

  def apply(params: PyTree, stats: PyTree, x: PyTree, y: Any, key: jax.Array) -> Any:
    variables = {"params": params, **stats, **extra}
    inputs = (x,) if method == SYNTHESIS else (x, y)
    options: dict[str, Any] = {"rngs": _streams(key), "mutable": list(stats), "method": method}
    with check_shapes(name):
      # No other collection can be written, so that the state keeps its structure.
      return net.apply(variables, *inputs, train=True, **options)

  # A network at a time: of its activations nothing but its inputs is kept for the gradients.
  out, new_stats = (jax.checkpoint(apply) if remat else apply)(params, stats, x, y, key)
  if context.microbatch.count > 1 and _has_batch_norm(new_stats):
    raise ValueError(
      f"the {name} has batch norm, whose statistics are of all the batch: set microbatches = 1, or "
      "another norm"
    )
  return out, {**stats, **new_stats}


def trained_networks(
  nets: Mapping[str, nn.Module],
  params: Params,
  carried: Carried,
  context: StepContext,
  remat: bool = False,
) -> tuple[Callable[..., Any], Carried]:
  """Builds the function that applies networks without labels in training mode, by name.

  Args:
    nets: modules, by name.
    params: parameters of all networks.
    carried: `State.carried`.
    context: context of the move.
    remat: whether activations are recomputed for gradients.

  Returns:
    (apply, statistics by network). `apply(name, x, keep=True)` returns outputs in float32. Each
    application has its own dropout and, if `keep`, moves the network's entry of statistics on.
  """
  stats, applications = {name: carried[name] for name in nets}, itertools.count()

  def apply(name: str, x: PyTree, *, keep: bool = True) -> Any:
    # Counted over all networks: each application has dropout of its own, in the forward's order.
    key = jax.random.fold_in(context.key, next(applications))
    own = params[name], stats[name]
    out, new = train_network(nets[name], name, *own, x, None, key, context, remat)
    # Terms apply networks again, and leave no trace: only the move's own forward is kept.
    stats.update({name: new} if keep else {})
    # Losses and penalties are in float32, whatever dtype the network computes in.
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), out)

  return apply, stats


def sample_network(
  net: nn.Module,
  name: str,
  params: Params,
  carried: Carried,
  x: PyTree,
  y: Any = None,
  key: jax.Array | None = None,
  method: str | None = None,
  **options: Any,
) -> jax.Array:
  """Applies a network in evaluation mode; arguments as of `train_network`, of all networks.

  A network may draw in evaluation too: from the keys of examples that `Sampler.draw` puts into
  `carried`, or from `key` if that is given. Options, such as psi, are arguments of its own.
  """
  variables = {"params": params[name], **carried[name]}
  if key is None and EXAMPLES in carried:
    variables[EXAMPLES] = carried[EXAMPLES]
    key = named_key(make_key(0), name)  # of the place in the network alone
  rngs = None if key is None else _streams(key)
  with check_shapes(name):
    inputs = (x,) if method == SYNTHESIS else (x, y)
    out = net.apply(variables, *inputs, train=False, rngs=rngs, method=method, **options)
    return jnp.asarray(out, jnp.float32)


def standing_network(
  net: nn.Module,
  name: str,
  params: Params,
  carried: Carried,
  x: PyTree,
  y: Any,
  key: jax.Array,
  momentum: jax.Array,
) -> PyTree:
  """Computes a network's statistics after a training forward without gradients.

  Args:
    net, name, params, carried, x, y, key: arguments of `train_network`, of all networks.
    momentum: share of its running statistics that batch norm keeps.
  """
  variables = {"params": params[name], **carried[name], EXAMPLES: {"momentum": momentum}}
  options: dict[str, Any] = {"rngs": _streams(key), "mutable": list(carried[name])}
  with check_shapes(name):
    _, new = net.apply(variables, x, y, train=True, **options)
  return {**carried[name], **new}


def _streams(key: jax.Array) -> dict[str, jax.Array]:
  """Builds the streams of a network: that of dropout, and flax's own for all other names."""
  return {"dropout": key, "params": named_key(key, "streams")}


def split_variables(initial: Mapping[str, Variables]) -> tuple[Params, Carried]:
  """Splits the variables of networks, by name, into (params, statistics)."""
  # Whatever else flax makes, such as "batch_stats", goes on from move to move, and is carried.
  without = lambda v: {name: tree for name, tree in v.items() if name != "params"}
  return (
    {name: variables["params"] for name, variables in initial.items()},
    {name: without(variables) for name, variables in initial.items()},
  )


@contextlib.contextmanager
def check_shapes(name: str) -> Iterator[None]:
  """Raises one line for parameters of another network, or of one for other shapes."""
  try:
    yield
  except (ScopeParamShapeError, ScopeParamNotFoundError) as error:
    # Flax names a scope deep within, and not the state that was mistaken for another.
    raise ValueError(
      f"the state is of another game, whose {name} has other parameters, or takes other shapes: "
      "expected the State that init(game, ...) returns of this game"
    ) from error


def _has_batch_norm(stats: PyTree) -> bool:
  # By flax's name of a running mean: other statistics, as of spectral norm, are of no batch.
  paths = jax.tree_util.tree_leaves_with_path(stats)
  return any(getattr(path[-1], "key", None) == "mean" for path, _ in paths)
