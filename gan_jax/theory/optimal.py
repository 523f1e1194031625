"""Optimal discriminators, and the criterion of the generator there.

On K points with probabilities p (data) and q (fakes) a discriminator is K free logits, and the
theorems are exact. `OPTIMA` is the table of them, by the name of the loss in `gan_jax.losses`.

The discriminator's loss is smallest there, so that it has the same gradient in q whether the
logits are held or move along with q (the envelope theorem). Where the generator's loss is not the
negative of it, what the generator descends is something else: its criterion.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax

from gan_jax.theory.divergences import (
  Array,
  _namespace,
  f_divergence,
  jensen_shannon,
  kl,
  neyman,
  pearson,
  reverse_kl,
  squared_hellinger,
  total_variation,
  wasserstein,
)

Side = Callable[[Array, Array], Array]  # one side of a loss, as in gan_jax.losses
OfTwo = Callable[[Array, Array], Array]  # a function of p and q


class Optimum(NamedTuple):
  """A theorem about a loss.

  Attributes:
    logits: (p, q) -> optimal logits [K], where p and q are positive.
    loss: (p, q) -> the discriminator's loss there.
    criterion: (p, q) -> C(G) up to a constant: what the generator descends at the optimal
      discriminator, which it takes as fixed. None where no function has this gradient.
  """

  logits: OfTwo
  loss: OfTwo
  criterion: OfTwo | None = None


def value(logits: Array, p: Array, q: Array) -> Array:
  """Computes V(D, G) = E_p log D + E_q log(1 - D). Goodfellow et al. 2014, arXiv:1406.2661.

  Args:
    logits: of D = σ(logits), [K].
    p: probabilities of data, [K].
    q: of fakes, [K].

  Returns:
    A number <= 0; -log 4 + 2 JSD(p, q) at the optimal logits log p/q.
  """
  xp = _namespace(logits, p, q)
  softplus = lambda x: xp.logaddexp(x, xp.zeros_like(x))
  return -xp.sum(p * softplus(-logits)) - xp.sum(q * softplus(logits))


def expected(side: Side, logits: Array, p: Array, q: Array) -> Array:
  """Computes the expectation of one side of a loss over independent real and fake examples.

  Args:
    side: (real_logits [n], fake_logits [n]) -> [n], without averages over the batch.
    logits: [K].
    p: probabilities of data, [K].
    q: of fakes, [K].

  Returns:
    Σᵢⱼ pᵢ qⱼ side(logitsᵢ, logitsⱼ).
  """
  xp = _namespace(logits, p, q)
  logits, p, q = map(xp.asarray, (logits, p, q))
  i, j = (x.ravel() for x in xp.indices((len(p), len(q))))
  return xp.sum(p[i] * q[j] * side(logits[i], logits[j]))


def generator_gradient(side: Side, logits: Array, p: Array, q: Array) -> jax.Array:
  """Differentiates the generator's expected loss in q, the discriminator held where it is.

  Args:
    side: as for `expected`.
    logits: [K], such as the optimal ones of p and q.
    p: probabilities of data, [K].
    q: of fakes, [K].

  Returns:
    The gradient [K] along the simplex: its mean, which no change of q can follow, is taken out.
  """
  slope = jax.grad(lambda q: expected(side, logits, p, q))(q)
  return slope - slope.mean()


def kantorovich(p: Array, q: Array, x: Array) -> Array:
  """Computes the optimal 1-Lipschitz critic on the line, which is 0 at the first point.

  Its slope is ±1: it rises where fakes lie further to the left than data, so E_p - E_q of it is W₁.

  Args:
    p: probabilities of data, [K].
    q: of fakes, [K].
    x: where they are, [K], increasing.

  Returns:
    The potential [K].
  """
  xp = _namespace(p, q)
  steps = -xp.sign(xp.cumsum(p - q, axis=-1)[:-1]) * (x[1:] - x[:-1])
  return xp.concatenate([xp.zeros_like(steps[:1]), xp.cumsum(steps, axis=-1)])


def lipschitz(x: Array) -> Optimum:
  """Builds the theorem of `wasserstein` over 1-Lipschitz discriminators on the line.

  Kantorovich & Rubinstein 1958; Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, theorem 3.

  Args:
    x: where the probabilities are, [K], increasing.

  Returns:
    The potential, -W₁, and the criterion W₁.
  """
  distance = lambda p, q: wasserstein(p, q, x)
  return Optimum(lambda p, q: kantorovich(p, q, x), lambda p, q: -distance(p, q), distance)


class DirectionalOptimum(NamedTuple):
  """The theorem of CAFM at one place and time.

  Attributes:
    slope: s [d], D's gradient in x; its derivative in t is `fake` - s·u.
    fake: the directional derivative along the generator's velocity, s·u + r.
    loss: the discriminator's loss there.
    criterion: C(u) up to a constant: what the generator descends at the optimal discriminator.
  """

  slope: Array
  fake: Array
  loss: Array
  criterion: Array


def directional(gap: Array, covariance: Array) -> DirectionalOptimum:
  """Computes the optimum of CAFM's least squares of directional derivatives.

  At a place and time where data pass at velocities v of the mean m and covariance Σ, and the
  generator's velocity is u, D chooses s and r of its derivative s·v + r to be 1 of data and -1 of
  the generator. With Δ = (m - u)ᵀ Σ⁻¹ (m - u) its loss is 4 / (2 + Δ), and G descends 4 log(2 + Δ)
  + 4 / (2 + Δ): its one rest is u = m, the velocity of flow matching. That s and r are derivatives
  of one function of all places and times is left out, as is D's centering. arXiv:2604.11521.

  Args:
    gap: m - u, [d].
    covariance: Σ [d, d], invertible.

  Returns:
    The optimum.
  """
  xp = _namespace(gap, covariance)
  direction = xp.linalg.solve(covariance, gap)
  delta = xp.sum(gap * direction)
  return DirectionalOptimum(
    slope=2 / (2 + delta) * direction,
    fake=-delta / (2 + delta),
    loss=4 / (2 + delta),
    criterion=4 * xp.log(2 + delta) + 4 / (2 + delta),
  )


def _log_ratio(p: Array, q: Array) -> Array:
  return _namespace(p, q).log(p / q)


def _triangular(p: Array, q: Array) -> Array:
  """Σ (p-q)²/(p+q), from 0 to 2."""
  return _namespace(p, q).sum((p - q) ** 2 / (p + q), axis=-1)


def _of_pairs(p: Array, q: Array) -> Array:
  """log 2 - JSD(p⊗q, q⊗p)."""
  outer = lambda a, b: (a[:, None] * b[None, :]).ravel()
  return math.log(2) - jensen_shannon(outer(p, q), outer(q, p))


def _two_jensen_shannon(p: Array, q: Array) -> Array:
  return 2 * jensen_shannon(p, q)


def _cross_entropy(criterion: OfTwo) -> Optimum:
  loss = lambda p, q: 2 * math.log(2) - _two_jensen_shannon(p, q)
  return Optimum(_log_ratio, loss, criterion)


def _f_gan(logits: OfTwo, divergence: OfTwo, alternative: OfTwo) -> tuple[Optimum, Optimum]:
  """The theorem of an f-GAN, and the one where G descends -g_f(b), which is -f'(p/q)."""
  exact = Optimum(logits, lambda p, q: -divergence(p, q), divergence)
  return exact, exact._replace(criterion=alternative)


