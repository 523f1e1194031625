"""The mapping network of StyleGAN2, from latents and labels to styles w (1912.04958)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.game.random import AxisName
from gan_jax.nets.layers import ClassShares, labels_for
from gan_jax.nets.stylegan2.layers import EqualDense


class Mapping(nn.Module):
  """Maps latents, labels, or both to styles, by dense layers that learn at a low rate.

  Attributes:
    w_dim: features of a style.
    num_ws: rows that a style is repeated in, one for each layer of synthesis; 0 for none.
    num_layers: dense layers, all of them activated.
    embed_features: features of the embedded label; 0 for w_dim.
    layer_features: features of the layers between; 0 for w_dim.
    activation: one of `layers.ACTIVATIONS`.
    lr_multiplier: factor of the learning rate of the layers, not of the label's.
    w_avg_beta: share of the average style that an update keeps; None for no average.
    axis_name: mapped axis that splits the global batch, if any.
  """

  w_dim: int
  num_ws: int = 0
  num_layers: int = 8
  embed_features: int = 0
  layer_features: int = 0
  activation: str = "leaky_relu"
  lr_multiplier: float = 0.01
  w_avg_beta: float | None = 0.995
  axis_name: AxisName = None

  @nn.compact
  def __call__(
    self,
    z: jax.Array | None,
    labels: jax.Array | None = None,
    *,
    update: bool = False,
    psi: jax.Array | float | None = None,
    cutoff: int | None = None,
  ) -> jax.Array:
    """Computes styles; latents and labels are scaled to mean square 1, each by itself.

    Args:
      z: [B, d]; None for labels alone.
      labels: one-hot, or vectors, [B, num_classes]; None for latents alone.
      update: whether the average style moves to the mean of these.
      psi: truncation, w_avg + psi (w - w_avg), a number or [B]; None for none.
      cutoff: rows, the first ones, that are truncated; None for all.

    Returns:
      float32 [B, num_ws, w_dim], or [B, w_dim] without rows.
    """
    parts = [] if z is None else [_normalise(z.astype(jnp.float32))]
    if labels is not None:
      embed = EqualDense(self.embed_features or self.w_dim, name="embed")
      parts.append(_normalise(embed(labels)))
    w = jnp.concatenate(parts, axis=-1)
    widths = [self.layer_features or self.w_dim] * (self.num_layers - 1) + [self.w_dim]
    for index, width in enumerate(widths):
      layer = EqualDense(width, self.activation, self.lr_multiplier, name=f"fc{index}")
      w = layer(w)
    one = w
    if self.num_ws:
      w = jnp.repeat(w[:, None], self.num_ws, axis=1)
    if self.w_avg_beta is None:
      return w
    average = self.variable("batch_stats", "w_avg", jnp.zeros, (self.w_dim,))
    if update and not self.is_initializing():
      mean = jax.lax.stop_gradient(jnp.mean(one, axis=0))
      if self.axis_name is not None:
        mean = jax.lax.pmean(mean, self.axis_name)
      average.value = mean + self.w_avg_beta * (average.value - mean)
    if psi is None:
      return w
    psi = jnp.reshape(jnp.asarray(psi, jnp.float32), (-1, *(1,) * (w.ndim - 1)))
    middle = jnp.broadcast_to(average.value, w.shape)
    near = middle + psi * (w - middle)
    return near if cutoff is None or not self.num_ws else mix(near, w, cutoff)


def mix(w: jax.Array, other: jax.Array, cutoff: jax.Array | int) -> jax.Array:
  """Computes the styles [B, rows, d] with the rows from `cutoff` on of the others."""
  return jnp.where((jnp.arange(w.shape[1]) < cutoff)[None, :, None], w, other)


def conditions(num_classes: int | None, y: Any) -> jax.Array | None:
  """Computes what a mapping network sees of labels: one-hot classes, and vectors as they are."""
  if num_classes is None or y is None or isinstance(y, ClassShares) or y.ndim == 1:
    return labels_for(num_classes, y)
  return y.astype(jnp.float32)  # what follows is not linear in them


def _normalise(x: jax.Array) -> jax.Array:
  return x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-8)
