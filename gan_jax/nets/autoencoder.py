"""Autoencoders: as discriminators, of dense layers and that of BEGAN with its generator, and the
parts of one with a codebook.

The logit is the negative reconstruction error (see `losses.energy`). In the networks of BEGAN,
Berthelot et al. 2017 (arXiv:1703.10717), every size has two 3x3 convolutions with ELU, sizes double
by the nearest pixel, and there is neither norm nor dropout. The parts of VQGAN (Esser et al. 2021,
arXiv:2012.09841) are such convolutions too, without the paper's attention and group norm.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.checks import is_number, shown
from gan_jax.nets.layers import ACTIVATIONS, OUTPUTS, WithLabels, image_size, labels_for, lookup
from gan_jax.nets.linear import Conv, Dense, StridedConv, TransposedConv

STAGES = {16: 1, 28: 2, 32: 2, 64: 3, 128: 4}  # doublings of the smallest map, of 7x7 or 8x8


class AutoencoderGenerator(nn.Module):
  """Maps latents to images by the decoder of `AutoencoderDiscriminator`.

  Attributes:
    shape: of one example, (H, W, C) with H = W in `STAGES`.
    width: channels of all maps.
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels; otherwise an embedding of the label joins the latent.
    dtype: computed in; images are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  shape: tuple[int, ...]
  width: int = 64
  output: str = "linear"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [B, H, W, C], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    z = WithLabels()(z, labels_for(self.num_classes, y))
    return output(Decoder(self.shape, self.width, self.dtype)(z))


class AutoencoderDiscriminator(nn.Module):
  """Reconstructs an image; its logit is the negative reconstruction error, mean |x - D(x)|^power.

  Attributes:
    width: channels of the first map; each smaller one has so many more, and the decoder's have as
      many as the first.
    embedding: dimensions of the embedding.
    power: exponent of the error: 1 in BEGAN, 2 in EBGAN.
    num_classes: None for no labels; otherwise an embedding of the label joins that of the image.
    dtype: computed in; outputs are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  width: int = 64
  embedding: int = 64
  power: float = 1.0
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, y: jax.Array | None = None, *, train: bool
  ) -> dict[str, jax.Array]:
    """Maps images x [B, H, W, C] (and labels y [B]) to "logits" [B] and "embedding" [B, d]."""
    stages = STAGES[image_size(x.shape[1:], STAGES)]
    labels = labels_for(self.num_classes, y)
    h = nn.elu(Conv(self.width, dtype=self.dtype)(x))
    for stage in range(1, stages + 2):
      for _ in range(2):
        h = nn.elu(Conv(stage * self.width, dtype=self.dtype)(h))
      if stage <= stages:
        h = nn.elu(StridedConv((stage + 1) * self.width, dtype=self.dtype)(h))
    h = Dense(self.embedding, dtype=self.dtype)(h.reshape(len(h), -1))
    decoded = Decoder(x.shape[1:], self.width, self.dtype)(WithLabels()(h, labels))
    return _outputs(x, decoded, h, self.power)


class MLPAutoencoderDiscriminator(nn.Module):
  """Reconstructs an example of any shape through dense layers; see `AutoencoderDiscriminator`.

  Attributes:
    hidden: widths of the encoder's hidden layers; the decoder's are the same in reverse.
    embedding: dimensions of the embedding.
    power: exponent of the error: 1 in BEGAN, 2 in EBGAN.
    activation: after each hidden layer, one of `ACTIVATIONS`.
    num_classes: None for no labels; otherwise an embedding of the label joins that of the example.
    dtype: computed in; outputs are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (128,)
  embedding: int = 32
  power: float = 2.0
  activation: str = "relu"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, x: jax.Array, y: jax.Array | None = None, *, train: bool
  ) -> dict[str, jax.Array]:
    """Maps examples x [B, ...] (and labels y [B]) to "logits" [B] and "embedding" [B, d]."""
    activation = lookup(ACTIVATIONS, self.activation, "activation")
    labels = labels_for(self.num_classes, y)
    dense = lambda features, x: Dense(features, dtype=self.dtype)(x)
    h = x.reshape(len(x), -1)
    for features in self.hidden:
      h = activation(dense(features, h))
    h = dense(self.embedding, h)
    decoded = WithLabels()(h, labels)
    for features in reversed(self.hidden):
      decoded = activation(dense(features, decoded))
    decoded = dense(math.prod(x.shape[1:]), decoded).reshape(x.shape)
    return _outputs(x, decoded, h, self.power)


