"""The published sizes of StyleGAN2's networks, by name."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from gan_jax.checks import check_numbers, shown
from gan_jax.nets.layers import lookup


class Preset(NamedTuple):
  """What published configs differ in.

  Attributes:
    channel_base: channels times height of a map, below the greatest width.
    mapping_layers: layers of the generator's mapping network.
    architecture: of the discriminator.
    mbstd_group_size: examples of a group of the minibatch standard deviation.
  """

  channel_base: int
  mapping_layers: int
  architecture: str = "resnet"
  mbstd_group_size: int = 4


PRESETS = {
  "auto": Preset(0, 2),  # its channels depend on the size of images
  "stylegan2": Preset(32768, 8),
  "paper256": Preset(16384, 8, mbstd_group_size=8),
  "paper512": Preset(32768, 8, mbstd_group_size=8),
  "paper1024": Preset(32768, 8),
  "cifar": Preset(32768, 2, "orig", 32),
}


RANGES = {  # of the numbers of both networks
  ">= 0": "channel_base cutoff conv_clamp dtype_resolutions cmap_dim mbstd_group_size"
  " mbstd_num_channels mapping_layers",
  ">= 1": "channel_max w_dim",
  "> 0": "lr_multiplier",
  "in [0, 1]": "w_avg_beta mixing",
}


def check(network: Any) -> None:
  """Checks the numbers of a generator or discriminator, each by itself.

  Raises:
    ValueError: for a number out of its range, or taps without a sum.
  """
  check_numbers(network, RANGES)
  taps: Sequence[float] = tuple(network.resample_filter)
  if not sum(taps):
    raise ValueError(
      f"resample_filter is {shown(taps)}: expected taps with a sum, such as (1, 3, 3, 1)"
    )


def preset(name: str, height: int) -> Preset:
  """Returns the published sizes for images of this height."""
  sizes = lookup(PRESETS, name, "preset")
  base = sizes.channel_base or (32768 if height >= 512 else 16384)
  return sizes._replace(channel_base=base)


def map_heights(shape: tuple[int, ...]) -> list[int]:
  """Computes the heights of the maps of square images, smallest first: 4, 8, ... or 7, 14, 28.

  Raises:
    ValueError: not (H, W, C) with H = W = 4, 5, 6 or 7, doubled any number of times.
  """
  heights = [shape[0]]
  while heights[0] >= 8 and heights[0] % 2 == 0:
    heights.insert(0, heights[0] // 2)
  if len(shape) != 3 or shape[0] != shape[1] or not 4 <= heights[0] <= 7:
    raise ValueError(
      "StyleGAN2 is for square images (H, W, C) of 4, 5, 6 or 7 pixels doubled any number of times,"
      f" such as 28, 32 or 256; got {tuple(shape)}. Resize the data, or choose another network."
    )
  return heights


def map_dtypes(count: int, highest: int, dtype: Any) -> list[Any]:
  """Lists what the maps are computed in, smallest first: the first one is always float32."""
  first = max(count - highest, 1)
  return [dtype if index >= first else jnp.float32 for index in range(count)]
