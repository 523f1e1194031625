"""Latents: the inputs of generators, each drawn from a key of its own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.checks import is_integer, is_number, shown

Latent = Callable[[jax.Array], jax.Array]  # keys [n] -> z [n, d]
Truncate = Callable[[Any, float], Any]  # (inputs, such as z [n, d], bound) -> inputs


class Styled(NamedTuple):
  """Latents whose styles the generator truncates: w moves to mean + psi (w - mean).

  Attributes:
    z: latents, leaves [n, ...].
    psi: float32 [n].
  """

  z: Any
  psi: np.ndarray


def normal(dim: int, scale: float = 1.0) -> Latent:
  """Samples z ~ N(0, scale²) of `dim` dimensions."""
  _require_dimensions(dim)
  _require_scale(scale)
  # A key for each latent, not one for all: it depends on its place, and not on the batch's size.
  return jax.vmap(lambda key: scale * jax.random.normal(key, (dim,)))


def uniform(dim: int, scale: float = 1.0) -> Latent:
  """Samples z ~ U(-scale, scale) of `dim` dimensions."""
  _require_dimensions(dim)
  _require_scale(scale)
  return jax.vmap(lambda key: jax.random.uniform(key, (dim,), minval=-scale, maxval=scale))


def truncated(dim: int, bound: float = 2.0) -> Latent:
  """Samples z ~ N(0, 1) of `dim` dimensions, each redrawn until within ±bound."""
  _require_dimensions(dim)
  if not is_number(bound, lambda x: x > 0):
    raise ValueError(f"latents are kept within ±bound with bound > 0, got {shown(bound)}")
  return jax.vmap(lambda key: jax.random.truncated_normal(key, -bound, bound, (dim,)))


def categorical(shares: Sequence[float]) -> Latent:
  """Builds the prior of labels that are given shares of the classes.

  Args:
    shares: relative frequency >= 0 of each class, in any unit.

  Returns:
    Function of keys [n] to classes, int32 [n].

  Raises:
    ValueError: for shares that are no frequencies.
  """
  weights = np.asarray(shares, np.float32)
  if weights.ndim != 1 or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.sum():
    raise ValueError(
      f"shares are {shown(shares)}: expected a number >= 0 for each class, not all 0"
    )
  # A share of 0 is a logit of -inf: that class is never drawn.
  logits = jnp.log(weights / weights.sum())
  return jax.vmap(lambda key: jax.random.categorical(key, logits).astype(jnp.int32))


def truncate_normal(z: np.ndarray, bound: float) -> np.ndarray:
  """Computes latents of the normal distribution within a bound from normal latents.

  The truncation trick of Brock et al. 2019 (arXiv:1809.11096): fewer kinds of examples, and better
  ones. They draw again what is beyond; here each entry keeps its rank, so that one seed gives
  examples that change little by little with the bound.

  Args:
    z: [n, d] from N(0, I).
    bound: > 0, in standard deviations.

  Returns:
    [n, d], float32, each entry within ±bound.

  Raises:
    ValueError: for another bound.
  """
  from scipy.special import ndtr, ndtri  # here: SciPy takes .15 s, for which no start need wait

  if not bound > 0:
    raise ValueError(f"latents are truncated at a bound > 0, got {bound}")
  # In float64: in float32 all entries beyond 5.5 standard deviations would have the rank 1.
  low, high = ndtr(-bound), ndtr(bound)
  return ndtri(low + ndtr(z.astype(np.float64)) * (high - low)).clip(-bound, bound).astype(z.dtype)


def truncate_styles(z: Any, psi: float) -> Styled:
  """Builds the inputs of a generator that truncates its styles (Karras et al. 2019, 1812.04948).

  Args:
    z: inputs [n, ...].
    psi: share of a style's way from the average style: 1 for all of it, 0 for the average, below 0
      for what is opposite of it.

  Raises:
    ValueError: psi that is infinite or no number.
  """
  if not is_number(psi):
    raise ValueError(f"styles are truncated by a finite psi, got {shown(psi)}")
  return Styled(z, np.full(len(jax.tree.leaves(z)[0]), psi, np.float32))


def _require_dimensions(dim: int) -> None:
  if not is_integer(dim) or dim < 1:
    raise ValueError(f"a latent has at least 1 dimension, got dim = {shown(dim)}")


def _require_scale(scale: float) -> None:
  if not is_number(scale, lambda x: x >= 0):
    raise ValueError(f"the scale of a latent is a number >= 0, got {shown(scale)}")
