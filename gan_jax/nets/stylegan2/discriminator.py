"""The discriminator of StyleGAN2, Karras et al. 2020 (arXiv:1912.04958)."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.checks import check_numbers
from gan_jax.game.random import AxisName
from gan_jax.nets.convolution.resampling import FILTER, downsample
from gan_jax.nets.examples import read_examples
from gan_jax.nets.layers import lookup
from gan_jax.nets.stylegan2.layers import RESIDUAL, EqualConv, EqualDense
from gan_jax.nets.stylegan2.mapping import Mapping, conditions
from gan_jax.nets.stylegan2.presets import check, map_dtypes, map_heights, preset
from gan_jax.nets.stylegan2.synthesis import ARCHITECTURES


class StyleGAN2Discriminator(nn.Module):
  """Halves an image by blocks, tells it how its minibatch varies, and maps it to a logit.

  Attributes:
    preset: published sizes, one of `presets.PRESETS`.
    channel_base: channels times height of a map, below `channel_max`; 0 is the preset's.
    channel_max: greatest number of channels.
    architecture: orig, skip or resnet; "" is the preset's.
    activation: of all layers, such as leaky_relu.
    mbstd_group_size: examples whose standard deviation is taken; 0 is the preset's.
    mbstd_num_channels: channels of it; 0 for none.
    mapping_layers: layers of the labels' mapping network.
    lr_multiplier: factor of its learning rate.
    cmap_dim: features that labels are compared in; 0 for the channels of the smallest map.
    conv_clamp: bound on magnitudes after each convolution; 0 or None for none.
    resample_filter: taps along one side.
    num_classes: None for no labels.
    dtype: computed in by the highest maps; logits are float32.
    dtype_resolutions: number of heights of maps, the highest, that are computed in dtype.
    axis_name: mapped axis that splits the global batch, if any.
  """

  preset: str = "auto"
  channel_base: int = 0
  channel_max: int = 512
  architecture: str = ""
  activation: str = "leaky_relu"
  mbstd_group_size: int = 0
  mbstd_num_channels: int = 1
  mapping_layers: int = 8
  lr_multiplier: float = 0.01
  cmap_dim: int = 0
  conv_clamp: float | None = 256.0
  resample_filter: Sequence[float] = FILTER
  num_classes: int | None = None
  dtype: Any = jnp.float32
  dtype_resolutions: int = 4
  axis_name: AxisName = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] (and labels y [B]) to logits [B], float32."""
    del train
    check(self)
    check_numbers(self, {">= 1": "mapping_layers"})
    heights, sizes = map_heights(x.shape[1:]), preset(self.preset, x.shape[1])
    base = self.channel_base or sizes.channel_base
    widths = [max(1, min(base // height, self.channel_max)) for height in heights]
    dtypes = map_dtypes(len(heights), self.dtype_resolutions, self.dtype)
    architecture = self.architecture or sizes.architecture
    options: dict[str, Any] = {"architecture": architecture, "activation": self.activation}
    options["conv_clamp"] = self.conv_clamp
    maps, image = None, x
    for index in range(len(heights) - 1, 0, -1):
      block = DiscriminatorBlock(
        *(widths[index], widths[index - 1]),
        resample_filter=self.resample_filter,
        dtype=dtypes[index],
        name=f"b{heights[index]}",
        **options,
      )
      maps, image = block(maps, image)
    labels = conditions(self.num_classes, y)
    cmap = None
    if labels is not None:
      width = self.cmap_dim or widths[0]
      of_labels: dict[str, Any] = {"num_layers": self.mapping_layers, "w_avg_beta": None}
      of_labels |= {"activation": self.activation, "lr_multiplier": self.lr_multiplier}
      cmap = Mapping(width, **of_labels, name="mapping")(None, labels)
    epilogue = DiscriminatorEpilogue(
      widths[0],
      mbstd_group_size=self.mbstd_group_size or sizes.mbstd_group_size,
      mbstd_num_channels=self.mbstd_num_channels,
      axis_name=self.axis_name,
      name=f"b{heights[0]}",
      **options,
    )
    return epilogue(maps, image, cmap)


class DiscriminatorBlock(nn.Module):
  """The layers of one height of maps, which it halves.

  Attributes:
    features: channels of its maps.
    out_features: channels of the halved maps.
    architecture: one of `ARCHITECTURES`.
    activation, conv_clamp, resample_filter: of its layers.
    dtype: computed in.
  """

  features: int
  out_features: int
  architecture: str = "resnet"
  activation: str = "leaky_relu"
  conv_clamp: float | None = None
  resample_filter: Sequence[float] = FILTER
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array | None, image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes (maps of half the height, the image halved where the next block looks at it).

    Args:
      x: maps; None in the first block, whose maps are of the image.
      image: image of the maps' height.
    """
    lookup(ARCHITECTURES, self.architecture, "architecture")
    taps = self.resample_filter
    options: dict[str, Any] = {"activation": self.activation, "conv_clamp": self.conv_clamp}
    options["resample_filter"] = taps
    image = image.astype(self.dtype)
    if x is None or self.architecture == "skip":
      pixels = EqualConv(self.features, 1, name="fromrgb", **options)(image)
      x = pixels if x is None else x.astype(self.dtype) + pixels
    if self.architecture == "skip":
      image = downsample(image, taps)
    x = x.astype(self.dtype)
    gain = RESIDUAL if self.architecture == "resnet" else 1.0
    out = EqualConv(self.features, name="conv0", **options)(x)
    out = EqualConv(self.out_features, 3, "down", name="conv1", **options)(out, gain)
    if self.architecture == "resnet":
      skip = EqualConv(self.out_features, 1, "down", False, resample_filter=taps, name="skip")
      out = skip(x, gain) + out
    return out, image


class DiscriminatorEpilogue(nn.Module):
  """Maps the smallest maps to logits, in float32.

  Attributes:
    features: channels of the maps.
    architecture: one of `ARCHITECTURES`.
    activation, conv_clamp: of its layers.
    mbstd_group_size, mbstd_num_channels: of `minibatch_std`.
    axis_name: mapped axis that splits the global batch, if any.
  """

  features: int
  architecture: str = "resnet"
  activation: str = "leaky_relu"
  conv_clamp: float | None = None
  mbstd_group_size: int = 4
  mbstd_num_channels: int = 1
  axis_name: AxisName = None

  @nn.compact
  def __call__(
    self, x: jax.Array | None, image: jax.Array | None = None, cmap: jax.Array | None = None
  ) -> jax.Array:
    """Computes logits [B] of maps x [B, h, w, C], with labels as products with cmap [B, d].

    The architecture "skip" looks at the halved image too, and so does one without blocks.
    """
    if x is None or self.architecture == "skip":
      assert image is not None
      rgb = EqualConv(self.features, 1, activation=self.activation, name="fromrgb")
      pixels = rgb(image.astype(jnp.float32))
      x = pixels if x is None else x.astype(jnp.float32) + pixels
    x = x.astype(jnp.float32)
    if self.mbstd_num_channels:
      read = read_examples(self)
      _check_groups(self.mbstd_group_size, len(x) * read("devices", 1), read("count", 1))
      group, channels = self.mbstd_group_size, self.mbstd_num_channels
      x = minibatch_std(x, group, channels, self.axis_name, read("parts", 1))
    act = self.activation
    x = EqualConv(self.features, activation=act, conv_clamp=self.conv_clamp, name="conv")(x)
    x = EqualDense(self.features, act, name="fc")(x.reshape(len(x), -1))
    x = EqualDense(1 if cmap is None else cmap.shape[-1], name="out")(x)
    return x[:, 0] if cmap is None else jnp.sum(x * cmap, axis=-1) / math.sqrt(cmap.shape[-1])


def minibatch_std(
  x: jax.Array,
  group_size: int | None = 4,
  num_channels: int = 1,
  axis_name: AxisName = None,
  parts: int = 1,
) -> jax.Array:
  """Appends the standard deviation within groups of examples, averaged over places and channels.

  Karras et al. 2018 (arXiv:1710.10196). Groups are strided: of N examples, N / G apart are one, so
  that a strided microbatch has the groups of the batch.

  Args:
    x: [B, H, W, C].
    group_size: examples G of a group, at most; the greatest number up to it that divides N.
      None for all.
    num_channels: parts that the channels are averaged in, F.
    axis_name: mapped axis that splits the N examples of the global batch, if any.
    parts: number of batches that x is, one after the other, of each of which a device has a share.

  Returns:
    [B, H, W, C + F].

  Raises:
    ValueError: parts that do not divide the channels.
  """
  b, h, w, c = x.shape
  if num_channels < 1 or c % num_channels:
    raise ValueError(
      f"mbstd_num_channels is {num_channels}: expected a number that divides the {c} channels"
    )
  every = x
  if axis_name is not None:  # [parts, devices, examples of each] is the order of one device
    every = jax.lax.all_gather(x.reshape(parts, b // parts, h, w, c), axis_name, axis=1, tiled=True)
    every = every.reshape(-1, h, w, c)
  n = len(every)
  size = _size_of_groups(group_size, n)
  groups = every.reshape(size, n // size, h, w, num_channels, c // num_channels)
  std = jnp.sqrt(jnp.var(groups, axis=0) + 1e-8)
  rows = jnp.tile(jnp.mean(std, axis=(1, 2, 4)), (size, 1))
  if axis_name is not None:
    first = b // parts * jax.lax.axis_index(axis_name)
    rows = rows.reshape(parts, n // parts, num_channels)
    rows = jax.lax.dynamic_slice_in_dim(rows, first, b // parts, 1).reshape(b, num_channels)
  return jnp.concatenate(
    [x, jnp.broadcast_to(rows[:, None, None], (b, h, w, num_channels))], axis=-1
  )


def _size_of_groups(group_size: int | None, n: int) -> int:
  return max(g for g in range(1, min(group_size or n, n) + 1) if n % g == 0)


def _check_groups(group_size: int | None, n: int, microbatches: int) -> None:
  """Refuses microbatches of n examples that would make other groups of them."""
  size = _size_of_groups(group_size, microbatches * n)
  if size != _size_of_groups(group_size, n):
    raise ValueError(
      f"the minibatch standard deviation is of groups of {size} examples, and each of "
      f"{microbatches} microbatches has {n}: set microbatches so that {size} divides these, or "
      "another mbstd_group_size"
    )
