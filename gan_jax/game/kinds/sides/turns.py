"""Turns: who moves when in a game of a discriminator and a generator."""

from gan_jax.checks import is_integer, shown
from gan_jax.game.core import Turn


def alternating(k: int = 1) -> tuple[Turn, ...]:
  """Builds Algorithm 1 of Goodfellow et al. 2014, arXiv:1406.2661: k moves of D, then one of G."""
  if not is_integer(k) or k < 1:
    raise ValueError(f"the discriminator moves k >= 1 times a round, got k = {shown(k)}")
  # In the order of Algorithm 1: G moves against the discriminator of this round.
  return Turn(("discriminator",), k), Turn(("generator",))


def simultaneous() -> tuple[Turn, ...]:
  """Builds a round in which D and G move at once, from the same parameters, draw and forward."""
  return (Turn(("discriminator", "generator")),)
