"""Schedules: weights, and decays of the moving average of a network, as functions of the clock.

A schedule of optax is a function of a count, which is of rounds or of images:

    two_player(..., regularizers={"r1": (by_images(optax.linear_schedule(1.0, 0.1, 10**6)), r1)})
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.checks import is_number, shown, takes
from gan_jax.game.core import Clock, Decay

Schedule = Callable[[Clock], jax.Array]
Weight = float | Schedule  # a number, or a schedule


def by_rounds(function: Callable[[Any], jax.Array]) -> Schedule:
  """Builds the schedule of a function of the complete rounds, such as a schedule of optax."""
  return lambda clock: function(clock.round)


def by_images(function: Callable[[Any], jax.Array]) -> Schedule:
  """Builds the schedule of a function of the images seen, whatever the size of their batches."""
  # A float: a schedule of optax that begins later would have an unsigned count wrap around.
  return lambda clock: function(jnp.float32(clock.images))


def cosine_schedule(
  init_value: float, end_value: float, transition_steps: float
) -> Callable[[Any], jax.Array]:
  """Builds the schedule of a count from one value to another along half a cosine.

  As R3GAN (Huang et al. 2025, arXiv:2501.05441) has all its numbers; `optax.cosine_decay_schedule`
  has the end as a share of the start, which may be 0 here.

  Args:
    init_value: value at 0.
    end_value: value from `transition_steps` on.
    transition_steps: count of the end, > 0.

  Returns:
    The function of the count.

  Raises:
    ValueError: for a number of steps that is not positive.
  """
  if not is_number(transition_steps, lambda x: x > 0):
    raise ValueError(f"transition_steps is {shown(transition_steps)}: expected a number > 0")

  def value(count: Any) -> jax.Array:
    # (1 - cos πt) / 2 as a square: the difference would lose the first steps to rounding.
    share = jnp.sin(0.5 * jnp.pi * jnp.minimum(count / transition_steps, 1.0)) ** 2
    return init_value + (end_value - init_value) * share

  return value


def value_at(weight: Weight, clock: Clock) -> float | jax.Array:
  """Computes the value of a number or schedule."""
  return weight(clock) if callable(weight) else weight


def is_weight(value: Any, least: float = -math.inf) -> bool:
  """Checks for a finite number >= `least`, or a schedule."""
  if isinstance(value, type) or not takes(value, "clock"):
    return is_number(value, lambda x: x >= least)
  try:  # a schedule of optax, which is of a count, is none of the clock
    jax.eval_shape(value, Clock())
  except (AttributeError, TypeError):
    return False
  return True


def decay(rate: float, start: int = 0) -> Decay:
  """Builds a fixed decay per move, bias-corrected.

  After n moves the average is of the n states seen, as in Adam (Kingma & Ba 2015,
  arXiv:1412.6980): nothing of the network at random is left in it.

  Args:
    rate: decay in [0, 1); 0 copies the network.
    start: round, counted from 1, of the first move that is averaged with what was before; until
      then the average is a copy, as in BigGAN (Brock et al. 2019, arXiv:1809.11096).
  """
  _check_rate(rate)
  if not is_number(start, lambda x: x >= 0):
    raise ValueError(f"an average starts in a round >= 0, got {shown(start)}")
  fixed = lambda clock, batch: jnp.asarray(rate, jnp.float32)
  copying = lambda clock, batch: jnp.where(clock.round + 1 < start, 0, fixed(clock, batch))
  return Decay(copying if start else fixed)


def ramped_decay(rate: float) -> Decay:
  """Builds the decay min(rate, (1 + n) / (10 + n)) after n moves, as in TensorFlow.

  `tf.train.ExponentialMovingAverage`: not bias-corrected, it forgets the start by small decays.
  Moves are counted as batches of images, so of a network that moves once for each of them.

  Args:
    rate: limit of the decay, in [0, 1).
  """
  _check_rate(rate)
  # From .1 to rate: the network at random is forgotten by small decays, not divided out.
  ramp = lambda n: jnp.minimum(rate, (1 + n) / (10 + n))
  n = lambda clock, batch: jnp.float32(clock.images) / batch
  return Decay(lambda clock, batch: ramp(n(clock, batch)), corrected=False)


def _check_rate(rate: float) -> None:
  if not is_number(rate, lambda x: 0 <= x < 1):
    raise ValueError(f"a decay lies in [0, 1), got {shown(rate)}")


def half_life(images: Weight, ramp_up: float = 0.0) -> Decay:
  """Builds the decay by which the weight of a state halves every `images` images.

  Each move of the network counts as one global batch, however many batches the discriminator sees
  between them, as in StyleGAN2 (Karras et al. 2020, arXiv:1912.04958). As there, it starts from the
  network at random.

  Args:
    images: half-life in images of the global batch, a number or a schedule; 0 copies the network.
    ramp_up: when positive, the half-life is at most this fraction of the images seen so far, so
      that the start is forgotten (StyleGAN2 uses 0.05).

  Returns:
    The decay, 2^(-batch / half-life).
  """
  if not is_weight(images, least=0.0) or not is_number(ramp_up, lambda x: x >= 0):
    raise ValueError(f"half-life and ramp-up are >= 0, got {shown(images)} and {shown(ramp_up)}")

  def rate(clock: Clock, batch: int) -> jax.Array:
    half = jnp.asarray(value_at(images, clock), jnp.float32)
    if ramp_up:
      half = jnp.minimum(half, jnp.float32(clock.images) * ramp_up)
    return 0.5 ** (batch / jnp.maximum(half, 1e-8))  # 0 in the first round of a ramp: a copy

  return Decay(rate, corrected=False)
