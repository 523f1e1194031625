"""Schedules: weights, and decays of the moving average of a network, as functions of the clock.

A schedule of optax is a function of a count, which is of rounds or of images:

    two_player(..., regularizers={"r1": (by_images(optax.linear_schedule(1.0, 0.1, 10**6)), r1)})
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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


def inverse_square_root(
  peak_value: float, decay_begin: float, ramp_up: float = 0.0
) -> Callable[[Any], jax.Array]:
  """Builds EDM2's schedule of the learning rate, a function of a count as those of optax are.

  Karras et al. 2024, arXiv:2312.02696: the first rate is 0 where there is a ramp.

  Args:
    peak_value: value between ramp and decay.
    decay_begin: count > 0 after which it falls as 1/√count; EDM2 has 70,000 batches.
    ramp_up: count up to which it rises from 0; EDM2 has 10⁷ images; 0 for no rise.

  Raises:
    ValueError: for counts out of range.
  """
  if not is_number(decay_begin, lambda x: x > 0) or not is_number(ramp_up, lambda x: x >= 0):
    raise ValueError(
      f"decay_begin is {shown(decay_begin)} and ramp_up {shown(ramp_up)}: expected numbers, the"
      " first > 0 and the second >= 0"
    )
  fall = lambda count: peak_value / jnp.sqrt(jnp.maximum(count / decay_begin, 1.0))
  return lambda count: fall(count) * (jnp.minimum(count / ramp_up, 1.0) if ramp_up else 1.0)


def value_at(weight: Weight, clock: Clock) -> float | jax.Array:
  """Computes the value of a number or schedule."""
  return weight(clock) if callable(weight) else weight


def is_off(weight: Any) -> bool:
  """Checks for the number 0; a schedule may rise from it, and a traced number may be another."""
  return isinstance(weight, int | float) and not weight


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


def power_function(std: float) -> Decay:
  """Builds the decay by which a network's weight in the average at T grows as t^γ, t <= T.

  EDM2, Karras et al. 2024, arXiv:2312.02696, section 3.1. The network at random has the weight 0.
  Time is counted in rounds, in each of which the network moves once; with batches of one size that
  is time in images, as published.

  Args:
    std: relative width σ_rel of the profile, in (0, 1/√12); 0.05 and 0.1 are published.
  """
  gamma = power_function_gamma(std)

  def rate(clock: Clock, batch: int) -> jax.Array:
    # log1p: in float32 1 - 1/n rounds away what a narrow profile changes late in training.
    return jnp.exp((gamma + 1) * jnp.log1p(-1 / (1 + jnp.float32(clock.round))))

  return Decay(rate, corrected=False)


def power_function_decay(std: float, images: Any, batch: int) -> Any:
  """Computes (1 - batch / images)^(γ + 1), the decay of the move after which `images` are seen."""
  return (1 - batch / np.asarray(images, np.float64)) ** (power_function_gamma(std) + 1)


def power_function_gamma(std: float) -> float:
  """Computes the exponent γ of the profile of relative width `std`, in (0, 1/√12)."""
  if not is_number(std, lambda x: 0 < x < 12**-0.5):
    raise ValueError(f"the relative width of an average lies in (0, 0.2886), got {shown(std)}")
  # std² = (γ + 1) / ((γ + 2)² (γ + 3)), solved for γ.
  square = std**-2
  return float(np.roots([1, 7, 16 - square, 12 - square]).real.max())


def power_function_std(gamma: Any) -> Any:
  """Computes the relative width σ_rel of the profile t^γ."""
  gamma = np.float64(gamma)
  return np.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))


def power_function_profile(times: Any, time: float, std: float) -> np.ndarray:
  """Computes the weights of the networks at `times` [n] in the average at `time`; their sum is 1.

  Args:
    times: times >= 0; those after `time` have the weight 0.
    time: time T of the average, in the same unit.
    std: relative width of the profile.

  Returns:
    [n] float64, proportional to t^γ. Those of the moves n = 1, 2, ... of a network are
    n^(γ + 1) - (n - 1)^(γ + 1), close to it for large n.
  """
  times = np.asarray(times, np.float64)
  weights = np.where(times <= time, (times / time), 0) ** power_function_gamma(std)
  return weights / weights.sum()


def reconstruction_weights(times: Any, stds: Any, time: float, std: float) -> np.ndarray:
  """Computes the weights by which stored averages add up to the average of another width.

  EDM2's reconstruction after training, the least squares of profiles (arXiv:2312.02696, section
  3.2): `sum(w * snapshot)` of the parameters. As published, the weights are divided by their sum.

  Args:
    times: [n] times > 0 of the stored averages, all up to `time`.
    stds: [n] relative widths of their profiles.
    time: time of the average to reconstruct, one of `times`.
    std: relative width of its profile.

  Returns:
    [n] float64.
  """
  times = np.asarray(times, np.float64)
  gammas = np.array([power_function_gamma(float(one)) for one in np.asarray(stds)])
  if not (time in times and (times > 0).all() and (times <= time).all()):
    raise ValueError(f"averages are stored at {shown(times)}: expected times up to {time}, with it")
  stored, target = (times, gammas), (np.array([time]), np.array([power_function_gamma(std)]))
  weights = np.linalg.solve(_inner_products(stored, stored), _inner_products(stored, target))[:, 0]
  return weights / weights.sum()


def _inner_products(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> np.ndarray:
  """Computes the inner products [n, m] of profiles (times, exponents), each of integral 1."""
  (s, p), (t, q) = (x[:, None] for x in a), (x[None] for x in b)
  ratio = (s / t) ** np.where(s < t, q, -p)
  return (p + 1) * (q + 1) * ratio / ((p + q + 1) * np.maximum(s, t))
