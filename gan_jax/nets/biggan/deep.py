"""BigGAN-deep, Brock et al. 2019 (arXiv:1809.11096, appendix B).

As in the published code (ajbrock/BigGAN-PyTorch), where the class joins the latents for all blocks,
and shortcuts drop channels in the generator and join new ones in the discriminator.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.biggan.biggan import GENERATORS, SMALLEST, Plan, shared_embedding
from gan_jax.nets.biggan.layers import (
  ConditionalBatchNorm,
  LayerOptions,
  attend,
  check_attention,
  output_image,
  projected,
)
from gan_jax.nets.layers import OUTPUTS, double, halve, image_size, labels_for, lookup

RATIO = 4  # of the channels of a block to those of its bottleneck
DISCRIMINATORS = {  # the first multiple is of the first convolution
  # As published, 16 names all three stages, whose outputs are 16, 8 and 8 high.
  32: Plan((4, 4, 4, 4), 2, (16, 16, 16)),
  64: Plan((1, 2, 4, 8, 16), 4, (32, 16, 8, 4)),
  128: Plan((1, 2, 4, 8, 16, 16), 5, (64, 32, 16, 8, 4)),
  256: Plan((1, 2, 4, 8, 8, 16, 16), 6, (128, 64, 32, 16, 8, 4)),
}


class BigGANDeepGenerator(nn.Module):
  """Maps latents to a map of 4x4, which stages of bottlenecks double until it is an image.

  Attributes:
    shape: of one example, (H, W, C) with H = W in `GENERATORS`.
    width: channels that the published multiples are of.
    depth: number of blocks of a stage; the last one doubles height and width.
    shared: size of the embedding of classes, which joins the latents.
    attention: heights of maps that attend to themselves, such as (64,); () for none.
    spectral: spectral norm, one of `linear.EVALUATIONS`, or "none".
    epsilon: least norm that singular vectors are divided by; ImageNet's networks have 1e-6.
    iterations: steps of the power iteration for each training forward.
    singular_values: number of singular values that are tracked.
    norm_epsilon: added to variances.
    initialiser: of weights, "orthogonal", "normal" of scale 0.02, or "glorot".
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels.
    dtype: computed in; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  width: int = 128
  depth: int = 2
  shared: int = 128
  attention: tuple[int, ...] = ()
  spectral: str = "iterated"
  epsilon: float = 1e-12
  iterations: int = 1
  singular_values: int = 1
  norm_epsilon: float = 1e-5
  initialiser: str = "orthogonal"
  output: str = "tanh"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [B, H, W, C], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    multiples = GENERATORS[image_size(self.shape, GENERATORS)]
    first, *widths = [self.width * multiple for multiple in multiples]
    heights = [SMALLEST * 2 ** (index + 1) for index in range(len(widths))]
    check_attention(self.attention, heights)
    options = LayerOptions.of(self)

    embedded = shared_embedding(self, options, y)
    z = z if embedded is None else jnp.concatenate([embedded, z], axis=-1)
    x = options.dense("linear", SMALLEST**2 * first, z, train)
    x = x.reshape(-1, SMALLEST, SMALLEST, first)
    for index, (features, height) in enumerate(zip(widths, heights, strict=True)):
      for step in range(self.depth):
        last = step == self.depth - 1
        fields = (features if last else x.shape[-1], last, options)
        x = GeneratorBottleneck(*fields, name=f"block_{index}_{step}")(x, z, train=train)
      x = attend(options, height, self.attention, index, x, train)
    final = options._replace(norm_epsilon=1e-5)  # as published, one of its own
    return output_image(final, x, self.shape[-1], output, train=train)


class BigGANDeepDiscriminator(nn.Module):
  """Halves an image by stages of bottlenecks, sums over places, and maps the sum to a logit.

  Attributes:
    width: channels that the published multiples are of.
    depth: number of blocks of a stage; the first one halves height and width.
    attention: heights of maps that attend to themselves, such as (64,); () for none.
    spectral: spectral norm, one of `linear.EVALUATIONS`, or "none".
    epsilon: least norm that singular vectors are divided by; ImageNet's networks have 1e-6.
    iterations: steps of the power iteration for each training forward.
    singular_values: number of singular values that are tracked.
    initialiser: of weights, "orthogonal", "normal" of scale 0.02, or "glorot".
    num_classes: None for no labels; otherwise the label enters by projection.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 128
  depth: int = 2
  attention: tuple[int, ...] = ()
  spectral: str = "iterated"
  epsilon: float = 1e-12
  iterations: int = 1
  singular_values: int = 1
  initialiser: str = "orthogonal"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C], C arbitrary, (and labels y [B]) to logits [B], float32."""
    plan = DISCRIMINATORS[image_size(x.shape[1:], DISCRIMINATORS)]
    check_attention(self.attention, plan.heights)
    options, labels = LayerOptions.of(self), labels_for(self.num_classes, y)
    first, *widths = [self.width * multiple for multiple in plan.multiples]
    x = options.conv("input_conv", first, x.astype(self.dtype), train)
    for index, (features, height) in enumerate(zip(widths, plan.heights, strict=True)):
      for step in range(self.depth):
        fields = (features, step == 0 and index < plan.halvings, options)
        x = DiscriminatorBottleneck(*fields, name=f"block_{index}_{step}")(x, train=train)
      x = attend(options, height, self.attention, index, x, train)
    return projected(options, x, labels, train=train)


class GeneratorBottleneck(nn.Module):
  """A residual block that may double height and width, whose shortcut drops the last channels."""

  features: int
  doubles: bool
  options: LayerOptions

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array, *, train: bool) -> jax.Array:
    options, hidden = self.options, x.shape[-1] // RATIO
    change = double if self.doubles else lambda x: x
    active = lambda i, x: nn.relu(ConditionalBatchNorm(options, name=f"bn{i}")(x, y, train=train))
    h = options.dense("conv1", hidden, active(1, x), train)
    h = options.conv("conv2", hidden, change(active(2, h)), train)
    h = options.conv("conv3", hidden, active(3, h), train)
    h = options.dense("conv4", self.features, active(4, h), train)
    return h + change(x[..., : self.features])


class DiscriminatorBottleneck(nn.Module):
  """A residual block that may halve height and width, whose shortcut joins new channels."""

  features: int
  halves: bool
  options: LayerOptions

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    options, hidden = self.options, self.features // RATIO
    change = halve if self.halves else lambda x: x
    h = options.dense("conv1", hidden, nn.relu(x), train)
    h = options.conv("conv2", hidden, nn.relu(h), train)
    h = options.conv("conv3", hidden, nn.relu(h), train)
    h = options.dense("conv4", self.features, change(nn.relu(h)), train)
    x = change(x)
    if (new := self.features - x.shape[-1]) > 0:
      x = jnp.concatenate([x, options.dense("conv_sc", new, x, train)], axis=-1)
    return h + x
