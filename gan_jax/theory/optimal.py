"""Discriminators at their best, and what the generator then minimises.

On K points with probabilities p (data) and q (fakes) a discriminator is K free logits, and the
theorems are exact. `OPTIMA` is the table of them, by the name of the loss in `gan_jax.losses`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from gan_jax.theory.divergences import (
  Array,
  _namespace,
  jensen_shannon,
  kl,
  neyman,
  pearson,
  reverse_kl,
  squared_hellinger,
  total_variation,
)

Side = Callable[[Array, Array], Array]  # one side of a loss, as in gan_jax.losses
OfTwo = Callable[[Array, Array], Array]  # a function of p and q


class Optimum(NamedTuple):
  """A theorem about a loss.

  Attributes:
    logits: (p, q) -> optimal logits [K], where p and q are positive.
    loss: (p, q) -> the discriminator's loss there.
    criterion: (p, q) -> C(G) up to a constant: what the generator descends at the optimal
      discriminator, which it takes as fixed. None where no such function of p and q is known.
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
  i, j = (x.ravel() for x in xp.indices((len(p), len(q))))
  return xp.sum(p[i] * q[j] * side(logits[i], logits[j]))


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


def _log_ratio(p: Array, q: Array) -> Array:
  return _namespace(p, q).log(p / q)


def _of_pairs(p: Array, q: Array) -> Array:
  """log 2 - JSD(p⊗q, q⊗p)."""
  outer = lambda a, b: (a[:, None] * b[None, :]).ravel()
  return math.log(2) - jensen_shannon(outer(p, q), outer(q, p))


def _cross_entropy(criterion: OfTwo) -> Optimum:
  loss = lambda p, q: 2 * math.log(2) - 2 * jensen_shannon(p, q)
  return Optimum(_log_ratio, loss, criterion)


def _f_gan(logits: OfTwo, divergence: OfTwo) -> Optimum:
  return Optimum(logits, lambda p, q: -divergence(p, q), divergence)


def _two_jensen_shannon(p: Array, q: Array) -> Array:
  return 2 * jensen_shannon(p, q)


SATURATED = 40.0  # logits that stand for ±∞: tanh and σ are there to float64

OPTIMA: dict[str, Optimum] = {
  "minimax": _cross_entropy(_two_jensen_shannon),
  "non_saturating": _cross_entropy(lambda p, q: reverse_kl(p, q) - 2 * jensen_shannon(p, q)),
  "maximum_likelihood": _cross_entropy(kl),
  "least_squares": Optimum(
    lambda p, q: p / (p + q), lambda p, q: _namespace(p, q).sum(p * q / (p + q)) / 2
  ),
  "hinge": Optimum(
    lambda p, q: _namespace(p, q).sign(p - q), lambda p, q: 2 - 2 * total_variation(p, q)
  ),
  "relativistic": Optimum(_log_ratio, _of_pairs),
  "f_gan_kl": _f_gan(lambda p, q: 1 + _log_ratio(p, q), kl),
  "f_gan_reverse_kl": _f_gan(_log_ratio, reverse_kl),
  "f_gan_pearson": _f_gan(lambda p, q: 2 * p / q - 2, pearson),
  "f_gan_neyman": _f_gan(lambda p, q: 2 * _log_ratio(p, q), neyman),
  "f_gan_squared_hellinger": _f_gan(lambda p, q: _log_ratio(p, q) / 2, squared_hellinger),
  "f_gan_jensen_shannon": _f_gan(_log_ratio, _two_jensen_shannon),
  "f_gan_total_variation": _f_gan(
    lambda p, q: SATURATED * _namespace(p, q).sign(p - q), total_variation
  ),
}
"""Wasserstein is not among them: its discriminator needs a metric; see `kantorovich`."""
