"""The synthesis network of StyleGAN2, from styles w to images (1912.04958)."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.nets.convolution.resampling import FILTER, upsample
from gan_jax.nets.layers import lookup, stream_keys
from gan_jax.nets.stylegan2.layers import (
  RESIDUAL,
  UNIT,
  EqualConv,
  EqualDense,
  modulated_conv,
  scaled_act,
)
from gan_jax.nets.stylegan2.presets import map_dtypes, map_heights

ARCHITECTURES = ("orig", "skip", "resnet")
NOISES = ("random", "const", "none")
Noise = str | jax.Array  # "const", "none", or the map itself, [B or 1, H, W, 1]


class SynthesisLayer(nn.Module):
  """A modulated convolution with noise, a bias and an activation.

  Attributes:
    features: O.
    up: whether it doubles both sides.
    activation: one of `layers.ACTIVATIONS`.
    conv_clamp: bound on magnitudes after the gain; 0 or None for none.
    resample_filter: taps along one side.
  """

  features: int
  up: bool = False
  activation: str = "leaky_relu"
  conv_clamp: float | None = None
  resample_filter: Sequence[float] = FILTER

  @nn.compact
  def __call__(
    self, x: jax.Array, w: jax.Array, noise: Noise = "const", gain: float = 1.0
  ) -> jax.Array:
    """Maps x [B, H, W, I], in the style w [B, w_dim], to [B, H', W', O] of x's dtype."""
    styles = EqualDense(x.shape[-1], bias_init=1.0, name="affine")(w)
    kernel = self.param("kernel", UNIT, (3, 3, x.shape[-1], self.features))
    bias = self.param("bias", nn.initializers.zeros, (self.features,))
    strength = self.param("noise_strength", nn.initializers.zeros, ())
    size = (x.shape[1] << self.up, x.shape[2] << self.up)
    start = lambda: jax.random.normal(self.make_rng("params"), size)
    constant = self.variable("batch_stats", "noise_const", start).value[None, :, :, None]
    noise_map = constant if isinstance(noise, str) else noise
    y = modulated_conv(
      x,
      kernel,
      styles,
      noise=None if isinstance(noise, str) and noise == "none" else strength * noise_map,
      up=self.up,
      filter=self.resample_filter,
    )
    return scaled_act(y, bias, self.activation, gain, self.conv_clamp)


class ToImage(nn.Module):
  """A modulated convolution of one pixel without demodulation, noise or activation: toRGB."""

  channels: int
  conv_clamp: float | None = None

  @nn.compact
  def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
    inputs = x.shape[-1]
    styles = EqualDense(inputs, bias_init=1.0, name="affine")(w) / math.sqrt(inputs)
    kernel = self.param("kernel", UNIT, (1, 1, inputs, self.channels))
    bias = self.param("bias", nn.initializers.zeros, (self.channels,))
    y = modulated_conv(x, kernel, styles, demodulate=False)
    return scaled_act(y, bias, "linear", 1.0, self.conv_clamp)


class SynthesisBlock(nn.Module):
  """The layers of one height of maps; the first has a constant for its input.

  Attributes:
    features: channels of its maps.
    height: height and width of its maps.
    channels: channels of images.
    architecture: one of `ARCHITECTURES`.
    is_last: whether images leave it whatever the architecture.
    activation, conv_clamp, resample_filter: of its layers.
    dtype: computed in; images are float32.
  """

  features: int
  height: int
  channels: int
  architecture: str = "skip"
  is_last: bool = False
  activation: str = "leaky_relu"
  conv_clamp: float | None = None
  resample_filter: Sequence[float] = FILTER
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: jax.Array | None,
    image: jax.Array | None,
    w: jax.Array,
    noise: Sequence[Noise] = ("const", "const"),
  ) -> tuple[jax.Array, jax.Array | None]:
    """Computes (maps [B, H, W, O], the image so far).

    Args:
      x: maps of half the height; None in the first block.
      image: image of half the height, if there is one.
      w: styles of the convolutions in order and of the image, [B, rows, w_dim].
      noise: noise of each convolution.
    """
    options: dict[str, Any] = {"activation": self.activation, "conv_clamp": self.conv_clamp}
    options["resample_filter"] = self.resample_filter
    residual = RESIDUAL if self.architecture == "resnet" and x is not None else 1.0
    conv1 = SynthesisLayer(self.features, name="conv1", **options)
    if x is None:
      constant = self.param("const", UNIT, (self.height, self.height, self.features))
      x = jnp.broadcast_to(constant, (w.shape[0], *constant.shape)).astype(self.dtype)
      x = conv1(x, w[:, 0], noise[0])
    else:
      conv0 = SynthesisLayer(self.features, up=True, name="conv0", **options)
      below = x.astype(self.dtype)
      x = conv1(conv0(below, w[:, 0], noise[0]), w[:, 1], noise[1], gain=residual)
      if residual != 1:
        taps = self.resample_filter
        skip = EqualConv(self.features, 1, "up", False, resample_filter=taps, name="skip")
        x = skip(below, gain=residual) + x
    if image is not None:
      image = upsample(image, self.resample_filter)
    if self.is_last or self.architecture == "skip":
      rgb = ToImage(self.channels, self.conv_clamp, name="torgb")(x, w[:, -1]).astype(jnp.float32)
      image = rgb if image is None else image + rgb
    return x, image


