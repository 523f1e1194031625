"""Turns: who moves when in a game of a discriminator and a generator."""

from gan_jax.checks import is_whole, shown
from gan_jax.game.core import Turn


def alternating(k: int = 1) -> tuple[Turn, ...]:
  """Lets D move k times, then G once (Goodfellow et al. 2014, arXiv:1406.2661, Algorithm 1)."""
  if not is_whole(k) or k < 1:
    raise ValueError(f"the discriminator moves k >= 1 times a round, got k = {shown(k)}")
  return Turn(("discriminator",), k), Turn(("generator",))


def simultaneous() -> tuple[Turn, ...]:
  """Lets both players move at once, from the same parameters, draw and generator forward."""
  return (Turn(("discriminator", "generator")),)
