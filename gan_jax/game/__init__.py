"""A game is data, a round is one pure function: `core` is the file to read first."""

from gan_jax.game.core import (
  Batch,
  Carried,
  Clock,
  Decay,
  Ema,
  Game,
  Gradients,
  JoinRule,
  Metrics,
  Objective,
  Params,
  Player,
  PyTree,
  Rule,
  State,
  StepContext,
  Turn,
  gradient_descent,
  gradients,
  images_a_round,
  losses_of,
  minibatches,
  update,
)
from gan_jax.game.memory import join_alike, join_devices, join_mean, join_rules, mean
from gan_jax.game.play import init, networks, play_round, sample
from gan_jax.game.validation import check_game, check_turns
