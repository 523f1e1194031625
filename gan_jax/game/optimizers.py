"""Optimizers that games need and optax lacks; each goes with any of optax's."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.checks import is_integer, is_number, shown
from gan_jax.game.core import Clock, PyTree


def clip_weights(bound: float) -> optax.GradientTransformation:
  """Clips every parameter to ±bound right after the update; chain it last.

  Arjovsky, Chintala, Bottou 2017 (arXiv:1701.07875), Algorithm 1.

  Args:
    bound: largest magnitude of a parameter, > 0.

  Returns:
    A transformation that shortens updates, such that parameters end at the bound, or at the last
    number of their dtype before it: none exceeds it by rounding.
  """
  if not is_number(bound, lambda x: x > 0):
    raise ValueError(f"weights are clipped to ±bound with bound > 0, got {shown(bound)}")

  def clip(u: jax.Array, p: jax.Array) -> jax.Array:
    most = _at_most(bound, p.dtype)
    # Rounded explicitly: compilers may keep bfloat16 sums in float32.
    dtype = jnp.finfo(p.dtype)
    rounded = lambda x: jax.lax.reduce_precision(x, dtype.nexp, dtype.nmant)
    u = rounded(jnp.clip(p + u, -most, most).astype(p.dtype) - p)
    # p + u may round past the bound. The next number toward -p does not, but for a p so large that
    # there is none between: 0 is within any bound.
    outside = lambda u: jnp.abs(rounded(p + u)) > most
    # Without a derivative, which rules that differentiate through updates would ask it for.
    nearer = jnp.nextafter(*jax.lax.stop_gradient((u, -p)))
    u = jnp.where(outside(u), nearer, u)
    return jnp.where(outside(u), -p, u)

  def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
    return jax.tree.map(clip, updates, params), state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def freeze(
  optimizer: optax.GradientTransformation, layers: Sequence[str]
) -> optax.GradientTransformation:
  """Leaves some layers where they are; the others move as without them.

  FreezeD: the first layers of a discriminator that has been trained on other data keep what they
  have learned there (Mo, Cho, Shin 2020, arXiv:2002.10964). Statistics of frozen layers, such as
  the vectors of spectral norm, move on.

  Args:
    optimizer: optimizer of the others.
    layers: names of layers, dotted within others, such as "b32" or "b16.conv0"; the network's own
      name may come first.

  Returns:
    The optimizer, with the state of the one given. Its `init` raises a ValueError for a name that
    no layer has.
  """
  inner = optax.with_extra_args_support(optimizer)

  def is_frozen(path: Any, name: str) -> bool:
    parts, wanted = [str(key.key) for key in path], name.split(".")
    return wanted in (parts[: len(wanted)], parts[1 : 1 + len(wanted)])

  def init(params: PyTree) -> PyTree:
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for name in layers:
      if not any(is_frozen(path, name) for path in paths):
        there = dict.fromkeys(".".join(str(key.key) for key in path[:2]) for path in paths)
        raise ValueError(f"there is no layer {name!r} to freeze: layers are {', '.join(there)}")
    return optimizer.init(params)

  def moving(updates: PyTree) -> PyTree:
    zero = lambda path, u: jnp.zeros_like(u) if any(is_frozen(path, n) for n in layers) else u
    return jax.tree_util.tree_map_with_path(zero, updates)

  def update(updates: PyTree, state: Any, params: PyTree = None, **more: Any) -> tuple[PyTree, Any]:
    # Before as well: frozen gradients are no part of a norm that is clipped, or of a moment.
    updates, state = inner.update(moving(updates), state, params, **more)
    return moving(updates), state

  return optax.GradientTransformationExtraArgs(init, update)


def rate_of_width(base: float, width: int, reference: int = 768) -> float:
  """Computes the learning rate of a network of this hidden size, base · reference / width.

  GAT, arXiv:2509.24935: for each player by its own width, with base 2e-4 at a batch of 512.
  """
  return base * reference / width


def _at_most(bound: float, dtype: Any) -> np.ndarray:
  """Computes the largest number of a dtype that is at most `bound`."""
  # Rounding may go up: 0.01 is 0.01001 in bfloat16, beyond what was asked for.
  nearest = np.asarray(bound, dtype)
  return nearest if float(nearest) <= bound else np.nextafter(nearest, np.zeros_like(nearest))


def lazy_adam_options(every: int, learning_rate: float, b1: float, b2: float) -> dict[str, float]:
  """Computes the options of an Adam that takes k + 1 steps where k are meant: in every k-th, two.

  StyleGAN2 (Karras et al. 2020, arXiv:1912.04958, appendix B) steps once for the loss and every k
  rounds once more for the regularizer: c = k / (k + 1) gives c lr and decays to the power of c.
  A lazy term of a game is in the same step as the loss, and needs none of it.

  Args:
    every: k >= 1, rounds between applications of the regularizer.
    learning_rate: step size without it.
    b1: decay of the average of gradients.
    b2: decay of the average of squared gradients.

  Returns:
    "learning_rate", "b1" and "b2", as `optax.adam` takes them.
  """
  c = every / (every + 1)
  return {"learning_rate": c * learning_rate, "b1": b1**c, "b2": b2**c}


class Lookahead(NamedTuple):
  """State of `lookahead`.

  Attributes:
    inner: state of the inner optimizer, which makes the fast updates.
    slow: slow parameters, as of the last synchronisation.
    updates: int32 scalar, number of fast updates so far.
  """

  inner: PyTree
  slow: PyTree
  updates: jax.Array


def lookahead(
  optimizer: optax.GradientTransformation, *, every: int, share: float = 0.5
) -> optax.GradientTransformation:
  """Moves back, every k fast updates, to a point between the slow parameters and the fast ones.

  Lookahead-minmax, Chavdarova et al. 2021, arXiv:2006.14567, after Zhang et al. 2019,
  arXiv:1907.08610: an average along the trajectory, which lies inside where it rotates. Give it to
  all players, so that all go back in the same round. Where they move one after the other, the
  second sees the first already back, in the paper both go back after both have moved.

  Args:
    optimizer: inner optimizer, of the fast updates.
    every: number k >= 1 of fast updates between two synchronisations.
    share: step size α of the slow parameters, in (0, 1]; 1 is the inner optimizer alone.

  Returns:
    The optimizer.

  Raises:
    ValueError: if k or the share is out of range, or the optimizer is none.
  """
  if isinstance(optimizer, type) or not hasattr(optimizer, "update"):
    raise ValueError(
      f"optimizer is {shown(optimizer)}: expected one of optax, such as optax.adam(2e-4, b1=0.5)"
    )
  if not is_number(every, lambda k: k >= 1 and k == int(k)) or not is_number(
    share, lambda x: 0 < x <= 1
  ):
    raise ValueError(
      f"lookahead takes a whole k >= 1 and a share in (0, 1], got {shown(every)} and {shown(share)}"
    )

  def init(params: PyTree) -> Lookahead:
    copy = jax.tree.map(jnp.copy, params)  # two names for one buffer could not be donated
    return Lookahead(optimizer.init(params), copy, jnp.zeros((), jnp.int32))

  fast_step = optax.with_extra_args_support(optimizer).update

  def step(
    updates: PyTree, state: Lookahead, params: PyTree = None, **more: Any
  ) -> tuple[PyTree, Lookahead]:
    updates, inner = fast_step(updates, state.inner, params, **more)
    count = state.updates + 1
    synchronise = count % every == 0
    fast = optax.apply_updates(params, updates)
    slow = jax.tree.map(lambda slow, fast: slow + share * (fast - slow), state.slow, fast)
    select = lambda a, b: jax.tree.map(lambda a, b: jnp.where(synchronise, a, b), a, b)
    # An update, and not new parameters, is what optax adds: back is the difference to here.
    updates = select(jax.tree.map(jnp.subtract, slow, params), updates)
    return updates, Lookahead(inner, select(slow, state.slow), count)

  return optax.GradientTransformationExtraArgs(init, step)


def delayed(
  optimizer: optax.GradientTransformation, rounds: int
) -> optax.GradientTransformationExtraArgs:
  """Delays an optimizer by rounds in which it rests, and the opponents of its player warm up.

  Args:
    optimizer: optimizer, whose state does not move before either.
    rounds: number of rounds, >= 0, as the clock of a game counts them.

  Raises:
    ValueError: for another number.
  """
  if not is_integer(rounds) or rounds < 0:
    raise ValueError(f"an optimizer rests for a whole number of rounds >= 0, got {shown(rounds)}")
  inner = optax.with_extra_args_support(optimizer)

  def update(
    updates: PyTree, state: PyTree, params: PyTree = None, *, clock: Clock, **more: Any
  ) -> tuple[PyTree, PyTree]:
    moved = inner.update(updates, state, params, clock=clock, **more)
    still = jax.tree.map(jnp.zeros_like, updates), state
    return jax.tree.map(functools.partial(jnp.where, clock.round >= rounds), moved, still)

  return optax.GradientTransformationExtraArgs(inner.init, update)
