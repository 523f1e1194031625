"""Views: what the discriminator sees in the place of examples, such as noisy or packed ones.

    two_player(..., views=(gaussian_noise(0.1), packing(2)))

Views are part of the discriminator and are applied in order, to real examples and to fakes alike:
its logits are of views, and penalties differentiate through them to the examples. Only views that
pack examples, and those before them, come first: a pack is then what counts as one example.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gan_jax.checks import is_integer, shown, takes
from gan_jax.game.core import Clock, JoinRule, Metrics, PyTree, StepContext
from gan_jax.game.random import draw_like, named_key
from gan_jax.game.schedules import Weight, is_weight, value_at


class View(NamedTuple):
  """A pure function in front of the discriminator, and its memory from move to move.

  Attributes:
    apply: (examples [B, ...], typed keys [B], clock, memory) -> views [B / pack, ...].
    pack: number of consecutive examples that become one.
    memory: initial memory, a pytree of arrays; kept in `State.carried`.
    update: (memory, match) -> memory after a move of the discriminator.
    join: rule by which memories of several devices or microbatches become one, such as
      `game.join_mean`, or `game.join_alike` if `update` looks at the global batch, by `match.mean`.
    metrics: (clock, memory) -> logged scalars of a move, by name, of the memory before it.
    signs: whether `update` reads the signs of logits, which not every loss gives a meaning.
  """

  apply: Callable[[jax.Array, jax.Array, Clock, PyTree], jax.Array]
  pack: int = 1
  memory: PyTree = ()
  update: Callable[[PyTree, Any], PyTree] = lambda memory, match: memory
  join: JoinRule | None = None
  metrics: Callable[[Clock, PyTree], Metrics] = lambda clock, memory: {}
  signs: bool = False


Views = tuple[View, ...]


def gaussian_noise(std: Weight) -> View:
  """Builds the view that adds Gaussian noise, instance noise.

  Sønderby et al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862.

  Args:
    std: standard deviation >= 0 in units of the data; a number, or a schedule.

  Raises:
    ValueError: for another standard deviation.
  """
  if not is_weight(std, least=0):
    raise ValueError(f"std is {shown(std)}: expected a standard deviation >= 0, or a schedule")

  def apply(x: jax.Array, keys: jax.Array, clock: Clock, memory: PyTree) -> jax.Array:
    # Of the example's own key: its noise is the same on every layout.
    return x + value_at(std, clock) * draw_like(jax.random.normal, keys, x)

  return View(apply)


def packing(m: int) -> View:
  """Builds the view that stacks m consecutive examples on the channel axis.

  PacGAN, Lin et al. 2018, arXiv:1712.04086: [B, ..., C] -> [B / m, ..., m C].

  Args:
    m: number of examples >= 1, which divides the batch size.

  Raises:
    ValueError: for another number.
  """
  if not is_integer(m) or m < 1:
    raise ValueError(f"packing = {shown(m)}: expected how many examples to pack, an int >= 1")

  def apply(x: jax.Array, keys: jax.Array, clock: Clock, memory: PyTree) -> jax.Array:
    if len(x) % m:
      raise ValueError(f"packing = {m} needs a batch size that is a multiple of it, got {len(x)}")
    # The m examples become m blocks of channels: places of an image stay where they are.
    groups = x.reshape(len(x) // m, m, *x.shape[1:])
    return jnp.moveaxis(groups, 1, -2).reshape(len(groups), *x.shape[1:-1], m * x.shape[-1])

  return View(apply if m > 1 else lambda x, keys, clock, memory: x, pack=m)


def augmentation(function: Callable[[jax.Array, jax.Array], jax.Array]) -> View:
  """Builds the view that augments each example by a function of one's own.

  Args:
    function: (example [...], key) -> example; it can be compiled, and is random through the key
      alone. The generator learns through it, so that it should be differentiable.

  Raises:
    ValueError: for something else.
  """
  if not takes(function, "x", "key"):
    raise ValueError(f"function is {shown(function)}: expected a function of an example and a key")
  return View(lambda x, keys, clock, memory: jax.vmap(function)(x, keys))


def first_inside(views: Views) -> int:
  """Counts the views up to the last that packs, which are applied before the discriminator."""
  # Those before it as well: they are applied in order, and see examples that are not packed.
  return max((place + 1 for place, view in enumerate(views) if view.pack > 1), default=0)


def apply_views(
  views: Views,
  x: jax.Array,
  kind: str,
  memory: Mapping[str, PyTree],
  context: StepContext,
  part: slice = slice(None),
) -> jax.Array:
  """Applies views to examples.

  Args:
    views: all views of a game.
    x: examples [B, ...].
    kind: "real" or "fake", which have draws of their own.
    memory: memory of views, by name; other entries are ignored.
    context: key and clock of the move.
    part: places of the views to apply.

  Returns:
    The views of the examples.
  """
  for place in range(len(views))[part]:
    # The key is of the place: views that follow do not change what this one draws.
    key = named_key(context.key, f"{kind}{place or ''}")
    own = memory.get(_name(place), ())
    x = views[place].apply(x, context.example_keys(key, len(x)), context.clock, own)
  return x


def memory_of(views: Views) -> tuple[dict[str, PyTree], dict[str, JoinRule]]:
  """Returns the initial memory of views and the rules by which it joins, by name."""
  # Without any a view leaves no entry: checkpoints are those of a game without it.
  with_memory = {_name(i): v for i, v in enumerate(views) if jax.tree.leaves(v.memory)}
  joins = {name: view.join for name, view in with_memory.items() if view.join is not None}
  return {name: view.memory for name, view in with_memory.items()}, joins


def updated(views: Views, memory: Mapping[str, PyTree], match: Any) -> dict[str, PyTree]:
  """Computes the memory of views after a move of the discriminator."""
  names = ((_name(place), view) for place, view in enumerate(views))
  return {name: view.update(memory[name], match) for name, view in names if name in memory}


def metrics_of(views: Views, memory: Mapping[str, PyTree], clock: Clock) -> Metrics:
  """Computes the metrics of views in a move of the discriminator."""
  metrics: Metrics = {}
  for place, view in enumerate(views):
    metrics |= view.metrics(clock, memory.get(_name(place), ()))
  return metrics


def _name(place: int) -> str:
  return f"views.{place}"