def _outputs(
  x: jax.Array, decoded: jax.Array, embedding: jax.Array, power: float
) -> dict[str, jax.Array]:
  """Computes the logits of examples and their reconstructions, beside the embeddings."""
  if not is_number(power, lambda x: x > 0):
    raise ValueError(f"power is {shown(power)}: expected a number > 0, such as 1 or 2")
  error = jnp.abs(x.astype(jnp.float32) - decoded.astype(jnp.float32))
  logits = -jnp.mean((error if power == 1 else error**power).reshape(len(x), -1), axis=1)
  return {"logits": logits, "embedding": embedding.astype(jnp.float32)}


class Decoder(nn.Module):
  """Maps embeddings [B, d] to images [B, *shape], float32: a small map, doubled until it is one."""

  shape: tuple[int, ...]
  width: int
  dtype: Any

  @nn.compact
  def __call__(self, h: jax.Array) -> jax.Array:
    size = image_size(self.shape, STAGES)
    smallest = size // 2 ** STAGES[size]
    x = Dense(smallest**2 * self.width, dtype=self.dtype)(h)
    x = x.reshape(-1, smallest, smallest, self.width)
    for stage in range(STAGES[size] + 1):
      x = x.repeat(2, axis=1).repeat(2, axis=2) if stage else x
      for _ in range(2):
        x = nn.elu(Conv(self.width, dtype=self.dtype)(x))
    return Conv(self.shape[-1], dtype=self.dtype)(x).astype(jnp.float32)


class MapEncoder(nn.Module):
  """Maps images to maps of codes: halves them stage by stage.

  Attributes:
    features: entries of a code.
    width: channels of the first map; they double from stage to stage.
    stages: number of halvings.
    dtype: computed in; codes are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  features: int = 64
  width: int = 64
  stages: int = 2
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to codes [B, h, w, features], h = H / 2**stages, float32."""
    x = nn.elu(Conv(self.width, dtype=self.dtype)(x))
    for stage in range(self.stages):
      width = self.width * 2**stage
      x = nn.elu(StridedConv(width, dtype=self.dtype)(x))
      x = nn.elu(Conv(width, dtype=self.dtype)(x))
    return Dense(self.features)(x.astype(jnp.float32))


class MapDecoder(nn.Module):
  """Maps codes to features of the size of an image, the mirror of `MapEncoder`.

  Attributes:
    width: channels of the last map; they halve from stage to stage.
    stages: number of doublings.
    dtype: computed in; features are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  width: int = 64
  stages: int = 2
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps codes x [B, h, w, d] to features [B, H, W, width], H = h 2**stages, float32."""
    for stage in reversed(range(self.stages)):
      width = self.width * 2**stage
      x = nn.elu(Conv(width, dtype=self.dtype)(x))
      x = nn.elu(TransposedConv(width, dtype=self.dtype)(x))
    return x.astype(jnp.float32)


class ImageLayer(nn.Module):
  """Maps features to images of some channels: the last layer of a decoder."""

  channels: int

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps features x [B, H, W, F] to images [B, H, W, channels], float32."""
    return Conv(self.channels)(x).astype(jnp.float32)


class Codebook(nn.Module):
  """Maps codes to the nearest of `size` learned entries, of `features` numbers each."""

  size: int
  features: int

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps codes x [..., features] to entries [..., features], float32."""
    start = lambda key, shape: jax.random.uniform(key, shape, minval=-1.0, maxval=1.0) / self.size
    entries = self.param("entries", start, (self.size, self.features))
    flat = x.reshape(-1, self.features)
    # But for |x|², which is the same to all entries.
    products = jnp.matmul(flat, entries.T, precision="highest")  # of which differences decide
    distances = jnp.sum(entries**2, axis=1)[None] - 2 * products
    return entries[jnp.argmin(distances, axis=1)].reshape(x.shape)