class Synthesis(nn.Module):
  """Doubles a constant map by blocks, each layer in a style of its own, until it is an image.

  Attributes:
    shape: of one example, (H, W, C).
    channel_base: channels times height of a map, below `channel_max`.
    channel_max: greatest number of channels.
    architecture: one of `ARCHITECTURES`.
    activation: one of `layers.ACTIVATIONS`.
    conv_clamp: bound on magnitudes after each convolution; 0 or None for none.
    resample_filter: taps along one side.
    dtype: computed in by the blocks of the highest maps; images are float32.
    dtype_resolutions: number of these blocks, the first one never among them.
  """

  shape: tuple[int, ...]
  channel_base: int = 32768
  channel_max: int = 512
  architecture: str = "skip"
  activation: str = "leaky_relu"
  conv_clamp: float | None = None
  resample_filter: Sequence[float] = FILTER
  dtype: Any = jnp.float32
  dtype_resolutions: int = 4

  @nn.compact
  def __call__(self, w: jax.Array, noise: str | Sequence[jax.Array] = "random") -> jax.Array:
    """Maps styles [B, 2 blocks, w_dim] to images [B, H, W, C], float32.

    Args:
      w: styles; the image of a block has the row of the next block's first convolution.
      noise: one of `NOISES`, or the maps of all convolutions in order.
    """
    lookup(ARCHITECTURES, self.architecture, "architecture")
    heights = map_heights(self.shape)
    # One of each convolution, in order.
    maps = self._noise(noise, w.shape[0], heights) if isinstance(noise, str) else noise
    dtypes = map_dtypes(len(heights), self.dtype_resolutions, self.dtype)
    x, image, row = None, None, 0
    for index, (height, dtype) in enumerate(zip(heights, dtypes, strict=True)):
      block = SynthesisBlock(
        max(1, min(self.channel_base // height, self.channel_max)),
        height,
        self.shape[-1],
        self.architecture,
        index == len(heights) - 1,
        self.activation,
        self.conv_clamp,
        self.resample_filter,
        dtype,
        name=f"b{height}",
      )
      convolutions = 2 if index else 1
      own = maps[row : row + convolutions]
      x, image = block(x, image, w[:, row : row + convolutions + 1], own)
      row += convolutions
    assert image is not None
    return image

  def _noise(self, noise: str, n: int, heights: list[int]) -> Sequence[Noise]:
    """Returns the noise of all convolutions: of each example, or what it is called."""
    lookup(NOISES, noise, "noise")
    sizes = [height**2 for height in heights for _ in range(2)][1:]
    # Whoever gives a network no random numbers is given the same examples each time.
    is_drawn = self.has_rng("noise") or self.has_rng("params")
    if noise != "random" or self.is_initializing() or not is_drawn:
      return ["none" if noise == "none" else "const"] * len(sizes)
    # All in one draw, which compiles in less time than one for each convolution.
    keys = stream_keys(self, "noise", n)
    samples = jax.vmap(lambda key: jax.random.normal(key, (sum(sizes),)))(keys)
    parts = jnp.split(samples, np.cumsum(sizes)[:-1], axis=1)
    return [
      part.reshape(n, math.isqrt(size), -1, 1) for part, size in zip(parts, sizes, strict=True)
    ]
