"""R3GAN, Huang et al. 2025 (arXiv:2501.05441): residual blocks of grouped convolutions, no norms.

As in the published code (brownvc/R3GAN). It sums the squared gradient of R2 in bfloat16 where fakes
are of that dtype; here fakes, gradients and sums are float32.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.checks import check_numbers, shown
from gan_jax.nets.convolution.resampling import downsample, upsample
from gan_jax.nets.layers import ACTIVATIONS, OUTPUTS, image_size, labels_for, lookup
from gan_jax.nets.linear import Dense, GroupedConv

SMALLEST = 4  # height and width of the first stage of a generator
GROUP = 16  # channels of a group of a convolution, unless a preset has another number
GAIN = (2 / (1 + 0.2**2)) ** 0.5  # of a leaky ReLU: it is in the initial weights alone


class Plan(NamedTuple):
  """The stages of a published generator, from 4x4 up; a discriminator has them in reverse.

  Attributes:
    widths: channels of each stage.
    cardinalities: groups of each stage's convolutions, which are of twice as many channels.
  """

  widths: tuple[int, ...]
  cardinalities: tuple[int, ...]


PRESETS = {
  "cifar10": Plan((768,) * 4, (96,) * 4),
  "stacked_mnist": Plan((768,) * 4, (96,) * 4),
  "ffhq64": Plan((768, 768, 768, 768, 384), (96, 96, 96, 96, 48)),
  "ffhq256": Plan((768, 768, 768, 768, 384, 192, 96), (96, 96, 96, 96, 48, 24, 12)),
  "imagenet32": Plan((1536,) * 4, (96,) * 4),
  "imagenet64": Plan((1536,) * 5, (96,) * 5),
}


class R3GANGenerator(nn.Module):
  """Scales a basis of 4x4 by latents; stages of residual blocks double it until it is an image.

  Attributes:
    shape: of one example, (H, W, C) with H = W = 4, 8, 16, ... by the number of stages.
    preset: one of cifar10, stacked_mnist, ffhq64, ffhq256, imagenet32, imagenet64; where `widths`
      are given, it counts for nothing.
    widths: channels of each stage, from 4x4 up; () for those of the preset.
    cardinalities: groups of the convolutions of each stage; () for those of the preset, or for
      groups of 16 channels.
    blocks: residual blocks of each stage; () for 2 in each.
    expansion: channels within a block over those without.
    kernel: height and width of the grouped convolutions, odd.
    taps: filter along one side between stages, which a box of two pixels then filters again.
    embedding: entries of the embedding of a label, beside those of z; 0 for as many as z has.
    output: after the last layer, one of `OUTPUTS`.
    high_stages: stages of the highest resolutions, which compute in `dtype`; others, and that of
      4x4, in float32.
    remat: whether each block is recomputed for gradients: less memory, more time.
    num_classes: None for no labels.
    dtype: computed in, by the highest stages; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  preset: str = "cifar10"
  widths: tuple[int, ...] = ()
  cardinalities: tuple[int, ...] = ()
  blocks: tuple[int, ...] = ()
  expansion: int = 2
  kernel: int = 3
  taps: tuple[float, ...] = (1.0, 2.0, 1.0)
  embedding: int = 0
  output: str = "linear"
  high_stages: int = 4
  remat: bool = False
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [B, H, W, C], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    stages, taps = _stages(self, from_image=False), _filter(self.taps)
    image_size(self.shape, [SMALLEST << (len(stages) - 1)])
    labels = labels_for(self.num_classes, y)
    if labels is not None:
      embedding = _linear(self.embedding or z.shape[-1], name="embedding")(labels)
      z = jnp.concatenate([z, embedding], axis=-1)

    width = stages[0].width
    basis = self.param("basis", nn.initializers.normal(1.0), (SMALLEST, SMALLEST, width))
    x = basis[None] * _linear(width, name="latent")(z)[:, None, None]
    for i, stage in enumerate(stages):
      x = x.astype(stage.dtype)
      if i:
        x = upsample(_resized(x, stage.width, f"transition_{i}"), taps)
      x = stage.blocks(x, f"stage_{i}")
    x = _linear(self.shape[-1], x.dtype, name="image")(x)
    return output(x.astype(jnp.float32))


class R3GANDiscriminator(nn.Module):
  """Halves an image by stages of residual blocks, to 4x4, and weighs its places by a basis.

  Attributes:
    preset: one of cifar10, stacked_mnist, ffhq64, ffhq256, imagenet32, imagenet64; where `widths`
      are given, it counts for nothing.
    widths: channels of each stage, from the image down to 4x4; () for those of the preset.
    cardinalities: groups of the convolutions of each stage; () for those of the preset, or for
      groups of 16 channels.
    blocks: residual blocks of each stage; () for 2 in each.
    expansion: channels within a block over those without.
    kernel: height and width of the grouped convolutions, odd.
    taps: filter along one side between stages, which a box of two pixels then filters again.
    embedding: entries of the embedding of a label, which is projected on; 0 for the width of 4x4.
    high_stages: stages of the highest resolutions, which compute in `dtype`; others, and that of
      4x4, in float32.
    remat: whether each block is recomputed for gradients: less memory, more time.
    num_classes: None for no labels; otherwise logits are the projection alone.
    dtype: computed in, by the highest stages; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  preset: str = "cifar10"
  widths: tuple[int, ...] = ()
  cardinalities: tuple[int, ...] = ()
  blocks: tuple[int, ...] = ()
  expansion: int = 2
  kernel: int = 3
  taps: tuple[float, ...] = (1.0, 2.0, 1.0)
  embedding: int = 0
  high_stages: int = 4
  remat: bool = False
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C], C arbitrary, (and labels y [B]) to logits [B], float32."""
    stages, taps = _stages(self, from_image=True), _filter(self.taps)
    image_size(x.shape[1:], [SMALLEST << (len(stages) - 1)])
    labels = labels_for(self.num_classes, y)

    x = _linear(stages[0].width, stages[0].dtype, name="image")(x)
    for i, stage in enumerate(stages):
      if i:
        x = _resized(downsample(x, taps), stage.width, f"transition_{i}")
      x = stage.blocks(x.astype(stage.dtype), f"stage_{i}")

    width = stages[-1].width
    basis = self.param("basis", nn.initializers.normal(1 / SMALLEST), (SMALLEST, SMALLEST, width))
    features = jnp.sum(x * basis[None], axis=(1, 2))
    if labels is None:
      return _linear(1, name="logit")(features)[:, 0]
    size = self.embedding or width
    embedding = _linear(size, name="embedding", scale=1 / size)(labels)
    return jnp.sum(_linear(size, name="logit")(features) * embedding, axis=-1)


