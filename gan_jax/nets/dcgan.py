"""DCGAN, Radford et al. 2016 (arXiv:1511.06434), for images of 28, 32 and 64 pixels.

Every change of size is a kernel-4, stride-2 convolution. As in the paper, weights start from
N(0, 0.02), and the discriminator's leaky ReLU has a slope of 0.2.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import (
  OUTPUTS,
  Logit,
  Norm,
  WithLabels,
  image_size,
  labels_for,
  layer_options,
  lookup,
)
from gan_jax.nets.linear import Dense, StridedConv, TransposedConv

INIT = nn.initializers.normal(0.02)
STAGES = {28: 2, 32: 3, 64: 4}  # doublings of the smallest map, which is 7x7 or 4x4


class DCGANGenerator(nn.Module):
  """Maps latents to a small map, which transposed convolutions double until it is an image.

  Attributes:
    shape: of one example, (H, W, C) with H = W in `STAGES`.
    width: channels of the last hidden map; each map before it has twice as many.
    norm: one of `NORMS`; of every hidden map, or "spectral" of all weights.
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels; otherwise an embedding of the label joins the latent.
    dtype: computed in; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  width: int = 64
  norm: str = "batch"
  output: str = "tanh"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [B, H, W, C], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    size, channels = image_size(self.shape, STAGES), self.shape[-1]
    stages = STAGES[size]
    options = layer_options(self.norm, self.dtype) | {"kernel_init": INIT}
    hidden = options | {"use_bias": self.norm in ("spectral", "none")}  # others shift by themselves
    widths = [self.width * 2**i for i in reversed(range(stages))]
    smallest = size // 2**stages
    active = lambda x: nn.relu(Norm(self.norm, self.axis_name, self.dtype)(x, train=train))

    x = WithLabels()(z, labels_for(self.num_classes, y))
    x = Dense(smallest**2 * widths[0], **hidden)(x, train=train)
    x = x.reshape(-1, smallest, smallest, widths[0])
    for width in widths[1:]:
      x = TransposedConv(width, **hidden)(active(x), train=train)
    x = TransposedConv(channels, **options)(active(x), train=train)
    return output(x.astype(jnp.float32))


class DCGANDiscriminator(nn.Module):
  """Halves an image by strided convolutions, then maps the last map to a logit.

  Attributes:
    width: channels of the first map; each map after it has twice as many.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    num_classes: None for no labels; otherwise the label enters by projection.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  norm: str = "batch"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C], C arbitrary, (and labels y [B]) to logits [B], float32."""
    labels = labels_for(self.num_classes, y)
    features = dcgan_features(self, x, train=train)
    head = Logit(spectral=self.norm == "spectral", kernel_init=INIT)
    return head(features, labels, train=train)


def dcgan_features(net: Any, x: jax.Array, *, train: bool) -> jax.Array:
  """Computes features [B, F] of images within a network with the fields of `DCGANDiscriminator`."""
  stages = STAGES[image_size(x.shape[1:], STAGES)]
  options = layer_options(net.norm, net.dtype) | {"kernel_init": INIT}
  hidden = options | {"use_bias": net.norm in ("spectral", "none")}  # others shift by themselves
  x = nn.leaky_relu(StridedConv(net.width, **options)(x, train=train), 0.2)
  for stage in range(1, stages):
    x = StridedConv(net.width * 2**stage, **hidden)(x, train=train)
    x = Norm(net.norm, net.axis_name, net.dtype)(x, train=train)
    x = nn.leaky_relu(x, 0.2)
  return x.reshape(x.shape[0], -1)
