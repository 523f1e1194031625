"""Losses of discriminators that are autoencoders: EBGAN and BEGAN.

The discriminator assigns an energy to an example, its reconstruction error, low where data are. Its
logits are negative energies, so that here as elsewhere they are large where data are: below,
energies of real examples are -a and those of fakes -b. `nets.autoencoder` has such discriminators.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import relu

from gan_jax.checks import is_number, shown
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.objectives import Match, Term, stateless, unit

EMBEDDING = "embedding"  # the discriminator's output that `pulling_away` is of


def energy_margin(margin: float = 1.0) -> AdversarialLoss:
  """Builds the loss of EBGAN. Zhao, Mathieu, LeCun 2017, arXiv:1609.03126, equations 1 and 2.

  D minimises its energy at data, and raises that of fakes up to a margin; G minimises the energy.

  Args:
    margin: m > 0, in units of the energy. The paper's energy is a norm over all pixels; that of
      `AutoencoderDiscriminator` is a mean, so that margins are smaller.
  """
  if not is_number(margin, lambda x: x > 0):
    raise ValueError(f"the margin of energies is {shown(margin)}: expected a number > 0")
  return AdversarialLoss(
    discriminator=lambda a, b: -a + relu(margin + b),
    generator=lambda a, b: -b,
  )


def boundary_equilibrium(ratio: float = 0.5, rate: float = 1e-3) -> AdversarialLoss:
  """Builds the loss of BEGAN. Berthelot, Schumm, Metz 2017, arXiv:1703.10717, section 3.3.

  D minimises L(x) - k L(G(z)), G minimises L(G(z)), and k rises by rate · (ratio · E L(x) -
  E L(G(z))) after each move of D, within [0, 1] and from 0: it holds E L(G(z)) / E L(x) at the
  ratio. The convergence measure E L(x) + |ratio · E L(x) - E L(G(z))| falls as images get better.
  Both means are of D's own move; the paper's k looks at the fakes of G's, which are the same where
  both move at once.

  Args:
    ratio: diversity ratio γ in (0, 1]; lower ones give less diverse images.
    rate: learning rate λ >= 0 of k.

  Returns:
    The loss; k is memory of the discriminator's side, and is logged with the measure.
  """
  if not is_number(ratio, lambda x: 0 < x <= 1):
    raise ValueError(f"the diversity ratio is {shown(ratio)}: expected a number in (0, 1]")
  if not is_number(rate, lambda x: x >= 0):
    raise ValueError(f"the learning rate of k is {shown(rate)}: expected a number >= 0")

  def value(match: Match, memory: Any) -> tuple[jax.Array, Any]:
    real, fake = -match.real_scores, -match.fake_scores
    mean_real, mean_fake = jax.lax.stop_gradient((match.mean(real), match.mean(fake)))
    balance = ratio * mean_real - mean_fake
    new_memory = {
      "k": jnp.clip(memory["k"] + rate * balance, 0.0, 1.0),
      "convergence": mean_real + jnp.abs(balance),
    }
    return real - memory["k"] * fake, new_memory

  start = {"k": jnp.zeros(()), "convergence": jnp.zeros(())}
  return AdversarialLoss(
    discriminator=Term(value, start, couples=True, metrics=lambda memory: memory),
    generator=lambda a, b: -b,
    headline={"M": "discriminator/convergence", "k": "discriminator/k"},
  )


def pulling_away() -> Term:
  """Builds EBGAN's pulling-away term, which makes embeddings of fakes orthogonal (section 2.4).

  The mean squared cosine of the embeddings of two fakes of the global batch, of each fake with all
  others: [B]. It is a term of the generator.
  """

  def value(match: Match) -> jax.Array:
    s = unit(match.fake_outputs[EMBEDDING])
    of_all = match.gather(s)
    cosines = jnp.matmul(s, of_all.T, precision=jax.lax.Precision.HIGHEST)
    # That of an embedding with itself is 1, and 0 of one of zeros.
    own = jnp.sum(s**2, axis=1) ** 2
    return (jnp.sum(cosines**2, axis=1) - own) / max(1, len(of_all) - 1)

  return stateless(value, uses_real=False, couples=True)
