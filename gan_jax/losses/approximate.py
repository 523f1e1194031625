"""R1 and R2 by finite differences, which need no second derivative, and centred logits.

For noise n ~ N(0, I), E ((D(x + εn) - D(x)) / ε)² is ‖∇D(x)‖² + O(ε²): for D of the gradient g and
the constant Hessian H, ‖g‖² + ¼ε² (2 ‖H‖² + (tr H)²). One draw n has the standard deviation
√2 ‖g‖², as much as the penalty itself.
"""

import jax
from jax.lax import stop_gradient

from gan_jax.checks import is_number, require, shown
from gan_jax.game.random import draw_like
from gan_jax.losses.consistency import Regularizer
from gan_jax.losses.objectives import Match, Term, stateless

# Factors of the squared slope, by publication. "gat" is about `r1` itself, "afm" twice that.
CONVENTIONS = {
  "gat": lambda epsilon: 0.5,  # arXiv:2509.24935, γ/2
  "afm": lambda epsilon: 1.0,  # arXiv:2511.22475
  "apt": lambda epsilon: epsilon**2,  # arXiv:2501.08316, 2506.09350: the change, not divided by ε
}


def r1_approximate(
  *, epsilon: float = 0.01, share: float = 1.0, convention: str = "gat"
) -> Regularizer:
  """Penalises the change of real logits under noise, which approximates r1.

  Both logits carry gradient. The noise is added to the example itself, before all views, whose
  draws are those of the logit: the augmentation of both is the same, as in GAT.

  Args:
    epsilon: standard deviation of the noise, in units of the data, > 0.
    share: share of the batch that is penalised, its first examples, with 1 / share times the value;
      0.25 in AFM. It changes the noise of the gradient; here it saves no time.
    convention: gat, ½(ΔD/ε)², the value of r1; afm, (ΔD/ε)², twice it; apt, (ΔD)², undivided.

  Returns:
    The regularizer.

  Raises:
    ValueError: if an option is out of range.
  """
  factor = _factor(epsilon, share, convention)

  def penalty(match: Match) -> jax.Array:
    x = match.real
    moved = match.discriminator(x + epsilon * draw_like(jax.random.normal, match.keys, x))
    return factor * _first(match, share) * squared_slope(moved, match.real_scores, epsilon)

  return penalty


def r2_approximate(*, epsilon: float = 0.01, share: float = 1.0, convention: str = "gat") -> Term:
  """Penalises the change of logits of fakes under noise, which approximates r2.

  Args:
    epsilon: as of `r1_approximate`.
    share: likewise.
    convention: likewise.

  Returns:
    The regularizer.

  Raises:
    ValueError: if an option is out of range.
  """
  factor = _factor(epsilon, share, convention)

  def penalty(match: Match) -> jax.Array:
    x = stop_gradient(match.fake)
    near = x + epsilon * draw_like(jax.random.normal, match.keys, x)
    # Computed anew: the logits of the match may be of another dropout mask or spectral norm.
    moved, logits = (match.discriminator(at, "fake") for at in (near, x))
    return factor * _first(match, share) * squared_slope(moved, logits, epsilon)

  return stateless(penalty, uses_real=False)


def centering(match: Match) -> jax.Array:
  """Penalises the sum of a pair's logits, (a + b)², which a relativistic loss leaves free.

  AFM, arXiv:2511.22475, where its weight is 0.01.

  Args:
    match: examples and logits of the discriminator's forward.

  Returns:
    [B] float32.
  """
  return (match.real_scores + match.fake_scores) ** 2


def squared_slope(moved: jax.Array, logits: jax.Array, epsilon: float) -> jax.Array:
  """Computes ((D(x + εn) - D(x)) / ε)² of both logits [B]: (n·∇D)² + O(ε)."""
  return ((moved - logits) / epsilon) ** 2


def penalised(share: float, size: int) -> int:
  """Counts the examples of a share of the batch: at least 1, and a half is rounded to even."""
  return max(round(share * size), 1)


def _first(match: Match, share: float) -> jax.Array:
  """Computes the weights [B] of the first examples of the global batch, whose mean is 1."""
  # Masked, not cut off: labels and devices are of the whole batch, whichever rows are penalised.
  chosen = penalised(share, match.global_size)
  return (match.places < chosen) * (match.global_size / chosen)


def _factor(epsilon: float, share: float, convention: str) -> float:
  """Checks the options, and computes what the squared change is multiplied by."""
  require(is_number(epsilon, lambda x: x > 0), f"epsilon is > 0, got {shown(epsilon)}")
  require(is_number(share, lambda x: 0 < x <= 1), f"the share is in (0, 1], got {shown(share)}")
  require(convention in CONVENTIONS, f"convention is gat, afm or apt, got {shown(convention)}")
  return CONVENTIONS[convention](epsilon)
