"""Games small enough to solve: one parameter a player, and the same `play_round` as all others."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gan_jax.game.core import Game, Turn
from gan_jax.game.kinds.sides.turns import alternating
from gan_jax.game.kinds.two_player import Terms, two_player
from gan_jax.game.latents import normal
from gan_jax.game.views import Views
from gan_jax.losses.adversarial import AdversarialLoss


class Point(nn.Module):
  """A generator that makes one point of the line, its parameter theta.

  Attributes:
    start: theta at first.
  """

  start: float = 1.0

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d], of which only B matters, to [B, 1]."""
    theta = self.param("theta", nn.initializers.constant(self.start), ())
    return jnp.broadcast_to(theta, (z.shape[0], 1))


class Slope(nn.Module):
  """A discriminator that is linear on the line, with its parameter psi as slope.

  Attributes:
    start: psi at first.
    bias: a constant beside, the parameter bias, at first; None for none.
  """

  start: float = 1.0
  bias: float | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps x [B, 1] to logits [B]."""
    logits = self.param("psi", nn.initializers.constant(self.start), ()) * x[:, 0]
    if self.bias is None:
      return logits
    return logits + self.param("bias", nn.initializers.constant(self.bias), ())


def dirac(
  loss: AdversarialLoss,
  *,
  optimizers: Mapping[str, optax.GradientTransformation],
  regularizers: Terms | None = None,
  generator_regularizers: Terms | None = None,
  turns: tuple[Turn, ...] = alternating(),
  views: Views = (),
  theta: float = 1.0,
  psi: float = 1.0,
  bias: float | None = None,
) -> Game:
  """Builds the Dirac-GAN: all data at 0, all fakes at theta, logits psi x.

  Mescheder, Geiger, Nowozin 2018 (arXiv:1801.04406). Its one equilibrium is (0, 0). With
  `losses.wasserstein` it is the bilinear game, theta psi.

  Args:
    loss: adversarial loss of both players.
    optimizers: optimizers of "discriminator" and "generator".
    regularizers: terms of the discriminator's loss, name -> (weight, term).
    generator_regularizers: terms of the generator's loss, likewise.
    turns: turns of a round.
    views: what D sees in the place of examples, such as noisy ones.
    theta: initial parameter of the generator.
    psi: initial parameter of the discriminator.
    bias: initial constant of the discriminator, which a relativistic loss leaves free; None for
      none.

  Returns:
    The game; its batches are `dirac_batch`.
  """
  return two_player(
    Point(theta),
    Slope(psi, bias),
    loss=loss,
    optimizers=optimizers,
    latent=normal(1),
    regularizers=regularizers,
    generator_regularizers=generator_regularizers,
    turns=turns,
    views=views,
  )


def dirac_batch(minibatches: int = 1, size: int = 1) -> dict[str, Any]:
  """Returns the data of the Dirac-GAN: {"x": zeros [minibatches, size, 1]}."""
  return {"x": jnp.zeros((minibatches, size, 1))}
