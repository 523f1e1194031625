"""Divergences between two distributions, exact where they are discrete.

    kl(p, q)                     # probabilities [..., K]
    kl(p, q, weights=dx)         # densities on a grid, by quadrature; weights are volumes of cells
    f_divergence(f, p, q)        # any other, of its f
    variational_bound(conjugate, t, p, q)  # what a discriminator t earns of it
    estimate(f, log_ratio)       # f-divergence from samples of q with known log p/q, and its error
    wasserstein(p, q, x)         # W₁ of probabilities at points x on the line, exact

p or q may be zero anywhere: what has no finite divergence is inf. The sums take NumPy arrays or
JAX's, and are of their dtype.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

Array = Any  # of NumPy or JAX
Weights = Any  # volumes of cells [..., K], or one number


def kl(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes KL(p‖q) = Σ p log p/q - p + q, in nats. Kullback & Leibler 1951.

  The masses cancel for distributions. With them no term is negative, and equal p and q give 0.

  Args:
    p: probabilities, or densities on a grid, [..., K], >= 0.
    q: the same.
    weights: 1 for probabilities; for densities the volume of each cell.

  Returns:
    [...], >= 0; inf where p is not absolutely continuous with respect to q.
  """
  xp = _namespace(p, q)
  both = (p > 0) & (q > 0)
  ratio = xp.where(both, p, 1) / xp.where(both, q, 1)
  terms = xp.where(both, p * xp.log(ratio) - p + q, xp.where(p > 0, xp.inf, q))
  return xp.sum(weights * _without_rounding(terms), axis=-1)


