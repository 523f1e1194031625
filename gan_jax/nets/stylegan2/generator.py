"""The generator of StyleGAN2, Karras et al. 2020 (arXiv:1912.04958), in stages."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.game.random import AxisName
from gan_jax.nets.convolution.resampling import FILTER
from gan_jax.nets.layers import stream_keys
from gan_jax.nets.stylegan2.mapping import Mapping, conditions, mix
from gan_jax.nets.stylegan2.presets import check, map_heights, preset
from gan_jax.nets.stylegan2.synthesis import Synthesis


class StyleGAN2Generator(nn.Module):
  """Maps latents to styles, and styles to images.

  The average style moves in the generator's own moves.

  Attributes:
    shape: of one example, (H, W, C) with H = W of 4, 5, 6 or 7, doubled any number of times.
    preset: published sizes, one of `presets.PRESETS`.
    channel_base: channels times height of a map, below `channel_max`; 0 is the preset's.
    channel_max: greatest number of channels.
    w_dim: features of a style, and of the mapping network's layers.
    mapping_layers: layers of the mapping network; 0 is the preset's.
    lr_multiplier: factor of the learning rate of the mapping network.
    w_avg_beta: share of the average style that a move keeps.
    architecture: orig, skip or resnet.
    activation: of all layers, such as leaky_relu.
    noise: in samples: random, const (the same maps for all), none; random in training, or none.
    mixing: probability that the later layers of a batch have the styles of other latents.
    cutoff: layers, the first ones, that truncation is of; 0 for all.
    conv_clamp: bound on magnitudes after each convolution; 0 or None for none.
    resample_filter: taps along one side.
    num_classes: None for no labels.
    dtype: computed in by the highest maps; images are float32.
    dtype_resolutions: number of heights of maps, the highest, that are computed in dtype.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  preset: str = "auto"
  channel_base: int = 0
  channel_max: int = 512
  w_dim: int = 512
  mapping_layers: int = 0
  lr_multiplier: float = 0.01
  w_avg_beta: float = 0.995
  architecture: str = "skip"
  activation: str = "leaky_relu"
  noise: str = "random"
  mixing: float = 0.9
  cutoff: int = 0
  conv_clamp: float | None = 256.0
  resample_filter: Sequence[float] = FILTER
  num_classes: int | None = None
  dtype: Any = jnp.float32
  dtype_resolutions: int = 4
  axis_name: AxisName = None

  def setup(self) -> None:
    check(self)
    heights = map_heights(self.shape)
    sizes = preset(self.preset, self.shape[0])
    self.mapping_network = Mapping(
      w_dim=self.w_dim,
      num_ws=2 * len(heights),
      num_layers=self.mapping_layers or sizes.mapping_layers,
      activation=self.activation,
      lr_multiplier=self.lr_multiplier,
      w_avg_beta=self.w_avg_beta,
      axis_name=self.axis_name,
    )
    self.synthesis_network = Synthesis(
      shape=self.shape,
      channel_base=self.channel_base or sizes.channel_base,
      channel_max=self.channel_max,
      architecture=self.architecture,
      activation=self.activation,
      conv_clamp=self.conv_clamp,
      resample_filter=self.resample_filter,
      dtype=self.dtype,
      dtype_resolutions=self.dtype_resolutions,
    )

  def mapping(
    self,
    z: jax.Array,
    y: jax.Array | None = None,
    *,
    train: bool,
    psi: jax.Array | None = None,
  ) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to styles [B, rows, w_dim], in training mixed ones."""
    labels = conditions(self.num_classes, y)
    w = self.mapping_network(z, labels, update=train, psi=psi, cutoff=self.cutoff or None)
    if not train or not self.mixing or self.is_initializing():
      return w
    keys = stream_keys(self, "mixing", len(z))
    other_z = jax.vmap(lambda key: jax.random.normal(key, z.shape[1:]))(keys)
    # Without a place: one cutoff for the batch, the same on all devices and in all microbatches.
    cutoff = mixing_cutoff(self.make_rng("mixing"), w.shape[1], self.mixing)
    return mix(w, self.mapping_network(other_z, labels), cutoff)

  def synthesis(self, w: jax.Array, *, train: bool) -> jax.Array:
    """Maps styles [B, rows, w_dim] to images [B, H, W, C], float32."""
    noise = "random" if train and self.noise != "none" else self.noise
    return self.synthesis_network(w, noise)

  def __call__(
    self,
    z: jax.Array,
    y: jax.Array | None = None,
    *,
    train: bool,
    psi: jax.Array | None = None,
  ) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images; psi [B] truncates styles."""
    return self.synthesis(self.mapping(z, y, train=train, psi=psi), train=train)


def mixing_cutoff(key: jax.Array, rows: int, probability: float) -> jax.Array:
  """Draws the row from which on styles are another's: uniform in [1, rows), or rows for none."""
  row_key, gate_key = jax.random.split(key)
  row = jax.random.randint(row_key, (), 1, rows)
  return jnp.where(jax.random.uniform(gate_key) < probability, row, rows)