def _power(scale: float, exponent: float) -> OfTwo:
  """Σ scale q (q/p)^exponent, for exponents > 0."""
  f = lambda u: scale * u**-exponent
  return lambda p, q: f_divergence(f, p, q, limits=(math.inf, 0.0))


def _relativistic_average_least_squares() -> Optimum:
  """Logits c (p-q)/(p+q), c = 4/(2+3Δ), Δ the triangular discrimination.

  The discriminator's loss is quadratic, and with logits that are 0 on average over p and q its
  normal equations say this. Along the simplex the generator's gradient is c²w²/2 - (4c-c²) w with
  w = (p-q)/(p+q), whose Jacobian is not symmetric: there is no criterion. The other relativistic
  averages are left out, as their optimum is the root of a transcendental equation (cross-entropy)
  or the corner of a linear programme (hinge) in which the averages of the logits stand themselves.
  """
  logits = lambda p, q: 4 / (2 + 3 * _triangular(p, q)) * (p - q) / (p + q)
  loss = lambda p, q: (2 - _triangular(p, q)) / (2 + 3 * _triangular(p, q))
  return Optimum(logits, loss)


def _table() -> dict[str, Optimum]:
  """Builds `OPTIMA`; each criterion is an integral over q, cell by cell, of G's loss."""
  # Of a fake with v = log p/q, G's loss exceeds D's by log q/p: softplus(-v) = softplus(v) - v. So
  # the criterion exceeds D's loss by KL(q‖p); the same for pairs.
  cross_entropy = _cross_entropy(_two_jensen_shannon)
  heuristic = lambda p, q: reverse_kl(p, q) + cross_entropy.loss(p, q)
  of_pairs = lambda p, q: reverse_kl(p, q) + _of_pairs(p, q)
  half_of_squares = lambda p, q: _namespace(p, q).sum(p * q / (p + q)) / 2
  saturated = lambda p, q: SATURATED * _namespace(p, q).sign(p - q)

  f_gans = {
    "kl": _f_gan(lambda p, q: 1 + _log_ratio(p, q), kl, reverse_kl),
    "reverse_kl": _f_gan(_log_ratio, reverse_kl, _power(1 / 2, 1)),
    "pearson": _f_gan(lambda p, q: 2 * p / q - 2, pearson, lambda p, q: 2 * kl(p, q)),
    "neyman": _f_gan(lambda p, q: 2 * _log_ratio(p, q), neyman, _power(1 / 3, 2)),
    "squared_hellinger": _f_gan(
      lambda p, q: _log_ratio(p, q) / 2, squared_hellinger, _power(2 / 3, 1 / 2)
    ),
    "jensen_shannon": _f_gan(_log_ratio, _two_jensen_shannon, heuristic),
    "total_variation": _f_gan(saturated, total_variation, total_variation),
  }
  return {
    "minimax": cross_entropy,
    "non_saturating": _cross_entropy(heuristic),
    "maximum_likelihood": _cross_entropy(kl),
    "least_squares": Optimum(
      lambda p, q: p / (p + q),
      half_of_squares,
      lambda p, q: kl(p, (p + q) / 2) + half_of_squares(p, q),
    ),
    "hinge": Optimum(
      lambda p, q: _namespace(p, q).sign(p - q),
      lambda p, q: 2 - 2 * total_variation(p, q),
      lambda p, q: 2 * total_variation(p, q),
    ),
    "relativistic": Optimum(_log_ratio, _of_pairs, of_pairs),
    "relativistic_average_least_squares": _relativistic_average_least_squares(),
    **{f"f_gan_{name}": exact for name, (exact, _) in f_gans.items()},
    **{f"f_gan_{name}_alternative": other for name, (_, other) in f_gans.items()},
  }


SATURATED = 40.0  # logits that stand for ±∞: tanh and σ are there to float64

OPTIMA: dict[str, Optimum] = _table()
"""Wasserstein is not among them: its discriminator needs a metric; see `lipschitz`."""
