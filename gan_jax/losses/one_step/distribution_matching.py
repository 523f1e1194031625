"""Distribution matching distillation: a one-step generator that follows a difference of scores.

DMD, Yin et al. 2024, arXiv:2311.18828, and DMD2, arXiv:2405.14867. A teacher and a critic denoise
x + σn, the teacher as of data, the critic as of fakes. A denoiser μ that returns the mean of the
clean example has the score (μ - x) / σ² of the noised ones, so that μ_critic - μ_teacher is σ²
times the difference of scores, which ascends KL(fakes ‖ data) of the noised. The noise is that of
EDM (Karras et al. 2022, arXiv:2206.00364), which adds and does not shrink.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.checks import is_number, is_range, require, shown
from gan_jax.losses.objectives import beside, per_example

Denoiser = Callable[[jax.Array, jax.Array], jax.Array]  # (x [B, ...], σ [B]) -> [B, ...]
Levels = Callable[[jax.Array], jax.Array]  # keys [B] -> σ [B]
SCALES = 1e-9, 1e9  # of levels and deviations: their squares, and inverses of these, are float32
stop = jax.lax.stop_gradient


def is_scale(value: Any) -> bool:
  """Checks for a deviation whose square, and the inverse of that, float32 holds: 1e-9 to 1e9."""
  return is_number(value, lambda x: SCALES[0] <= x <= SCALES[1])


def karras_levels(
  least: float = 0.002,
  largest: float = 80.0,
  rho: float = 7.0,
  between: tuple[float, float] = (0.0, 1.0),
) -> Levels:
  """Samples noise levels σ, of which σ^(1/ρ) is uniform: Karras et al. 2022, arXiv:2206.00364.

  The published code of DMD2 draws from a table of 1000 of them, and this from all between.

  Args:
    least: least σ, from 1e-9.
    largest: largest σ, to 1e9.
    rho: ρ from 1 to 100; the larger, the more levels are small.
    between: share of the way from the least to the largest at which levels begin and end; DMD2
      matches between 0.02 and 0.98.

  Returns:
    The function of keys [B] to levels [B].

  Raises:
    ValueError: for numbers out of range.
  """
  require(
    is_range((least, largest)) and is_scale(least) and is_scale(largest),
    "noise levels are between two numbers from 1e-9 to 1e9, the lower one first, got "
    f"{shown(least)} and {shown(largest)}",
  )
  require(
    is_number(rho, lambda x: 1 <= x <= 100), f"rho is {shown(rho)}: expected a number in [1, 100]"
  )
  require(
    is_range(between) and between[0] >= 0 and between[1] <= 1,
    f"a part of the levels is between two shares in [0, 1], got {shown(between)}",
  )
  low, high = least ** (1 / rho), largest ** (1 / rho)
  first, last = between
  share = jax.vmap(lambda key: jax.random.uniform(key, minval=first, maxval=last))
  return lambda keys: (low + share(keys) * (high - low)) ** rho


def mixture_denoiser(
  centers: np.ndarray, std: float, weights: np.ndarray | None = None
) -> Denoiser:
  """Builds the teacher of a mixture of Gaussians in closed form, as no network could be trained to.

  The mean of the clean example is (std² x + σ² c) / (std² + σ²), c the mean of the centres by the
  probability that x is of each. Its score is `theory.drift.smoothed_score`. With the examples of a
  data set as centres and std 0 it is the best denoiser of the data set itself (Karras et al. 2022,
  arXiv:2206.00364), whose score vanishes for nothing but copies of them.

  Squares |x - c|² are taken apart, |x|² being of no consequence, into one product with all centres;
  these are moved to a mean of 0, as what is large would leave few digits of what differs.

  Args:
    centers: [k, d] centres, a constant of the programs that call the teacher.
    std: standard deviation of each, along each axis, to 1e9; 0 for points.
    weights: [k] shares; equal by default.

  Returns:
    The function of noised examples [B, ...] of d entries and levels [B].
  """
  given = np.asarray(centers)
  require(given.ndim == 2, f"centers are {shown(given)}: expected [k, d]")
  require(
    is_number(std, lambda x: 0 <= x <= SCALES[1]),
    f"std is {shown(std)}: expected a number >= 0, to 1e9",
  )
  middle = given.mean(axis=0, dtype=np.float64).astype(np.float32)
  c = jnp.asarray(given - middle, jnp.float32)
  half = np.asarray(np.sum((given - middle) ** 2, axis=1, dtype=np.float64) / 2, np.float32)
  log_shares = jnp.log(jnp.ones(len(c)) if weights is None else jnp.asarray(weights))

  def denoise(x: jax.Array, sigma: jax.Array) -> jax.Array:
    flat = x.reshape(len(x), -1)
    require(
      flat.shape[1] == c.shape[1],
      f"the teacher is of examples of {c.shape[1]} numbers, got {flat.shape[1]}",
    )
    noise, variance = sigma[:, None] ** 2, std**2 + sigma[:, None] ** 2
    # Beyond a barrier, as a compiler would spend seconds on folding what it makes of many centres.
    table = jax.lax.optimization_barrier(c)
    along = jnp.einsum("bd,kd->bk", flat - middle[None], table, precision="highest")
    share = jax.nn.softmax(log_shares[None] + (along - half[None]) / variance, axis=1)
    center = middle[None] + jnp.einsum("bk,kd->bd", share, table, precision="highest")
    return ((std**2 * flat + noise * center) / variance).reshape(x.shape)

  return denoise


class Preconditioning(NamedTuple):
  """Scales of a denoising network F: μ(x, σ) = skip x + out F(in x, time), of EDM.

  Karras et al. 2022, arXiv:2206.00364, table 1: inputs and targets of F have a variance of 1 at
  every level, if the data have the standard deviation σ_d.

  Attributes:
    skip: [B] σ_d² / (σ² + σ_d²).
    out: [B] σ σ_d / √(σ² + σ_d²).
    into: [B] 1 / √(σ² + σ_d²).
    time: [B] ln σ / 4.
  """

  skip: jax.Array
  out: jax.Array
  into: jax.Array
  time: jax.Array


def preconditioning(sigma: jax.Array, data_std: float) -> Preconditioning:
  """Computes the scales of a network at levels [B], for data of the standard deviation σ_d."""
  total = sigma**2 + data_std**2
  root = jnp.sqrt(total)
  return Preconditioning(data_std**2 / total, sigma * data_std / root, 1 / root, jnp.log(sigma) / 4)


def denoising_loss(
  denoised: jax.Array, x: jax.Array, sigma: jax.Array, data_std: float
) -> jax.Array:
  """Computes the weighted square error of denoised examples, (1/σ² + 1/σ_d²) mean (μ - x)²: [B].

  The mean is over pixels. Its minimiser is the mean of x given x + σn, whatever the weight; with
  this one the error of `Preconditioning`'s F counts the same at every level.

  Args:
    denoised: μ(x + σn, σ) [B, ...].
    x: [B, ...] clean examples.
    sigma: σ [B].
    data_std: σ_d.
  """
  return (sigma**-2 + data_std**-2) * per_example((denoised - x) ** 2)


def matching_direction(
  fake: jax.Array, by_critic: jax.Array, by_teacher: jax.Array, *, normalise: bool = True
) -> jax.Array:
  """Computes the gradient at fakes that DMD gives the generator, [B, ...], to be descended.

  It is μ_critic - μ_teacher, σ² times the difference of scores, divided by the mean over pixels of
  |x - μ_teacher|, per example. Where that is 0 and the quotient no number, it is 0, as published.

  Args:
    fake: [B, ...] clean fakes.
    by_critic: μ_critic of the noised fakes.
    by_teacher: μ_teacher of the same.
    normalise: whether to divide. Without it the mean over noise is σ² times the gradient of
      KL(fakes ‖ data) at the level σ.
  """
  difference = by_critic - by_teacher
  if not normalise:
    return difference
  size = per_example(jnp.abs(fake - by_teacher))
  scale = jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 0)
  return beside(scale, difference) * difference


def follow_direction(fake: jax.Array, direction: jax.Array) -> jax.Array:
  """Computes ½ mean g² over pixels [B], with the gradient g / pixels with respect to the fakes.

  Args:
    fake: [B, ...] fakes.
    direction: g, of the shape of the fakes; of `stop_gradient` of them.
  """
  along = jnp.sum((direction * (fake - stop(fake))).reshape(len(fake), -1), axis=1)
  return per_example(direction**2) / 2 + along * len(fake) / fake.size
