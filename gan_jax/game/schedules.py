"""Decays of the moving average of a network, as functions of the images seen."""

import jax
import jax.numpy as jnp

from gan_jax.checks import is_number, shown
from gan_jax.game.core import Decay


def decay(rate: float) -> Decay:
  """Builds a fixed decay per move, bias-corrected.

  After n moves the average is of the n states seen, as in Adam (Kingma & Ba 2015,
  arXiv:1412.6980): nothing of the network at random is left in it.

  Args:
    rate: decay in [0, 1); 0 copies the network.

  Returns:
    The decay.
  """
  _check_rate(rate)
  return Decay(lambda images, batch: jnp.asarray(rate, jnp.float32))


def ramped_decay(rate: float) -> Decay:
  """Builds the decay min(rate, (1 + n) / (10 + n)) after n moves, as in TensorFlow.

  `tf.train.ExponentialMovingAverage`: not bias-corrected, it forgets the start by small decays.
  Moves are counted as batches of images, so of a network that moves once for each of them.

  Args:
    rate: limit of the decay, in [0, 1).

  Returns:
    The decay.
  """
  _check_rate(rate)
  n = lambda images, batch: images / batch
  # From .1 to rate: the network at random is forgotten by small decays, not divided out.
  ramp = lambda n: jnp.minimum(rate, (1 + n) / (10 + n))
  return Decay(lambda images, batch: ramp(n(images, batch)), corrected=False)


def _check_rate(rate: float) -> None:
  if not is_number(rate, lambda x: 0 <= x < 1):
    raise ValueError(f"a decay lies in [0, 1), got {shown(rate)}")


def half_life(images: float, ramp_up: float = 0.0) -> Decay:
  """Builds the decay by which the weight of a state halves every `images` images.

  Each move of the network counts as one global batch, however many batches the discriminator sees
  between them, as in StyleGAN2 (Karras et al. 2020, arXiv:1912.04958). As there, it starts from the
  network at random.

  Args:
    images: half-life in images of the global batch; 0 copies the network.
    ramp_up: when positive, the half-life is at most this fraction of the images seen so far, so
      that the start is forgotten (StyleGAN2 uses 0.05).

  Returns:
    The decay, 2^(-batch / half-life).
  """
  if not all(is_number(given, lambda x: x >= 0) for given in (images, ramp_up)):
    raise ValueError(f"half-life and ramp-up are >= 0, got {shown(images)} and {shown(ramp_up)}")

  def rate(images_seen: jax.Array, batch: int) -> jax.Array:
    half = jnp.asarray(images, jnp.float32)
    half = jnp.minimum(half, images_seen * ramp_up) if ramp_up else half
    return 0.5 ** (batch / jnp.maximum(half, 1e-8))  # 0 in the first round of a ramp: a copy

  return Decay(rate, corrected=False)
