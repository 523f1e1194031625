"""Networks with maxout: those of the 2014 paper, and those of PacGAN's mixtures.

Goodfellow et al. 2014, arXiv:1406.2661; Lin et al. 2018, arXiv:1712.04086, after its published
code: there weights start in N(0, 0.02²), biases at 0.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import OUTPUTS, Dropout, Logit, Norm, WithLabels, labels_for, lookup
from gan_jax.nets.linear import Dense


class Maxout(nn.Module):
  """Computes the maximum of several linear pieces (Goodfellow et al. 2013, arXiv:1302.4389).

  Attributes:
    features: number of units.
    pieces: linear pieces of each unit.
  """

  features: int
  pieces: int = 5
  kernel_init: Callable = nn.initializers.lecun_normal()
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = Dense(self.features * self.pieces, kernel_init=self.kernel_init, dtype=self.dtype)(x)
    return jnp.max(x.reshape(*x.shape[:-1], self.features, self.pieces), axis=-1)


def symmetric_uniform(bound: float) -> Callable:
  """Builds an initialiser that samples U(-bound, bound)."""
  return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


class GoodfellowGenerator(nn.Module):
  """The MNIST generator of Goodfellow et al. 2014 (arXiv:1406.2661): ReLU layers, sigmoid output.

  Attributes:
    shape: of one example.
    hidden: widths of the hidden layers.
    bound: weights start uniform in (-bound, bound).
    output_bias: the last bias at the start, one number or one for each pixel, best the logit of
      the mean pixels.
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels.
    dtype: computed in; examples are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  shape: tuple[int, ...]
  hidden: tuple[int, ...] = (1200, 1200)
  bound: float = 0.05
  output_bias: Any = 0.0
  output: str = "sigmoid"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to examples [B, *shape], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    options = {"kernel_init": symmetric_uniform(self.bound), "dtype": self.dtype}
    x = WithLabels()(z, labels_for(self.num_classes, y))
    for features in self.hidden:
      x = nn.relu(Dense(features, **options)(x))
    x = Dense(math.prod(self.shape), bias_init=self._start_bias, **options)(x)
    return output(x.astype(jnp.float32)).reshape(-1, *self.shape)

  def _start_bias(
    self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
  ) -> jax.Array:
    bias = jnp.asarray(self.output_bias, dtype).ravel()
    if bias.size not in (1, math.prod(shape)):
      raise ValueError(
        f"output_bias has {bias.size} numbers; expected one, or one for each of the "
        f"{math.prod(shape)} pixels of shape {tuple(self.shape)}."
      )
    return jnp.broadcast_to(bias, shape)


class GoodfellowDiscriminator(nn.Module):
  """The MNIST discriminator of Goodfellow et al. 2014 (arXiv:1406.2661): maxout with dropout.

  Where dropout keeps a number it divides it by the probability of keeping it: by 0.8 at the input,
  by 0.5 after that, so evaluation needs no other scale.

  Attributes:
    hidden: maxout units of the hidden layers.
    pieces: linear pieces of each unit.
    bound: weights start uniform in (-bound, bound).
    input_dropout, dropout: probability of dropping an input, and a hidden unit.
    num_classes: None for no labels.
    dtype: computed in; logits are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (240, 240)
  pieces: int = 5
  bound: float = 0.005
  input_dropout: float = 0.2
  dropout: float = 0.5
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps examples x [B, ...] (and labels y [B]) to logits [B], float32."""
    labels = labels_for(self.num_classes, y)
    init = symmetric_uniform(self.bound)
    x = x.reshape(x.shape[0], -1)
    x = Dropout(self.input_dropout)(x, train=train)
    for units in self.hidden:
      x = Maxout(units, self.pieces, kernel_init=init, dtype=self.dtype)(x)
      x = Dropout(self.dropout)(x, train=train)
    return Logit(kernel_init=init)(x, labels, train=train)


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
