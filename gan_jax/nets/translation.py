"""Image translation: pix2pix, Isola et al. 2017 (arXiv:1611.07004), and CycleGAN, Zhu et al. 2017
(arXiv:1703.10593).

As in the published code (junyanz/pytorch-CycleGAN-and-pix2pix), instance norm has neither scale nor
shift, the layers before batch norm have no bias, weights start from N(0, 0.02), biases at 0, and
scales of batch norm from N(1, 0.02). Height and width may differ.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.convolution import forms
from gan_jax.nets.layers import Dropout, Norm, layer_options
from gan_jax.nets.linear import Dense, Linear, StridedConv, TransposedConv

INIT = nn.initializers.normal(0.02)


class ResnetTranslator(nn.Module):
  """Maps images to images of the same size: halves them twice, residual blocks, doubles them twice.

  Attributes:
    channels: of the images that are returned.
    width: channels of the first map; the residual blocks have four times as many.
    blocks: number of residual blocks; published are 6 for 128 pixels and 9 for 256.
    norm: one of `NORMS`; of every map but the last, or "spectral" of all weights.
    dropout: rate in the residual blocks; pix2pix has 0.5, and drops in evaluation too.
    noisy: whether it drops in evaluation too, with the key "dropout".
    residual: whether the image is added to the output, and the sum is clipped to [-1, 1], so that
      the network starts near the identity (DeblurGAN, Kupyn et al. 2018, arXiv:1711.07064).
    dtype: computed in; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  channels: int = 3
  width: int = 64
  blocks: int = 9
  norm: str = "instance"
  dropout: float = 0.0
  noisy: bool = False
  residual: bool = False
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to images [B, H, W, channels] in [-1, 1]; ignores labels y."""
    _check_size(x, multiple=4, smallest=8)  # the maps of the blocks are reflected by 1
    options, hidden = _layer_options(self)
    norm = lambda layer, x: _norm(self, layer(x, train=train), train=train)
    active = lambda layer, x: nn.relu(norm(layer, x))

    image = x
    x = active(ReflectConv(self.width, (7, 7), **hidden), x)
    for scale in (2, 4):
      x = active(StridedConv3x3(scale * self.width, **hidden), x)
    for _ in range(self.blocks):
      residual = active(ReflectConv(4 * self.width, **hidden), x)
      residual = Dropout(self.dropout)(residual, train=train or self.noisy)
      x = x + norm(ReflectConv(4 * self.width, **hidden), residual)
    for scale in (2, 1):
      x = active(TransposedConv3x3(scale * self.width, **hidden), x)
    x = ReflectConv(self.channels, (7, 7), **options)(x, train=train)
    x = jnp.tanh(x.astype(jnp.float32))
    return jnp.clip(image + x, -1, 1) if self.residual else x


class UnetTranslator(nn.Module):
  """Maps images to images of the same size: halves them level by level, and joins each map again.

  Dropout follows the published code: of the levels from the fifth on, all but the innermost have
  it, where the paper has it in the three innermost.

  Attributes:
    channels: of the images that are returned.
    width: channels of the first map; they double from level to level, up to eight times as many.
    levels: number of halvings; published are 7 for 128 pixels and 8 for 256.
    norm: one of `NORMS`; of every map but the first, the innermost and the last, or "spectral" of
      all weights.
    dropout: rate on the way up; pix2pix has 0.5, and drops in evaluation too.
    noisy: whether it drops in evaluation too, with the key "dropout".
    dtype: computed in; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  channels: int = 3
  width: int = 64
  levels: int = 8
  norm: str = "batch"
  dropout: float = 0.0
  noisy: bool = False
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to images [B, H, W, channels] in [-1, 1]; ignores labels y."""
    _check_size(x, multiple=2**self.levels, smallest=2**self.levels)
    options, hidden = _layer_options(self)
    innermost = self.levels - 1
    widths = [self.width * min(2**level, 8) for level in range(self.levels)]

    maps = []
    for level, width in enumerate(widths):
      x = StridedConv(width, **hidden)(nn.leaky_relu(x, 0.2) if level else x, train=train)
      if 0 < level < innermost:
        x = _norm(self, x, train=train)
      maps.append(x)
    x = maps.pop()
    for level in range(innermost, 0, -1):
      x = TransposedConv(widths[level - 1], **hidden)(nn.relu(x), train=train)
      x = _norm(self, x, train=train)
      if 4 <= level < innermost:
        x = Dropout(self.dropout)(x, train=train or self.noisy)
      x = jnp.concatenate([maps.pop(), x], axis=-1)
    x = TransposedConv(self.channels, **options)(nn.relu(x), train=train)
    return jnp.tanh(x.astype(jnp.float32))


class PatchDiscriminator(nn.Module):
  """PatchGAN: maps an image to a logit for each of its overlapping patches.

  Attributes:
    width: channels of the first map; they double from layer to layer, up to eight times as many.
    layers: number of halvings; the published 3 look at patches of 70 pixels.
    norm: one of `NORMS`; of every map but the first and the logits, or "spectral" of all weights.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  layers: int = 3
  norm: str = "instance"
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to logits [B, h, w], h = H / 2**layers - 2; ignores labels y."""
    _check_size(x, multiple=2**self.layers, smallest=3 * 2**self.layers)
    options, hidden = _layer_options(self)
    x = nn.leaky_relu(StridedConv(self.width, **options)(x, train=train), 0.2)
    for layer in range(1, self.layers + 1):
      conv = StridedConv if layer < self.layers else Conv4x4
      x = conv(self.width * min(2**layer, 8), **hidden)(x, train=train)
      x = nn.leaky_relu(_norm(self, x, train=train), 0.2)
    return Conv4x4(1, **options)(x, train=train)[..., 0].astype(jnp.float32)


class PixelDiscriminator(nn.Module):
  """Maps each pixel to a logit.

  Attributes:
    width: channels of the first map; the second has twice as many.
    norm: one of `NORMS`; of the second map, or "spectral" of all weights.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  norm: str = "instance"
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to logits [B, H, W]; ignores labels y."""
    options, hidden = _layer_options(self)
    x = nn.leaky_relu(Dense(self.width, **options)(x, train=train), 0.2)
    x = _norm(self, Dense(2 * self.width, **hidden)(x, train=train), train=train)
    x = Dense(1, **hidden)(nn.leaky_relu(x, 0.2), train=train)
    return x[..., 0].astype(jnp.float32)


# Each is a convolution whose gradients are fast on a CPU, with zeros beside its kernel or with its
# output cropped. At 256 pixels this adds 13% to the multiplications of ResNet-9, and 43% to the few
# of PatchGAN.


class ReflectConv(Linear):
  """A convolution of stride 1 that keeps the size, with the image reflected beyond its border."""

  window: tuple[int, ...] = (3, 3)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    n = self.window[0] // 2
    x = jnp.pad(x, ((0, 0), (n, n), (n, n), (0, 0)), "reflect")
    return forms.conv(x, kernel)[:, n:-n, n:-n]


class StridedConv3x3(Linear):
  """Halves height and width: kernel 3, stride 2, padding 1; parameters as in `flax.linen.Conv`."""

  window: tuple[int, ...] = (3, 3)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.strided_conv(x, jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0))))


class TransposedConv3x3(Linear):
  """Doubles height and width, the transpose of `StridedConv3x3`; kernels as in `TransposedConv`."""

  window: tuple[int, ...] = (3, 3)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.transposed_conv(x, jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0))))


class Conv4x4(Linear):
  """A convolution of stride 1 and padding 1: height and width lose 1, as the kernel is even."""

  window: tuple[int, ...] = (4, 4)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.conv(x, jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0))))[:, :-1, :-1]


def _layer_options(net: Any) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns the options of the first and last layers of a network, and of those before a norm."""
  options = layer_options(net.norm, net.dtype) | {"kernel_init": INIT}
  return options, options | {"use_bias": net.norm != "batch"}


def _norm(net: Any, x: jax.Array, *, train: bool) -> jax.Array:
  """Normalises x [B, H, W, C] as a network does."""
  if net.norm == "instance":
    return nn.InstanceNorm(use_scale=False, use_bias=False, epsilon=1e-5, dtype=net.dtype)(x)
  scale_init = lambda key, shape, dtype: 1 + INIT(key, shape, dtype)
  return Norm(net.norm, net.axis_name, net.dtype, scale_init=scale_init)(x, train=train)


def _check_size(x: jax.Array, multiple: int, smallest: int) -> None:
  if any(size % multiple or size < smallest for size in x.shape[1:3]):
    raise ValueError(
      f"This network is for images whose height and width are multiples of {multiple}, at least "
      f"{smallest}; got {x.shape}. Resize the data, or choose another network."
    )
