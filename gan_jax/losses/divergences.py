"""The f-divergences of f-GANs, each with the functions of its variational bound."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus


class Divergence(NamedTuple):
  """An f-divergence D_f(p‖q) = Σ q f(p/q) and the functions of its variational bound.

  Nowozin, Cseke, Tomioka 2016, arXiv:1606.00709, tables 2 and 6; f is convex with f(1) = 0. Every
  discriminator T has E_p T - E_q f*(T) <= D_f(p‖q), with equality at T = f'(p/q). T = g_f(v) is the
  logit v taken into the domain of f*; every g_f is increasing here, so a large v means real.

  Attributes:
    generator: f, of the density ratio u = p/q > 0.
    derivative: f'(u).
    conjugate: f*(t) = sup_u ut - f(u), for t in the range of f'.
    activation: g_f(v), of any real v.
    conjugate_activation: f*(g_f(v)) in closed form: the composition would lose it to rounding.
  """

  generator: Callable[[jax.Array], jax.Array]
  derivative: Callable[[jax.Array], jax.Array]
  conjugate: Callable[[jax.Array], jax.Array]
  activation: Callable[[jax.Array], jax.Array]
  conjugate_activation: Callable[[jax.Array], jax.Array]


kl = Divergence(
  generator=lambda u: u * jnp.log(u),
  derivative=lambda u: 1 + jnp.log(u),
  conjugate=lambda t: jnp.exp(t - 1),
  activation=lambda v: v,
  conjugate_activation=lambda v: jnp.exp(v - 1),
)
"""Kullback-Leibler, Σ p log p/q."""

reverse_kl = Divergence(
  generator=lambda u: -jnp.log(u),
  derivative=lambda u: -1 / u,
  conjugate=lambda t: -1 - jnp.log(-t),
  activation=lambda v: -jnp.exp(-v),
  conjugate_activation=lambda v: v - 1,
)
"""Reverse Kullback-Leibler, Σ q log q/p."""

pearson = Divergence(
  generator=lambda u: (u - 1) ** 2,
  derivative=lambda u: 2 * (u - 1),
  conjugate=lambda t: 0.25 * t**2 + t,
  activation=lambda v: v,
  conjugate_activation=lambda v: 0.25 * v**2 + v,
)
"""Pearson's χ², Σ (p-q)²/q."""

neyman = Divergence(
  generator=lambda u: (1 - u) ** 2 / u,
  derivative=lambda u: 1 - u**-2,
  conjugate=lambda t: 2 - 2 * jnp.sqrt(1 - t),
  activation=lambda v: -jnp.expm1(-v),
  conjugate_activation=lambda v: -2 * jnp.expm1(-0.5 * v),
)
"""Neyman's χ², Σ (p-q)²/p."""

squared_hellinger = Divergence(
  generator=lambda u: (jnp.sqrt(u) - 1) ** 2,
  derivative=lambda u: 1 - u**-0.5,
  conjugate=lambda t: t / (1 - t),
  activation=lambda v: -jnp.expm1(-v),
  conjugate_activation=lambda v: jnp.expm1(v),
)
"""Squared Hellinger distance, Σ (√p - √q)²."""

_LOG_2 = 0.6931471805599453

jensen_shannon = Divergence(
  generator=lambda u: u * jnp.log(u) - (u + 1) * jnp.log((u + 1) / 2),
  derivative=lambda u: jnp.log(2 * u / (u + 1)),
  conjugate=lambda t: -jnp.log(2 - jnp.exp(t)),
  activation=lambda v: _LOG_2 - softplus(-v),
  conjugate_activation=lambda v: softplus(v) - _LOG_2,
)
"""Twice the Jensen-Shannon divergence, Σ p log 2p/(p+q) + q log 2q/(p+q).

The f without ½, as in the paper's table 2. The loss is `minimax` less the constant 2 log 2.
"""

total_variation = Divergence(
  generator=lambda u: 0.5 * jnp.abs(u - 1),
  derivative=lambda u: 0.5 * jnp.sign(u - 1),
  conjugate=lambda t: t,
  activation=lambda v: 0.5 * jnp.tanh(v),
  conjugate_activation=lambda v: 0.5 * jnp.tanh(v),
)
"""Total variation, ½ Σ |p-q|. Its optimal T = ±½ is reached as v -> ±∞."""

DIVERGENCES: dict[str, Divergence] = {
  "kl": kl,
  "reverse_kl": reverse_kl,
  "pearson": pearson,
  "neyman": neyman,
  "squared_hellinger": squared_hellinger,
  "jensen_shannon": jensen_shannon,
  "total_variation": total_variation,
}
