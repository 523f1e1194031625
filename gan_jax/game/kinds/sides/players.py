"""The players of a discriminator's and a generator's side, made of the terms of their losses."""

from collections.abc import Callable, Mapping
from typing import Any

import optax

from gan_jax.game.core import Player
from gan_jax.game.kinds.checks import check_named
from gan_jax.game.kinds.sides.monitors import discriminator_metrics
from gan_jax.game.schedules import Weight
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.objectives import Observe, TermLike, minimise

OWNS = {"discriminator": ("discriminator",), "generator": ("generator",)}  # a network each
Terms = Mapping[str, tuple[Weight, TermLike]]  # name -> (weight, term)


def players(
  forward: Callable[..., Any],
  loss: AdversarialLoss,
  terms: Mapping[str, Terms],
  owns: Mapping[str, tuple[str, ...]],
  optimizers: Mapping[str, optax.GradientTransformation],
  observe_generator: Observe = lambda match, memory: ({}, memory),
) -> dict[str, Player]:
  """Builds the players "discriminator" and "generator" of one forward.

  Args:
    forward: (params, carried, batch, context) -> (match, new statistics by network).
    loss: adversarial loss, which says how well the discriminator tells real from fake.
    terms: terms of each player's loss, by player.
    owns: networks of each player, by player.
    optimizers: optimizers by player.
    observe_generator: further metrics of the generator's moves; see `objectives.minimise`.

  Returns:
    The players, in the order of `owns`.

  Raises:
    ValueError: for optimizers of other players.
  """
  check_named("optimizers", optimizers, owns)
  objectives = {
    "discriminator": minimise(
      forward,
      terms["discriminator"],
      player="discriminator",
      # By one player alone: names such as D_real do not say whose move they are of.
      observe=lambda match, memory: (discriminator_metrics(loss, match), memory),
    ),
    "generator": minimise(
      forward, terms["generator"], player="generator", observe=observe_generator
    ),
  }
  return {name: Player(nets, objectives[name], optimizers[name]) for name, nets in owns.items()}
