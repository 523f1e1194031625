"""LeNet's feature extractor, as domain adaptation has it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.linear import Conv


class LeNetExtractor(nn.Module):
  """Maps images to features: two 5x5 convolutions, each with max-pooling and a ReLU.

  DANN's for digits, Ganin et al. 2016 (arXiv:1505.07818), figure 4a.

  Attributes:
    widths: channels of the two maps; published are 32 and 48.
    dtype: computed in; features are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  widths: tuple[int, int] = (32, 48)
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C] to features [B, F], float32; ignores labels y."""
    for width in self.widths:
      x = Conv(width, window=(5, 5), dtype=self.dtype)(x)
      x = nn.relu(nn.max_pool(x, (2, 2), strides=(2, 2)))
    return x.reshape(len(x), -1).astype(jnp.float32)
