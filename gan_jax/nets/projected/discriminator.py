"""A discriminator of frozen features, with a head at each scale."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.checks import check_numbers
from gan_jax.nets.layers import Norm, layer_options, lookup
from gan_jax.nets.linear import Conv, StridedConv
from gan_jax.nets.projected.features import EXTRACTORS, mix

MIXING = ("none", "channels", "scales")
SMALLEST = 8  # side of a map below which a head no longer halves


class ProjectedDiscriminator(nn.Module):
  """Judges frozen features of images by a head at each scale.

  Projected GANs, Sauer et al. 2021 (arXiv:2111.01007); several heads on frozen features are also
  those of StyleGAN-T, Sauer et al. 2023 (arXiv:2301.09515), whose feature network is DINO. Only the
  heads have parameters: all their weights are spectrally normalised, and need no penalty. A loss is
  of every logit, and its mean over them.

  Attributes:
    extractor: random, a pyramid of strided convolutions at random; classifier, the maps of the
      classifier of the bundled digits, for images of one channel in [-1, 1].
    feature_width: channels of the finest map of the random features.
    mixing: of the frozen maps at random: none; channels; scales, and channels.
    width: channels of mixed maps and of the heads.
    norm: of the maps of the heads: batch, as published, layer, instance or none.
    seed: of all weights at random that nothing moves.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  extractor: str = "random"
  feature_width: int = 32
  mixing: str = "scales"
  width: int = 32
  norm: str = "batch"
  seed: int = 0
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to logits [B, n] of all places and scales; ignores labels y."""
    check_numbers(self, {">= 1": "feature_width width"})
    compute = lookup(EXTRACTORS, self.extractor, "extractor")
    maps = compute(x.astype(self.dtype), self.feature_width, self.seed)
    if lookup(MIXING, self.mixing, "mixing") != "none":
      maps = mix(maps, self.width, self.seed, scales=self.mixing == "scales")
    logits = [self._head(i, features, train=train) for i, features in enumerate(maps)]
    return jnp.concatenate([x.reshape(len(x), -1) for x in logits], axis=1).astype(jnp.float32)

  def _head(self, scale: int, x: jax.Array, *, train: bool) -> jax.Array:
    """Halves a map to less than 8 pixels a side, and computes a logit of each place."""
    options = layer_options("spectral", self.dtype)
    while min(x.shape[1:3]) >= SMALLEST and not any(side % 2 for side in x.shape[1:3]):
      name = f"head_{scale}_{x.shape[1]}"
      x = StridedConv(self.width, name=name, **options)(x, train=train)
      norm = Norm(self.norm, self.axis_name, self.dtype, name=f"{name}_norm")
      x = nn.leaky_relu(norm(x, train=train), 0.2)
    return Conv(1, name=f"head_{scale}_logits", **options)(x, train=train)