def reverse_kl(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes KL(q‖p) = Σ q log q/p; arguments as for `kl`."""
  return kl(q, p, weights)


def jensen_shannon(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes JSD(p, q) = ½ KL(p‖m) + ½ KL(q‖m), m = (p+q)/2, from 0 to log 2. Lin 1991.

  Arguments as for `kl`.
  """
  both = p + q  # not halved, which would make a zero of the smallest of numbers
  return (kl(2 * p, both, weights) + kl(2 * q, both, weights)) / 4


def total_variation(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes TV(p, q) = ½ Σ |p-q|, from 0 to 1; arguments as for `kl`."""
  xp = _namespace(p, q)
  return xp.sum(weights * xp.abs(p - q), axis=-1) / 2


def pearson(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes Pearson's χ²(p‖q) = Σ (p-q)²/q; arguments as for `kl`, inf as there."""
  xp = _namespace(p, q)
  terms = xp.where(q > 0, (p - q) ** 2 / xp.where(q > 0, q, 1), xp.where(p > 0, xp.inf, 0))
  return xp.sum(weights * terms, axis=-1)


def neyman(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes Neyman's χ², Σ (p-q)²/p; arguments as for `kl`, inf where q is positive and p not."""
  return pearson(q, p, weights)


def squared_hellinger(p: Array, q: Array, weights: Weights = 1.0) -> Array:
  """Computes H²(p, q) = Σ (√p - √q)², from 0 to 2 (no ½); arguments as for `kl`."""
  xp = _namespace(p, q)
  some = p + q > 0  # roots of two zeros would have slopes of infinity times 0
  terms = (xp.sqrt(xp.where(some, p, 1)) - xp.sqrt(xp.where(some, q, 1))) ** 2
  return xp.sum(weights * terms, axis=-1)


def f_divergence(
  f: Callable[[Array], Array],
  p: Array,
  q: Array,
  weights: Weights = 1.0,
  limits: tuple[float, float] | None = None,
) -> Array:
  """Computes D_f(p‖q) = Σ q f(p/q) for any f. Csiszár 1967; Ali & Silvey 1966.

  Where p = 0 a term is q f(0), where q = 0 it is p f'(∞), with the slope f'(∞) = lim f(u)/u.

  Args:
    f: convex on u > 0, with f(1) = 0; such as `gan_jax.losses.kl.generator`.
    p: as for `kl`.
    q: the same.
    weights: as for `kl`.
    limits: (f(0), f'(∞)), each a number or inf. If None, f is evaluated far out to find them, which
      takes an f that comes near its limits at least as fast as u^0.1.

  Returns:
    [...], >= 0 up to rounding for distributions; inf where a limit that is needed is infinite.
  """
  xp = _namespace(p, q)
  both = (p > 0) & (q > 0)
  values = f(xp.where(both, p, 1) / xp.where(both, q, 1))
  if limits is None:
    tiny = xp.asarray(xp.finfo(values.dtype).tiny)
    limits = _at_zero(f, tiny), _at_zero(lambda u: u * f(1 / u), tiny)
  at_zero, slope = limits
  terms = xp.where(both, q * values, xp.where(p > 0, _times(p, slope), _times(q, at_zero)))
  return xp.sum(weights * terms, axis=-1)


def _at_zero(f: Callable[[Array], Array], tiny: Array) -> Array:
  """Estimates f(0+) of a convex f: its value near 0, or inf if it still grows there."""
  near, nearer = f(tiny**0.25), f(tiny**0.5)  # the squares of neither under- or overflow
  xp = _namespace(nearer)
  settled = xp.isfinite(nearer) & (xp.abs(nearer - near) < 0.02 * (1 + xp.abs(near)))
  return xp.where(settled, nearer, xp.inf)


def _times(mass: Array, limit: Any) -> Array:
  """Multiplies with 0 ∞ = 0, and with no NaN among the gradients."""
  xp = _namespace(mass)
  finite = xp.isfinite(limit)
  return xp.where(finite | (mass == 0), mass * xp.where(finite, limit, 0), xp.inf)


def variational_bound(
  conjugate: Callable[[Array], Array], t: Array, p: Array, q: Array, weights: Weights = 1.0
) -> Array:
  """Computes E_p t - E_q f*(t) <= D_f(p‖q), with equality at t = f'(p/q).

  Nguyen, Wainwright, Jordan 2010, arXiv:0809.0853; Nowozin, Cseke, Tomioka 2016, arXiv:1606.00709.

  Args:
    conjugate: f*(t) = sup_u ut - f(u), such as `gan_jax.losses.kl.conjugate`.
    t: the discriminator, [..., K], in the domain of f*. Where p or q is 0 its term counts as 0,
      whatever t is.
    p: as for `kl`.
    q: the same.
    weights: as for `kl`.

  Returns:
    [...].
  """
  xp = _namespace(t, p, q)
  earned = xp.where(p > 0, p * xp.where(p > 0, t, 0), 0)
  paid = xp.where(q > 0, q * conjugate(t), 0)
  return xp.sum(weights * (earned - paid), axis=-1)


class Estimate(NamedTuple):
  """A mean over samples.

  Attributes:
    value: the mean.
    error: its standard error; meaningless if the samples' variance is infinite.
  """

  value: float
  error: float


def estimate(f: Callable[[Array], Array], log_ratio: Array) -> Estimate:
  """Estimates D_f(p‖q) = E_q f(p/q) from samples of q, by the plain mean.

  Unbiased where the ratio is exact. Mass of p where q has none is never seen, so it is a lower
  bound there.

  Args:
    f: convex with f(1) = 0, such as `gan_jax.losses.kl.generator`.
    log_ratio: [n], log p/q at n >= 2 independent samples of q.

  Returns:
    The mean and its standard error.

  Raises:
    ValueError: for fewer than two samples.
  """
  terms = np.asarray(f(np.exp(np.asarray(log_ratio, np.float64))), np.float64)
  if terms.ndim != 1 or len(terms) < 2:
    raise ValueError(f"log_ratio must be [n] with n >= 2 samples, got {list(terms.shape)}")
  return Estimate(float(terms.mean()), float(terms.std(ddof=1) / math.sqrt(len(terms))))


def wasserstein(p: Array, q: Array, x: Array) -> Array:
  """Computes W₁ between distributions at the same points of the line, exactly: ∫ |P - Q| dx.

  Args:
    p: probabilities [..., K].
    q: the same.
    x: where they are, [K], increasing.

  Returns:
    [...], in units of x.
  """
  xp = _namespace(p, q)
  return xp.sum(xp.abs(xp.cumsum(p - q, axis=-1)[..., :-1]) * (x[1:] - x[:-1]), axis=-1)


def _without_rounding(terms: Array) -> Array:
  """Moves terms that rounding has made negative to 0, with the derivatives of the terms."""
  # A maximum with 0 has half of their slope where they are 0, as all are at p = q, and so would
  # halve second derivatives there: the Fisher information.
  xp = _namespace(terms)
  below = xp.minimum(terms, 0)
  return terms - (below if xp is np else jax.lax.stop_gradient(below))


def _namespace(*arrays: Array) -> Any:
  """Returns the library of the arrays: JAX's if one of them is JAX's."""
  namespaces = [array.__array_namespace__() for array in arrays]
  return next((xp for xp in namespaces if xp is not np), np)
