"""Adversarial losses of both players: one value a loss, one signature for all.

A loss is a pair of functions (real_logits [B], fake_logits [B]) -> [B], to be minimised. Below,
a = D(x) are logits of real examples and b = D(G(z)) of fakes, E is the mean over the batch, p and q
are the densities of data and fakes, σ the sigmoid. Softplus, never log(sigmoid + eps).

Everything is per example and keeps the dtype of the logits, float32 in a game. To add a loss, write
one value and its line in `LOSSES`; tests/losses/test_adversarial.py then holds it to the contract
of all.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import relu, softplus

from gan_jax.checks import is_number, shown, takes
from gan_jax.losses.divergences import DIVERGENCES, Divergence, jensen_shannon, kl, reverse_kl

Side = Callable[[jax.Array, jax.Array], jax.Array]  # (real_logits [B], fake_logits [B]) -> [B]


class AdversarialLoss(NamedTuple):
  """The losses of the two players.

  Attributes:
    discriminator: (real_logits [B], fake_logits [B]) -> [B]; an `objectives.Term` if that side has
      a memory.
    generator: (real_logits [B], fake_logits [B]) -> [B].
    probability: whether logits are log-odds, log p/q at the optimum, so that D(x) = σ(a) is the
      probability that x is real.
    signed: whether optimal logits are above 0 where data are likelier than fakes, and below where
      they are not, so that the sign of a logit says real or fake.
    distance: whether the discriminator's loss is the negative of a distance of p and q at the
      optimum, and of an estimate before.
    uses_real: whether the generator's side depends on real_logits. A generator that does not
      consumes no data: an epoch is an epoch of what the discriminator sees.
    couples: whether an example's value depends on the logits of others, which are then those of
      the global batch.
    headline: {what it is called: metric} to show of this loss while it is played.
  """

  discriminator: Side | Any  # a Term, of a module that imports this one
  generator: Side
  probability: bool = False
  signed: bool = False
  distance: bool = False
  uses_real: bool = False
  couples: bool = False
  headline: Mapping[str, str] = {}


def _cross_entropy(a: jax.Array, b: jax.Array) -> jax.Array:
  """-log D(x) - log(1 - D(G(z))): optimal logits log p/q, value 2 log 2 - 2 JSD(p, q)."""
  return softplus(-a) + softplus(b)


minimax = AdversarialLoss(
  discriminator=_cross_entropy,
  generator=lambda a, b: -softplus(b),
  probability=True,
  signed=True,
)
"""The zero-sum game, G descends log(1 - D). Goodfellow et al. 2014, arXiv:1406.2661.

Saturates: the slope in b is σ(b), which vanishes where the discriminator is confident, b << 0.
At the optimal discriminator G minimises 2 JSD(p, q) - 2 log 2.
"""

non_saturating = AdversarialLoss(
  discriminator=_cross_entropy,
  generator=lambda a, b: softplus(-b),
  probability=True,
  signed=True,
)
"""G descends -log D. Goodfellow et al. 2014, arXiv:1406.2661, section 3.

The same fixed point as `minimax`, another gradient: the slope in b is 1 - σ(b) -> 1 for b << 0.
At the optimal discriminator G descends KL(q‖p) - 2 JSD(p, q) (Arjovsky & Bottou 2017,
arXiv:1701.04862).
"""

maximum_likelihood = AdversarialLoss(
  discriminator=_cross_entropy,
  generator=lambda a, b: -jnp.exp(b),
  probability=True,
  signed=True,
)
"""G descends -D/(1 - D) = -exp(b). Goodfellow 2014, arXiv:1412.6515.

At the optimal discriminator exp(b) = p/q, and the gradient is that of KL(p‖q). Its variance is
large: few fakes with large logits carry all of it. Finite in float32 for b < 88.
"""

least_squares = AdversarialLoss(
  discriminator=lambda a, b: 0.5 * (a - 1) ** 2 + 0.5 * b**2,
  generator=lambda a, b: 0.5 * (b - 1) ** 2,
)
"""Regression on targets 1 and 0. Mao et al. 2017, arXiv:1611.04076.

