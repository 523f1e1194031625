"""DCGAN, Radford et al. 2016 (arXiv:1511.06434), for series, images and volumes of even sides.

Every change of size is a kernel-4, stride-2 convolution. As in the paper, weights start from
N(0, 0.02), and the discriminator's leaky ReLU has a slope of 0.2.
"""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import (
  OUTPUTS,
  Logit,
  Norm,
  Outputs,
  WithLabels,
  auxiliary_outputs,
  labels_for,
  layer_options,
  lookup,
)
from gan_jax.nets.linear import Dense, StridedConv, TransposedConv

INIT = nn.initializers.normal(0.02)
WIDEST = 8  # most channels of a map over the width, those of the paper: 512 over 64
SMALLEST = 4  # side of a map below which only the first convolution halves


def stages(shape: Sequence[int]) -> int:
  """Computes the number of halvings from an example to the smallest map.

  The first halves every even side; others follow while all sides are even and stay at least 4. So
  28 x 28 is halved twice, to 7 x 7, 32 x 32 three times and 64 x 64 four times, to 4 x 4, 48 x 96
  three times, to 6 x 12, 16 x 16 x 16 twice, and a series of 1000 steps three times, to 125.

  Args:
    shape: shape of one example, sides and channels: (T, C), (H, W, C) or (D, H, W, C).

  Returns:
    The number, at least 1.

  Raises:
    ValueError: no sides, or odd ones; the message names the nearest sizes.
  """
  sides = tuple(shape[:-1])
  if not 1 <= len(sides) <= 3 or any(side % 2 for side in sides):
    text = lambda of: " x ".join(map(str, of))
    below, above = (tuple(max(2, s + d * (s % 2)) for s in sides) for d in (-1, 1))
    nearest = (
      f" For {text(sides)} the nearest are {text(below)} and {text(above)}." if sides else ""
    )
    raise ValueError(
      "This network is for series (T, C), images (H, W, C) and volumes (D, H, W, C) of even sides; "
      f"got {tuple(shape)}.{nearest} Resize, crop or pad the data, or choose another network, such "
      "as mlp."
    )
  count, sides = 1, tuple(side // 2 for side in sides)
  while all(side % 2 == 0 and side // 2 >= SMALLEST for side in sides):
    count, sides = count + 1, tuple(side // 2 for side in sides)
  return count


def _widths(width: int, count: int) -> list[int]:
  """Lists the channels of so many maps, from the largest map to the smallest."""
  return [width * min(2**stage, WIDEST) for stage in range(count)]


class DCGANGenerator(nn.Module):
  """Maps latents to a small map, which transposed convolutions double until it is an example.

  Attributes:
    shape: of one example, (T, C), (H, W, C) or (D, H, W, C) with even sides; see `stages`.
    width: channels of the last hidden map; each map before it has twice as many, at most 8 times.
    norm: one of `NORMS`; of every hidden map, or "spectral" of all weights.
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels; otherwise an embedding of the label joins the latent.
    dtype: computed in; examples are float32.
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
    """Maps z [B, d] (and labels y [B]) to examples [B, *shape], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    count, (*sides, channels) = stages(self.shape), self.shape
    options = layer_options(self.norm, self.dtype) | {"kernel_init": INIT}
    hidden = options | {"use_bias": self.norm in ("spectral", "none")}  # others shift by themselves
    first, *widths = reversed(_widths(self.width, count))
    smallest, window = [side // 2**count for side in sides], (4,) * len(sides)
    active = lambda x: nn.relu(Norm(self.norm, self.axis_name, self.dtype)(x, train=train))

    x = WithLabels()(z, labels_for(self.num_classes, y))
    x = Dense(math.prod(smallest) * first, **hidden)(x, train=train)
    x = x.reshape(-1, *smallest, first)
    for width in widths:
      x = TransposedConv(width, window, **hidden)(active(x), train=train)
    x = TransposedConv(channels, window, **options)(active(x), train=train)
    return output(x.astype(jnp.float32))


class DCGANDiscriminator(nn.Module):
  """Halves an example by strided convolutions, then maps the last map to a logit.

  Attributes:
    width: channels of the first map; each map after it has twice as many, at most 8 times.
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
    """Maps x [B, H, W, C], or of one or three sides, (and y [B]) to logits [B], float32."""
    labels = labels_for(self.num_classes, y)
    features = dcgan_features(self, x, train=train)
    head = Logit(spectral=self.norm == "spectral", kernel_init=INIT)
    return head(features, labels, train=train)


class AuxiliaryDCGANDiscriminator(nn.Module):
  """Halves an example by strided convolutions, to features, logits and logits of classes.

  Attributes:
    width: channels of the first map; each map after it has twice as many, at most 8 times.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    num_classes: number of classes; None for no logits of them.
    head: one of `heads`, in the place of the logits of classes; None for these.
    minibatch_kernels: kernels of minibatch discrimination before the logit; 0 for none.
    minibatch_dim: entries of each of them.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  norm: str = "batch"
  num_classes: int | None = None
  head: nn.Module | None = None
  minibatch_kernels: int = 0
  minibatch_dim: int = 5
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> Outputs:
    """Maps x [B, H, W, C], or of one or three sides, to what `AuxiliaryMLPDiscriminator` does."""
    options: dict[str, Any] = {"spectral": self.norm == "spectral", "kernel_init": INIT}
    places = dcgan_map(self, x, train=train)
    features = places.reshape(len(places), -1)
    return auxiliary_outputs(self, features, y, places, train=train, **options)


class DCGANEncoder(nn.Module):
  """Halves an example by strided convolutions, then maps the last map to a code.

  Attributes:
    features: entries of a code.
    width: channels of the first map; each map after it has twice as many, at most 8 times.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    num_classes: None for no labels.
    dtype: computed in; codes are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  features: int = 64
  width: int = 64
  norm: str = "batch"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps x [B, H, W, C], or of one or three sides, (and y [B]) to codes [B, features]."""
    x = WithLabels()(dcgan_features(self, x, train=train), labels_for(self.num_classes, y))
    head = Dense(self.features, spectral=self.norm == "spectral", kernel_init=INIT)
    return head(x.astype(jnp.float32), train=train)


class JointDCGANDiscriminator(nn.Module):
  """Halves an image by strided convolutions, and maps the last map and a code to a logit.

  The judge of BiGAN's pairs (Donahue et al. 2017, arXiv:1605.09782).

  Attributes:
    width: channels of the first map; each map after it has twice as many.
    hidden: width of the dense layer of the image, of the code, and of both.
    norm: one of `NORMS`; of every map but the first, or "spectral" of all weights.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  hidden: int = 512
  norm: str = "batch"
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, pair: tuple[jax.Array, jax.Array], y: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    """Maps images x [B, H, W, C] and codes z [B, d] to logits [B], float32; ignores labels y."""
    x, z = pair
    options: dict[str, Any] = {"spectral": self.norm == "spectral", "kernel_init": INIT}
    active = lambda x: nn.leaky_relu(
      Dense(self.hidden, dtype=self.dtype, **options)(x, train=train), 0.2
    )
    both = [active(dcgan_features(self, x, train=train)), active(z)]
    return Logit(**options)(active(jnp.concatenate(both, axis=1)), train=train)


def dcgan_features(net: Any, x: jax.Array, *, train: bool) -> jax.Array:
  """Computes features [B, F] of x in a network with the fields of `DCGANDiscriminator`."""
  x = dcgan_map(net, x, train=train)
  return x.reshape(x.shape[0], -1)


def dcgan_map(net: Any, x: jax.Array, *, train: bool) -> jax.Array:
  """Computes the last map [B, H, W, C] of x, or of other sides, in such a network."""
  first, *widths = _widths(net.width, stages(x.shape[1:]))
  window = (4,) * (x.ndim - 2)
  options = layer_options(net.norm, net.dtype) | {"kernel_init": INIT}
  hidden = options | {"use_bias": net.norm in ("spectral", "none")}  # others shift by themselves
  x = nn.leaky_relu(StridedConv(first, window, **options)(x, train=train), 0.2)
  for width in widths:
    x = StridedConv(width, window, **hidden)(x, train=train)
    x = Norm(net.norm, net.axis_name, net.dtype)(x, train=train)
    x = nn.leaky_relu(x, 0.2)
  return x
