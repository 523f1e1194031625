"""The networks of PacGAN's mixtures (Lin et al. 2018, arXiv:1712.04086), after its published code.

Weights start in N(0, 0.02²), biases at 0.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import Logit, Maxout, Norm, WithLabels, labels_for
from gan_jax.nets.linear import Dense


class PacGANGenerator(nn.Module):
  """Maps latents to examples through dense layers with batch norm and ReLU, without bias.

  Running statistics move by 0.05 a forward, and 1e-4 is added to variances.

  Attributes:
    shape: of one example.
    hidden: widths of the hidden layers.
    std: standard deviation of the first weights.
    num_classes: None for no labels.
    dtype: computed in; examples are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  hidden: tuple[int, ...] = (400, 400, 400, 400)
  std: float = 0.02
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to examples [B, *shape], float32."""
    options = {"kernel_init": nn.initializers.normal(self.std), "dtype": self.dtype}
    x = WithLabels()(z, labels_for(self.num_classes, y))
    for features in self.hidden:
      x = Dense(features, use_bias=False, **options)(x)
      norm = Norm("batch", self.axis_name, self.dtype, momentum=0.95, epsilon=1e-4)
      x = nn.relu(norm(x, train=train))
    x = Dense(math.prod(self.shape), **options)(x)
    return x.astype(jnp.float32).reshape(-1, *self.shape)


class PacGANDiscriminator(nn.Module):
  """Maps examples, packed or not, to logits through maxout layers.

  Attributes:
    hidden: maxout units of the hidden layers.
    pieces: linear pieces of each unit.
    std: standard deviation of the first weights.
    num_classes: None for no labels.
    dtype: computed in; logits are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (200, 200, 200)
  pieces: int = 5
  std: float = 0.02
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps examples x [B, ...] (and labels y [B]) to logits [B], float32."""
    labels = labels_for(self.num_classes, y)
    init = nn.initializers.normal(self.std)
    x = x.reshape(x.shape[0], -1)
    for units in self.hidden:
      x = Maxout(units, self.pieces, kernel_init=init, dtype=self.dtype)(x)
    return Logit(kernel_init=init)(x, labels, train=train)
