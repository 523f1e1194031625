"""Multi-layer perceptrons, for examples of any shape."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import (
  ACTIVATIONS,
  OUTPUTS,
  Logit,
  Outputs,
  WithLabels,
  auxiliary_outputs,
  labels_for,
  lookup,
)
from gan_jax.nets.linear import Dense


class MLPGenerator(nn.Module):
  """Maps latents to examples of any shape through dense layers.

  Attributes:
    shape: of one example.
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels.
    dtype: computed in; examples are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  shape: tuple[int, ...]
  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "relu"
  output: str = "linear"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to examples [B, *shape], float32."""
    activation = lookup(ACTIVATIONS, self.activation, "activation")
    output = lookup(OUTPUTS, self.output, "output")
    x = WithLabels()(z, labels_for(self.num_classes, y))
    for features in self.hidden:
      x = activation(Dense(features, dtype=self.dtype)(x))
    x = Dense(math.prod(self.shape), dtype=self.dtype)(x)
    return output(x.astype(jnp.float32)).reshape(-1, *self.shape)


class MultiLevelMLPGenerator(nn.Module):
  """Maps latents to an image of each level, the sum of outputs so far, through dense layers.

  After GAT, arXiv:2509.24935, whose blocks are those of a transformer.

  Attributes:
    shape: of one example.
    hidden: widths of the hidden layers, a multiple of the levels.
    activation: after each of them, one of `ACTIVATIONS`.
    output: of each sum, one of `OUTPUTS`.
    num_levels: number of images; the last is the example.
    num_classes: None for no labels.
    dtype: computed in; examples are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  shape: tuple[int, ...]
  hidden: tuple[int, ...] = (128, 128, 128, 128)
  activation: str = "relu"
  output: str = "linear"
  num_levels: int = 4
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def levels(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [levels, B, ...], float32, the last final."""
    activation = lookup(ACTIVATIONS, self.activation, "activation")
    output = lookup(OUTPUTS, self.output, "output")
    emitting = output_blocks(len(self.hidden), self.num_levels)
    x = WithLabels()(z, labels_for(self.num_classes, y))
    total, images = jnp.zeros(()), []
    for block, features in enumerate(self.hidden):
      x = activation(Dense(features, dtype=self.dtype)(x))
      if block in emitting:
        total += Dense(math.prod(self.shape), dtype=self.dtype)(x).astype(jnp.float32)
        images.append(output(total).reshape(-1, *self.shape))
    return jnp.stack(images)

  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to examples [B, *shape], float32."""
    return self.levels(z, y, train=train)[-1]


class MLPDiscriminator(nn.Module):
  """Maps examples of any shape to logits through dense layers.

  Attributes:
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    num_classes: None for no labels.
    dtype: computed in; logits are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "relu"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps examples x [B, ...] (and labels y [B]) to logits [B], float32."""
    labels = labels_for(self.num_classes, y)
    return Logit()(mlp_features(self, x), labels, train=train)


class AuxiliaryMLPDiscriminator(nn.Module):
  """Maps examples of any shape to logits, features and logits of classes through dense layers.

  Attributes:
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    num_classes: number of classes; None for no logits of them.
    head: one of `heads`, in the place of the logits of classes; None for these.
    minibatch_kernels: kernels of minibatch discrimination before the logit; 0 for none.
    minibatch_dim: entries of each of them.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "relu"
  num_classes: int | None = None
  head: nn.Module | None = None
  minibatch_kernels: int = 0
  minibatch_dim: int = 5
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> Outputs:
    """Maps x [B, ...] to "logits" [B], "features" [B, F] and, where there are classes, "classes"
    [B, num_classes], or the outputs of the head, all float32; heads of classes see labels alone."""
    return auxiliary_outputs(self, mlp_features(self, x), y, train=train)


class MLPEncoder(nn.Module):
  """Maps examples of any shape to codes through dense layers.

  Attributes:
    features: entries of a code.
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    num_classes: None for no labels.
    dtype: computed in; codes are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  features: int = 64
  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "relu"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps examples x [B, ...] (and labels y [B]) to codes [B, features], float32."""
    x = WithLabels()(mlp_features(self, x), labels_for(self.num_classes, y))
    return Dense(self.features)(x.astype(jnp.float32))


class JointMLPDiscriminator(nn.Module):
  """Maps examples of any shape and their codes to logits through dense layers.

  The judge of BiGAN's pairs (Donahue et al. 2017, arXiv:1605.09782).

  Attributes:
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    dtype: computed in; logits are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "relu"
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, pair: tuple[jax.Array, jax.Array], y: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    """Maps examples x [B, ...] and codes z [B, d] to logits [B], float32; ignores labels y."""
    x, z = pair
    x = jnp.concatenate([x.reshape(len(x), -1), z], axis=1)
    return Logit()(mlp_features(self, x), train=train)


def mlp_features(net: Any, x: jax.Array) -> jax.Array:
  """Computes features [B, F] of examples in a network with the fields of `MLPDiscriminator`."""
  activation = lookup(ACTIVATIONS, net.activation, "activation")
  x = x.reshape(x.shape[0], -1)
  for features in net.hidden:
    x = activation(Dense(features, dtype=net.dtype)(x))
  return x


def output_blocks(depth: int, count: int = 4) -> list[int]:
  """Lists the blocks, from 0, after which an image is emitted: the sum of the outputs up to it.

  GAT, arXiv:2509.24935. A depth that `count` does not divide is refused: the published code emits
  more images then, which its discriminator does not take.

  Args:
    depth: number of blocks.
    count: number of images, >= 1.

  Returns:
    The blocks, one for each image.

  Raises:
    ValueError: if count does not divide depth.
  """
  if count < 1 or depth % count or depth < count:
    raise ValueError(
      f"{depth} hidden layers cannot emit {count} images: expected a multiple of {count} of them"
    )
  return [(k + 1) * depth // count - 1 for k in range(count)]