class ResidualBlock(nn.Module):
  """x + W3 a(W2 a(W1 x)), a a leaky ReLU after a bias, W2 grouped, W3 starting at 0.

  Attributes:
    cardinality: groups of W2.
    expansion: channels of W2 over those of x.
    kernel: height and width of W2.
    gain: standard deviation of a sum that W1 or W2 starts with, for inputs of 1.
  """

  cardinality: int
  expansion: int
  kernel: int
  gain: float

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    inner, active = self.expansion * x.shape[-1], ACTIVATIONS["leaky_relu"]
    window = (self.kernel, self.kernel)
    options: dict[str, Any] = {"kernel_init": _normal(self.gain**2), "dtype": x.dtype}
    y = active(Dense(inner, **options)(x))
    y = active(GroupedConv(inner, window, groups=self.cardinality, **options)(y))
    options["kernel_init"] = nn.initializers.zeros
    return x + Dense(x.shape[-1], use_bias=False, **options)(y)


class Stage(NamedTuple):
  """A stage of a network: its channels, its dtype, and (x, name) -> what its blocks make of x."""

  width: int
  dtype: Any
  blocks: Callable[[jax.Array, str], jax.Array]


def _stages(net: Any, *, from_image: bool) -> list[Stage]:
  """Builds the stages of a network, in its own order."""
  check_numbers(net, {">= 0": "embedding high_stages", ">= 1": "expansion"})
  if net.kernel < 1 or net.kernel % 2 == 0:
    raise ValueError(f"kernel is {shown(net.kernel)}: expected an odd number >= 1")
  plan, turn = lookup(PRESETS, net.preset, "preset"), slice(None, None, -1 if from_image else 1)
  widths, cardinalities = net.widths or plan.widths[turn], net.cardinalities
  if not cardinalities:
    groups = tuple(max(1, width * net.expansion // GROUP) for width in widths)
    cardinalities = groups if net.widths else plan.cardinalities[turn]
  blocks = net.blocks or (2,) * len(widths)
  if not len(widths) == len(cardinalities) == len(blocks):
    raise ValueError(
      f"{len(widths)} widths, {len(cardinalities)} cardinalities and {len(blocks)} numbers of "
      "blocks: expected one of each for a stage"
    )
  if min(blocks) < 0 or not sum(blocks):
    raise ValueError(
      f"blocks are {shown(tuple(blocks))}: expected numbers >= 0, at least one of them above"
    )
  high = min(net.high_stages, len(widths) - 1)
  dtypes = ([net.dtype] * high + [jnp.float32] * (len(widths) - high))[:: 1 if from_image else -1]
  # Fixup, Zhang et al. 2019 (arXiv:1901.09321): three layers a block, one of which starts at 0.
  gain = GAIN * sum(blocks) ** -0.25
  block = nn.remat(ResidualBlock) if net.remat else ResidualBlock

  def run(cardinality: int, count: int, x: jax.Array, name: str) -> jax.Array:
    for i in range(count):
      x = block(cardinality, net.expansion, net.kernel, gain, name=f"{name}_block_{i}")(x)
    return x

  runs = [functools.partial(run, *pair) for pair in zip(cardinalities, blocks, strict=True)]
  return [Stage(*stage) for stage in zip(widths, dtypes, runs, strict=True)]


def _filter(taps: tuple[float, ...]) -> list[float]:
  """Returns the taps along one side, filtered by a box of two pixels."""
  if len(taps) % 2 == 0 or not sum(taps):
    raise ValueError(
      f"taps are {shown(tuple(taps))}: expected an odd number of them with a sum, such as (1, 2, 1)"
    )
  return np.convolve(taps, (1, 1)).tolist()


def _resized(x: jax.Array, width: int, name: str) -> jax.Array:
  """Maps x to so many channels, if it has others."""
  return x if x.shape[-1] == width else _linear(width, x.dtype, name=name)(x)


def _linear(features: int, dtype: Any = jnp.float32, *, name: str, scale: float = 1.0) -> Dense:
  """Builds a layer without bias or activation."""
  return Dense(features, use_bias=False, kernel_init=_normal(scale), dtype=dtype, name=name)


def _normal(scale: float) -> Callable:
  """Builds the initialiser N(0, scale / fan_in)."""
  return nn.initializers.variance_scaling(scale, "fan_in", "normal")
