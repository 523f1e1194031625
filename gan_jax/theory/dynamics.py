"""How a game moves: its vector field, the Jacobian, and what that makes of an equilibrium.

    eigenvalues(jacobian(game, state, batch))          # of the field, continuous time
    eigenvalues(round_jacobian(game, state, batch))    # of one round as it is played
    top_eigenvalues(game, state, batch, k=4)           # of the field, for networks, matrix-free

Mescheder, Nowozin, Geiger 2017 (arXiv:1705.10461) and 2018 (arXiv:1801.04406). All parameters are
one vector, in the order of `flatten`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gan_jax.game.core import Batch, Game, Params, State, StepContext, gradients
from gan_jax.game.play import play_round

Flat = Callable[[jax.Array], jax.Array]  # [n] -> [n]


def flatten(game: Game, state: State) -> tuple[jax.Array, Callable[[jax.Array], Params]]:
  """Lays the parameters of all players out as one vector, player by player.

  Args:
    game: the game.
    state: its state.

  Returns:
    ([n], the way back: [n] -> parameters of all networks).
  """
  nets = [net for player in game.players.values() for net in player.owns]
  flat, back = ravel_pytree([state.params[net] for net in nets])
  return flat, lambda x: {**state.params, **dict(zip(nets, back(x), strict=True))}


def field(game: Game, state: State, batch: Batch) -> Flat:
  """Builds the vector field of simultaneous gradient descent, v = -(each player's own gradient).

  Args:
    game: the game.
    state: gives what is not a parameter: carried memory, key, round.
    batch: one minibatch, leaves [B, ...].

  Returns:
    parameters [n] -> velocities [n], on this minibatch and the draw of this round.
  """
  _, back = flatten(game, state)
  context = StepContext(jax.random.fold_in(state.key, state.round), state.clock, None)

  def velocity(x: jax.Array) -> jax.Array:
    grads, _ = gradients(game.players, back(x), state.carried, batch, context)
    ordered = [grads[name][net] for name, player in game.players.items() for net in player.owns]
    return -ravel_pytree(ordered)[0]

  return velocity


def jacobian(game: Game, state: State, batch: Batch) -> jax.Array:
  """Computes the Jacobian of the field, [n, n]; for small games. Arguments as for `field`."""
  return jax.jacfwd(field(game, state, batch))(flatten(game, state)[0])


def round_jacobian(game: Game, state: State, batch: Batch, *, memory: bool = False) -> jax.Array:
  """Computes the Jacobian of one round: of the parameters after it in those before it.

  It holds the order of turns, k and the optimizers' rates. At an equilibrium play converges, near
  by, if the spectral radius is below 1. That is so for optimizers without memory. Others are
  differentiated with their memory held, or in parameters and memory together.

  Args:
    game: the game.
    state: where; with `memory` after a round, where an optimizer's first update differs, as that of
      optax's optimistic descent does.
    batch: as for `play_round`.
    memory: whether the numbers that optimizers remember are part of the vector, after the
      parameters. Adam's root of 0 has no derivative: at an equilibrium it needs an `eps_root`.

  Returns:
    [n, n].
  """
  x, back = flatten(game, state)
  opt, unravel = _memory(state) if memory else (jnp.zeros(0), lambda _: state.opt)

  def after(z: jax.Array) -> jax.Array:
    before = state.replace(params=back(z[: x.size]), opt=unravel(z[x.size :]))
    played = play_round(game, before, batch)[0]
    new_x = flatten(game, played)[0]
    return jnp.concatenate([new_x, _memory(played)[0]]) if memory else new_x

  return jax.jacfwd(after)(jnp.concatenate([x, opt]))


def _memory(state: State) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
  """Lays what optimizers remember, but for counts, out as one vector; returns the way back too."""
  leaves, tree = jax.tree.flatten(state.opt)
  is_number = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]
  flat, unravel = ravel_pytree([x for x, number in zip(leaves, is_number, strict=True) if number])

  def back(x: jax.Array) -> Any:
    new = iter(unravel(x))
    pairs = zip(leaves, is_number, strict=True)
    return jax.tree.unflatten(tree, [next(new) if number else leaf for leaf, number in pairs])

  return flat, back


def eigenvalues(matrix: jax.Array) -> np.ndarray:
  """Computes the eigenvalues [n] of a square matrix, largest real part first."""
  values = np.linalg.eigvals(np.asarray(matrix))
  return values[np.lexsort((values.imag, -values.real))]


def top_eigenvalues(game: Game, state: State, batch: Batch, k: int = 1) -> np.ndarray:
  """Computes the k eigenvalues of the field's Jacobian with the largest magnitude, matrix-free.

  Arnoldi's method (ARPACK) on Jacobian-vector products: memory of a few dozen parameter vectors.

  Args:
    game, state, batch: as for `field`.
    k: how many, below n - 1.

  Returns:
    [k] complex, largest real part first.

  Raises:
    ValueError: if k is not below n - 1; use `jacobian` there.
  """
  from scipy.sparse.linalg import LinearOperator, eigs

  x, _ = flatten(game, state)
  if not 0 < k < x.size - 1:
    raise ValueError(f"k = {k} of {x.size} eigenvalues: expected 0 < k < {x.size - 1}")
  velocity = field(game, state, batch)
  push = jax.jit(lambda tangent: jax.jvp(velocity, (x,), (tangent,))[1])

  def product(tangent: np.ndarray) -> np.ndarray:
    return np.asarray(push(jnp.asarray(tangent.ravel(), x.dtype)))

  operator: Any = LinearOperator((x.size, x.size), product, dtype=np.dtype(x.dtype))
  start = np.random.default_rng(0).normal(size=x.size).astype(x.dtype)
  values = eigs(operator, k, v0=start, return_eigenvectors=False)
  return values[np.lexsort((values.imag, -values.real))]


def classify(eigenvalues: np.ndarray, tolerance: float = 1e-6) -> str:
  """Classifies an equilibrium by the eigenvalues of the field there.

  Args:
    eigenvalues: [n] complex.
    tolerance: real parts within it count as zero.

  Returns:
    "stable" (all real parts negative), "unstable" (one is positive), "rotating" (on the imaginary
    axis, so that linear theory does not decide), or "degenerate" (an eigenvalue is zero).
  """
  real = np.asarray(eigenvalues).real
  if (real > tolerance).any():
    return "unstable"
  on_axis = np.asarray(eigenvalues)[np.abs(real) <= tolerance]
  if not len(on_axis):
    return "stable"
  return "rotating" if (np.abs(on_axis.imag) > tolerance).all() else "degenerate"
