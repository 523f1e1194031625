"""The kinds of game, by name: the keys of each, their check, and the game they make."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_jax.data.domains import AnyBatches
from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.domain_adversarial import DOMAINS
from gan_jax.run.config.sections import augmentation, optimizers, terms
from gan_jax.run.config.sections.key import Keys, leaves, lookup
from gan_jax.run.config.sections.kinds import (
  auxiliary,
  auxiliary_task,
  bi_gan,
  cycle,
  distribution_matching,
  domain_adversarial,
  drift,
  energy,
  flow,
  info,
  multi_level,
  pix2pix,
  two_player,
  vq_gan,
)


class Kind(NamedTuple):
  """A kind of game.

  Attributes:
    keys: () -> its keys, beside those that every run has.
    build: (complete config, example of its data) -> the game; needs no data, unless `of_examples`.
    check: (complete config) -> None; refuses keys that contradict each other.
    free_numbers: (config) -> {dotted key: number}, of those with which the program is the same.
    domains: names of the domains of its data, each a source of its own; () for one source.
    labelled: (config) -> domains beside the first whose labels a conditional game learns too.
    paired: whether examples of the domains belong together, place by place.
    classifies: domains on which the accuracy of a game without samplers is its score; that on the
      first chooses the best checkpoint.
    idle: (complete config) -> {key or section that nothing reads: why}, of what the config has
      switched off; refused where a user types it.
    of_examples: whether the game knows the examples themselves: `build` takes the minibatches too,
      by the name `batches`, and makes of None a game that is sampled and not played.
  """

  keys: Callable[[], Keys]
  build: Callable[..., Game]
  check: Callable[[ConfigDict], None] = lambda config: None
  free_numbers: Callable[[ConfigDict], dict[str, float]] = lambda config: {}
  domains: tuple[str, ...] = ()
  paired: bool = False
  labelled: Callable[[ConfigDict], tuple[str, ...]] = lambda config: ()
  classifies: tuple[str, ...] = ()
  idle: Callable[[ConfigDict], dict[str, str]] = lambda config: {}
  of_examples: bool = False


# Sections of weights and standard deviations: what a number of 0 is of is left out.
WEIGHTS = (
  *("regularizers", "generator_regularizers", "instance_noise"),
  *("weights", "adaptation", "pulling_away", "feature_matching"),
)


def _free_numbers(config: ConfigDict) -> dict[str, float]:
  """Lists the free numbers of a kind whose weights stand in `WEIGHTS`, and nowhere else."""
  of_weights = [leaves(config[name], name) for name in WEIGHTS if name in config]
  numbers = {key: value for pairs in of_weights for key, value in pairs if value}
  numbers |= optimizers.free_numbers(config.optimizers)
  if "average" in config:
    numbers["average.decay"] = config.average.decay
  if "rule" in config and config.rule.name == "consensus":
    numbers["rule.weight"] = config.rule.weight
  return numbers


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists what nothing reads: as of `Kind.idle`, and what is so in every kind of game."""
  shared = terms.idle(config) | two_player.idle_of_rule(config)
  return kind_of(config).idle(config) | shared | augmentation.idle(config)


_kind = functools.partial(Kind, free_numbers=_free_numbers)
GAMES: dict[str, Kind] = {
  "two_player": _kind(two_player.keys, two_player.build_game, two_player.check),
  "cycle_gan": _kind(
    cycle.keys,
    cycle.build_game,
    cycle.check,
    domains=("a", "b"),
    labelled=cycle.labelled,
    idle=cycle.idle,
  ),
  "pix2pix": _kind(
    pix2pix.keys, pix2pix.build_game, pix2pix.check, domains=("a", "b"), paired=True
  ),
  "bi_gan": _kind(bi_gan.keys, bi_gan.build_game, two_player.check_unconditional),
  "vq_gan": _kind(vq_gan.keys, vq_gan.build_game, two_player.check_unconditional),
  "info_gan": _kind(info.keys, info.build_game, info.check, idle=info.idle),
  "ac_gan": _kind(auxiliary.keys, auxiliary.build_game, auxiliary.check),
  "auxiliary_task": _kind(
    auxiliary_task.keys, auxiliary_task.build_game, auxiliary_task.check, idle=auxiliary_task.idle
  ),
  "eb_gan": _kind(energy.eb_gan_keys, energy.build_eb_gan, two_player.check),
  "be_gan": _kind(energy.be_gan_keys, energy.build_be_gan, two_player.check),
  "domain_adversarial": _kind(
    domain_adversarial.keys,
    domain_adversarial.build_game,
    domain_adversarial.check,
    domains=DOMAINS,
    classifies=DOMAINS,
  ),
  "drift": _kind(drift.keys, drift.build_game, drift.check),
  "adversarial_flow": _kind(
    flow.adversarial_keys,
    flow.build_adversarial,
    two_player.check_unconditional,
    idle=flow.idle,
  ),
  "continuous_flow": _kind(
    flow.continuous_keys, flow.build_continuous, two_player.check_unconditional
  ),
  "distribution_matching": _kind(
    distribution_matching.keys,
    distribution_matching.build_game,
    distribution_matching.check,
    idle=distribution_matching.idle,
    of_examples=True,
  ),
  "multi_level": _kind(multi_level.keys, multi_level.build_game, two_player.check_players),
}
DEFAULT = "two_player"


def name_of(config: Mapping[str, Any]) -> str:
  """Returns the name of the game of a config; of one of before there were several, the default."""
  return config.get("game", {}).get("name", DEFAULT)


def kind_of(config: Mapping[str, Any]) -> Kind:
  """Returns the kind of game of a config."""
  return lookup(GAMES, name_of(config), "game")


def build_game(config: ConfigDict, example: Example, batches: AnyBatches | None = None) -> Game:
  """Builds the game of a complete config, which needs no data to be sampled.

  Args:
    config: complete config; `replaced` may have put traced scalars in the place of some of its
      `free_numbers`. Nobody can check these, so a game with each as a number comes first.
    example: shape, classes and pixel range of the data.
    batches: the training data, for a game that is played; few kinds look at them.

  Raises:
    ValueError: for an unknown name or a value out of range.
  """
  kind = kind_of(config)
  given = {"batches": batches} if kind.of_examples else {}
  return kind.build(config, example, **given)


def free_numbers(config: ConfigDict) -> dict[str, float]:
  """Lists the numbers that decide no more than how much: with others the program is the same.

  They are what a population can have several values of. A weight of 0 is none of them, as its term
  is left out.

  Args:
    config: a complete config.

  Returns:
    {dotted key: number}.
  """
  return kind_of(config).free_numbers(config)
