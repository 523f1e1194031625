"""Discriminators with outputs beside logits: the features before them, and logits of classes.

AC-GAN (Odena et al. 2017, arXiv:1610.09585) has logits of classes, and gives the discriminator no
labels. The network Q of InfoGAN (Chen et al. 2016, arXiv:1606.03657) reads features.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.dcgan import INIT, dcgan_features
from gan_jax.nets.layers import Logit
from gan_jax.nets.linear import Dense
from gan_jax.nets.mlp import mlp_features

Outputs = dict[str, jax.Array]


class AuxiliaryMLPDiscriminator(nn.Module):
  """Maps examples of any shape to logits, features and logits of classes through dense layers.

  Attributes:
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    num_classes: number of classes; None for no logits of them.
    dtype: computed in; logits are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "relu"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> Outputs:
    """Maps x [B, ...] to "logits" [B], "features" [B, F] and, where there are classes, "classes"
    [B, num_classes], all float32; ignores labels."""
    return _heads(mlp_features(self, x), self.num_classes, train=train)


class AuxiliaryDCGANDiscriminator(nn.Module):
  """Halves an example by strided convolutions, to features, logits and logits of classes.

  Attributes:
    width: channels of the first map; each map after it has twice as many, at most 8 times.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    num_classes: number of classes; None for no logits of them.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  norm: str = "batch"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> Outputs:
    """Maps x [B, H, W, C], or of one or three sides, to what `AuxiliaryMLPDiscriminator` does."""
    options = {"spectral": self.norm == "spectral", "kernel_init": INIT}
    return _heads(dcgan_features(self, x, train=train), self.num_classes, train=train, **options)


def _heads(x: jax.Array, num_classes: int | None, *, train: bool, **options: Any) -> Outputs:
  """Computes the outputs of features [B, F]."""
  x = x.astype(jnp.float32)
  outputs = {"logits": Logit(**options)(x, train=train), "features": x}
  if num_classes is not None:
    outputs["classes"] = Dense(num_classes, name="classes", **options)(x, train=train)
  return outputs
