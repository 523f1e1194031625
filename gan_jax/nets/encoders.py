"""Encoders, which end in codes instead of logits, and discriminators of examples with codes.

The recognition network Q of InfoGAN (Chen et al. 2016, arXiv:1606.03657), and the encoder of BiGAN
(Donahue et al. 2017, arXiv:1605.09782), whose discriminator judges pairs; the feature extractor of
DANN (Ganin et al. 2016).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.dcgan import INIT, dcgan_features
from gan_jax.nets.layers import Logit, WithLabels, labels_for
from gan_jax.nets.linear import Conv, Dense
from gan_jax.nets.mlp import mlp_features


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


class DCGANEncoder(nn.Module):
  """Halves an example by strided convolutions, then maps the last map to a code.

  Attributes:
    features: entries of a code.
    width: channels of the first map; each map after it has twice as many, at most 8 times.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    num_classes: None for no labels.
    dtype: computed in; codes are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  features: int = 64
  width: int = 64
  norm: str = "batch"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps x [B, H, W, C], or of one or three sides, (and y [B]) to codes [B, features]."""
    x = WithLabels()(dcgan_features(self, x, train=train), labels_for(self.num_classes, y))
    head = Dense(self.features, spectral=self.norm == "spectral", kernel_init=INIT)
    return head(x.astype(jnp.float32), train=train)


class LeNetExtractor(nn.Module):
  """Maps images to features: two 5x5 convolutions, each with max-pooling and a ReLU.

  DANN's for digits, Ganin et al. 2016 (arXiv:1505.07818), figure 4a.

  Attributes:
    widths: channels of the two maps; published are 32 and 48.
    dtype: computed in; features are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  widths: tuple[int, int] = (32, 48)
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to features [B, F], float32; ignores labels y."""
    for width in self.widths:
      x = Conv(width, window=(5, 5), dtype=self.dtype)(x)
      x = nn.relu(nn.max_pool(x, (2, 2), strides=(2, 2)))
    return x.reshape(len(x), -1).astype(jnp.float32)


class JointMLPDiscriminator(nn.Module):
  """Maps examples of any shape and their codes to logits through dense layers.

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


class JointDCGANDiscriminator(nn.Module):
  """Halves an image by strided convolutions, and maps the last map and a code to a logit.

  Attributes:
    width: channels of the first map; each map after it has twice as many.
    hidden: width of the dense layer of the image, of the code, and of both.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  hidden: int = 512
  norm: str = "batch"
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, pair: tuple[jax.Array, jax.Array], y: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    """Maps images x [B, H, W, C] and codes z [B, d] to logits [B], float32; ignores labels y."""
    x, z = pair
    options: dict[str, Any] = {"spectral": self.norm == "spectral", "kernel_init": INIT}
    active = lambda x: nn.leaky_relu(
      Dense(self.hidden, dtype=self.dtype, **options)(x, train=train), 0.2
    )
    both = [active(dcgan_features(self, x, train=train)), active(z)]
    return Logit(**options)(active(jnp.concatenate(both, axis=1)), train=train)
