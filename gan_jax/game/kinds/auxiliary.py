"""AC-GAN: a discriminator that also tells the class, which both players want it to tell rightly.

Odena et al. 2017, arXiv:1610.09585. The discriminator is not given the class of an example: it
maximises the log-likelihood of the classes of real examples and of fakes, and the generator that of
the classes that its fakes were asked for.
"""

from collections.abc import Mapping
from typing import Any

import jax
import optax
from flax import linen as nn

from gan_jax.game.core import Game
from gan_jax.game.kinds.checks import check_classes, check_named
from gan_jax.game.kinds.two_player import Terms, two_player
from gan_jax.game.schedules import Weight
from gan_jax.losses.objectives import Match, Term, stateless

CLASSES = "classes"  # name of the discriminator's logits of classes
WEIGHTS = {"discriminator": 1.0, "generator": 1.0}


def ac_gan(
  generator: nn.Module,
  discriminator: nn.Module,
  *,
  weights: Mapping[str, Weight] = WEIGHTS,
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  **options: Any,
) -> Game:
  """Builds a conditional game whose discriminator also tells the class.

  Args:
    generator: module of `two_player`, which is given labels.
    discriminator: module called as `net(x, y, train=)`, to {"logits": [B], "classes": [B, K]},
      K the number of classes.
    weights: weights of the classes' cross entropy in the loss of each player; the paper's are 1.
    regularizers: further terms of the discriminator's loss.
    generator_regularizers: further terms of the generator's loss.
    **options: other options of `two_player`, but for `conditional`; no views that pack.

  Raises:
    ValueError: for arguments of another kind.
  """
  check_named("weights", weights, WEIGHTS)
  check_classes(discriminator)
  real, fake = (cross_entropy(which) for which in ("real", "fake"))
  of = weights["discriminator"]
  return two_player(
    generator,
    discriminator,
    # As published D learns the classes of fakes too; only real ones is later work's choice.
    regularizers={"classes_real": (of, real), "classes_fake": (of, fake), **(regularizers or {})},
    generator_regularizers={
      "classes_fake": (weights["generator"], fake),
      **(generator_regularizers or {}),
    },
    # Labels are given to both networks, and auxiliary discriminators leave them alone.
    conditional=True,
    **options,
  )


def cross_entropy(which: str) -> Term:
  """Builds the term of the cross entropy of classes, in nats, [B].

  Args:
    which: examples whose class is told, "real" or "fake".
  """

  def value(match: Match) -> jax.Array:
    outputs = getattr(match, f"{which}_outputs")
    if CLASSES not in outputs:
      raise ValueError(
        f"the discriminator returns no {CLASSES!r}, logits of the classes: expected one such as "
        "auxiliary_dcgan_discriminator"
      )
    # Fakes have the classes that they were asked for, which may be of a prior of their own.
    labels = match.labels if which == "real" else match.fake_labels
    return optax.softmax_cross_entropy_with_integer_labels(outputs[CLASSES], labels)

  # That of fakes needs no data: the labels that they were asked for are in the match.
  return stateless(value, uses_real=which == "real")
