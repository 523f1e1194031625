"""Terms of the generator's loss: feature matching, and the best fakes alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.checks import is_number, require, shown
from gan_jax.game.schedules import Weight, value_at
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.objectives import Match, Term, logits_for, per_example, stateless

NORMS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "l2": lambda x: jnp.sum(x**2),
  "l1": lambda x: jnp.mean(jnp.abs(x)),
}


def feature_distance(real: jax.Array, fake: jax.Array, *, norm: str = "l2") -> jax.Array:
  """Computes the distance of mean features [...], as `feature_matching` has it, a scalar."""
  require(norm in NORMS, f"norm is {shown(norm)}: expected {' or '.join(NORMS)}")
  return NORMS[norm](fake - real)


def feature_matching(*, norm: str = "l2") -> Term:
  """Matches the mean features of fakes to those of real examples, ‖E f(x) - E f(G(z))‖².

  Salimans et al. 2016, arXiv:1606.03498, section 3.1; f are the "features" of the discriminator,
  and the means are of the global batch. There it takes the place of the adversarial term.

  Args:
    norm: l2, the squared norm of the paper, or l1, the mean absolute difference (StudioGAN).

  Returns:
    The term of the generator's loss.

  Raises:
    ValueError: for another norm; when played, of a discriminator without features.
  """
  require(norm in NORMS, f"norm is {shown(norm)}: expected {' or '.join(NORMS)}")

  def value(match: Match) -> jax.Array:
    outputs = match.real_outputs, match.fake_outputs
    require(
      all("features" in each for each in outputs),
      "feature_matching is of a discriminator that returns 'features', such as "
      "auxiliary_dcgan_discriminator",
    )
    real, fake = (match.mean(each["features"]) for each in outputs)
    return jnp.broadcast_to(feature_distance(real, fake, norm=norm), (match.size,))

  return stateless(value, couples=True)


def top_k(loss: AdversarialLoss, share: Weight) -> Term:
  """Builds the generator's adversarial term of the fakes that look most real alone.

  Sinha et al. 2020, arXiv:2002.06224: the mean over the k fakes of the global batch with the
  largest logits, k = floor(share n), at least 1. There the share falls from 1 to 1/2 by a factor of
  .99 an epoch. Others have no gradient.

  Args:
    loss: adversarial loss.
    share: share of fakes, in (0, 1], or a schedule.

  Raises:
    ValueError: for another share.
  """
  require(
    callable(share) or is_number(share, lambda x: 0 < x <= 1),
    f"the share of fakes is {shown(share)}: expected a number in (0, 1], or a schedule",
  )

  def value(match: Match) -> jax.Array:
    real, fake = logits_for(loss._replace(couples=True), match)
    values, scores = per_example(loss.generator(real, fake)), per_example(fake)
    # Rounding may put share n just below a whole number.
    k = jnp.floor(value_at(share, match.clock) * len(scores) + 1e-3)
    k = jnp.clip(k, 1, len(scores))  # a schedule may pass 1
    rank = jnp.argsort(jnp.argsort(-scores))  # of equal ones the first, on every layout
    return jnp.where(rank < k, values * len(scores) / k, 0)

  return stateless(value, uses_real=loss.uses_real, couples=True)