Optimal logits p/(p+q), value ½ Σ pq/(p+q): the triangular discrimination Σ (p-q)²/(p+q) is
2 - 8 times this value.
"""

hinge = AdversarialLoss(
  discriminator=lambda a, b: relu(1 - a) + relu(1 + b),
  generator=lambda a, b: -b,
  signed=True,
)
"""The geometric GAN. Lim & Ye 2017, arXiv:1705.02894; Tran et al. 2017, arXiv:1702.08896.

Optimal logits sign(p - q), value 2 - ‖p - q‖₁ (total variation).
"""

wasserstein = AdversarialLoss(
  discriminator=lambda a, b: b - a,
  generator=lambda a, b: -b,
  distance=True,
)
"""The Kantorovich dual. Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875.

Over 1-Lipschitz discriminators the value is -W₁(p, q). It enforces nothing: add `gradient_penalty`,
spectral normalisation or weight clipping.
"""

relativistic = AdversarialLoss(
  discriminator=lambda a, b: softplus(b - a),
  generator=lambda a, b: softplus(a - b),
  uses_real=True,
)
"""Real i against fake i, RpGAN. Jolicoeur-Martineau 2018, arXiv:1807.00734.

Optimal logits log p/q + const, value log 2 - JSD(p⊗q, q⊗p). R3GAN (Huang et al. 2025,
arXiv:2501.05441) is this with `r1` and `r2`.
"""


def _relativistic_average(cost: Callable[[jax.Array], jax.Array]) -> AdversarialLoss:
  """Builds a loss of the cost of each logit, less the mean logit of the other kind.

  Jolicoeur-Martineau 2018, arXiv:1807.00734. The means are over the arrays given, which are to be
  the logits of the global batch. The two parts add up; they are not halved.
  """
  return AdversarialLoss(
    discriminator=lambda a, b: cost(a - jnp.mean(b)) + cost(jnp.mean(a) - b),
    generator=lambda a, b: cost(b - jnp.mean(a)) + cost(jnp.mean(b) - a),
    uses_real=True,
    couples=True,
  )


relativistic_average = _relativistic_average(lambda t: softplus(-t))
"""RaSGAN: the cross-entropy form."""

relativistic_average_hinge = _relativistic_average(lambda t: relu(1 - t))
"""RaHingeGAN: the hinge form."""

relativistic_average_least_squares = _relativistic_average(lambda t: 0.5 * (t - 1) ** 2)
"""RaLSGAN: the least-squares form. A difference of logits is odd, so its targets are 1 and -1."""


def f_gan(divergence: Divergence, alternative: bool = False) -> AdversarialLoss:
  """Builds the loss of the variational bound of an f-divergence.

  Nowozin, Cseke, Tomioka 2016, arXiv:1606.00709. D minimises -g_f(a) + f*(g_f(b)), whose optimum is
  -D_f(p‖q) at g_f = f'(p/q); G minimises -f*(g_f(b)), the exact negative of D's fake term.

  Args:
    divergence: the divergence.
    alternative: whether G minimises -g_f(b) instead, as `non_saturating` does (section 3.2).
  """
  if not isinstance(divergence, Divergence):
    raise ValueError(
      f"divergence is {shown(divergence)}: expected a Divergence, such as DIVERGENCES['kl']"
    )
  activation, conjugate = divergence.activation, divergence.conjugate_activation
  return AdversarialLoss(
    discriminator=lambda a, b: conjugate(b) - activation(a),
    generator=(lambda a, b: -activation(b)) if alternative else (lambda a, b: -conjugate(b)),
    probability=divergence in (reverse_kl, jensen_shannon),  # g_f(log u) is f'(u) there
    signed=divergence is not kl,  # whose optimal logits are 1 + log p/q
    distance=True,
  )


def smooth(loss: AdversarialLoss, real_target: float) -> AdversarialLoss:
  """Smooths the label of real examples, one-sided. Salimans et al. 2016, arXiv:1606.03498.

  For the cross-entropy losses (`minimax`, `non_saturating`, `maximum_likelihood`) a target r means
  r sp(-a) + (1 - r) sp(a), for `least_squares` ½(a - r)². The fake term and G stay as they are.

  Args:
    loss: one of the four losses that have a target.
    real_target: r in (0, 1]; 1 is no smoothing and leaves any loss as it is.

  Returns:
    The smoothed loss.

  Raises:
    ValueError: if r is out of range, or the loss has no target to smooth.
  """
  check_loss(loss)
  if not is_number(real_target, lambda x: 0 < x <= 1):
    raise ValueError(f"the target of real examples must be in (0, 1], got {shown(real_target)}")
  if real_target == 1:
    return loss
  r = real_target
  if loss.discriminator is _cross_entropy:
    smoothed: Side = lambda a, b: r * softplus(-a) + (1 - r) * softplus(a) + softplus(b)
  elif loss.discriminator is least_squares.discriminator:
    smoothed = lambda a, b: 0.5 * (a - r) ** 2 + 0.5 * b**2
  else:
    raise ValueError(
      "labels can be smoothed for minimax, non_saturating, maximum_likelihood and least_squares; "
      "the other losses have no target for real examples: leave real_target at 1"
    )
  return loss._replace(discriminator=smoothed)


def check_loss(loss: Any) -> None:
  """Checks that `loss` is an AdversarialLoss, and declares its dependencies."""
  from gan_jax.losses.objectives import Term  # which imports this module

  if not isinstance(loss, AdversarialLoss):
    hint = f", such as losses.{loss}" if isinstance(loss, str) and loss in LOSSES else ""
    raise ValueError(f"loss is {shown(loss)}: expected an AdversarialLoss{hint}")
  if any(loss is known for known in LOSSES.values()):  # tests check them, and each takes .2 s
    return
  sides = {"discriminator": loss.discriminator, "generator": loss.generator}
  if isinstance(loss.discriminator, Term):  # which declares its own
    del sides["discriminator"]
  for name, side in sides.items():
    if not takes(side, "real_logits", "fake_logits"):
      raise ValueError(
        f"the {name}'s side of the loss is {shown(side)}: expected a function (real_logits [B], "
        "fake_logits [B]) -> [B]"
      )
  if reaches_real(loss.generator) and not loss.uses_real:
    raise ValueError(
      "the generator's side of the loss depends on real_logits: declare AdversarialLoss(..., "
      "uses_real=True), so that its moves are given real data of their own"
    )
  if not loss.couples and any(map(depends_on_others, sides.values())):
    raise ValueError(
      "an example's value of the loss depends on the logits of others, as means over the batch do: "
      "declare AdversarialLoss(..., couples=True), so that it is given those of the global batch"
    )


def reaches_real(side: Side) -> bool:
  """Checks whether the first argument reaches the result, by the jaxpr; in doubt it does."""
  logits = jax.ShapeDtypeStruct((2,), jnp.float32)
  with jax.disable_jit():  # inlines: a jitted function takes its unused arguments along
    jaxpr = jax.make_jaxpr(side)(logits, logits).jaxpr
  reached = {id(jaxpr.invars[0])}
  for equation in jaxpr.eqns:
    if any(id(x) in reached for x in equation.invars):
      reached |= {id(x) for x in equation.outvars}
  return any(id(x) in reached for x in jaxpr.outvars)


def depends_on_others(side: Side) -> bool:
  """Checks whether a NaN among the logits of one example reaches the value of another."""
  with jax.ensure_compile_time_eval(), jax.debug_nans(False):
    clean, bad = jnp.zeros(2), jnp.array([0.0, jnp.nan])
    return any(bool(jnp.isnan(side(*pair)[0])) for pair in ((bad, clean), (clean, bad)))


LOSSES: dict[str, AdversarialLoss] = {
  "minimax": minimax,
  "non_saturating": non_saturating,
  "maximum_likelihood": maximum_likelihood,
  "least_squares": least_squares,
  "hinge": hinge,
  "wasserstein": wasserstein,
  "relativistic": relativistic,
  "relativistic_average": relativistic_average,
  "relativistic_average_hinge": relativistic_average_hinge,
  "relativistic_average_least_squares": relativistic_average_least_squares,
  **{f"f_gan_{name}": f_gan(f) for name, f in DIVERGENCES.items()},
  **{f"f_gan_{name}_alternative": f_gan(f, alternative=True) for name, f in DIVERGENCES.items()},
}
