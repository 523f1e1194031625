"""SNGAN, Miyato et al. 2018 (arXiv:1802.05957): residual networks and spectral norm.

With labels they are those of Miyato & Koyama 2018 (arXiv:1802.05637), conditional batch norm
against projection; with `attention` they have the layer of SAGAN (arXiv:1805.08318).

Made for GPU and TPU. On CPU a round costs about as much in the loop of training as alone: at width
64, batch 32 and 32 pixels 1.5 and 1.3 s of CPU time, after 31 s to compile (2 cores of an Intel
Xeon, beside other work: `python -m experiments.bench.convolutions rounds --pairs sngan --width 64
--batch 32 --clock cpu`).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import (
  OUTPUTS,
  Logit,
  Norm,
  Outputs,
  SelfAttention,
  auxiliary_outputs,
  double,
  halve,
  image_size,
  labels_for,
  layer_options,
  lookup,
)
from gan_jax.nets.linear import Conv, Dense


class Plan(NamedTuple):
  """The widths of a published network.

  Attributes:
    width: channels that the multiples are of.
    multiples: of the generator's smallest map and each block; of each block of the discriminator.
    scalings: how many blocks, the first ones, double or halve height and width.
  """

  width: int
  multiples: tuple[int, ...]
  scalings: int


GENERATORS = {
  32: Plan(256, (1, 1, 1, 1), 3),  # CIFAR-10; from 4x4
  48: Plan(64, (8, 4, 2, 1), 3),  # STL-10; from 6x6
  64: Plan(64, (16, 8, 4, 2, 1), 4),  # from 4x4
  128: Plan(64, (16, 16, 8, 4, 2, 1), 5),  # ImageNet; from 4x4
}
DISCRIMINATORS = {
  32: Plan(128, (1, 1, 1, 1), 2),  # to 8x8
  48: Plan(64, (1, 2, 4, 8, 8), 4),  # to 3x3
  64: Plan(64, (1, 2, 4, 8, 16), 5),  # to 2x2
  128: Plan(64, (1, 2, 4, 8, 16, 16), 5),  # to 4x4
}

UPSAMPLINGS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "nearest": double,
  "bilinear": lambda x: jax.image.resize(
    x, (len(x), 2 * x.shape[1], 2 * x.shape[2], x.shape[3]), "bilinear"
  ),
}
INIT = nn.initializers.glorot_uniform()
BLOCK_INIT = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")


class SNGANGenerator(nn.Module):
  """Maps latents to a small map, which residual blocks double until it is an image.

  Attributes:
    shape: of one example, (H, W, C) with H = W in `GENERATORS`.
    width: channels that the multiples of a `Plan` are of; 0 is the published number.
    norm: one of `NORMS`; with labels, its scale and shift belong to the class.
    attention: height of the map that attends to itself; 0 for none.
    upsampling: how blocks double height and width, one of `UPSAMPLINGS`; mimicry's is bilinear.
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels.
    dtype: computed in; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  width: int = 0
  norm: str = "batch"
  attention: int = 0
  upsampling: str = "nearest"
  output: str = "tanh"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [B, H, W, C], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    size, channels = image_size(self.shape, GENERATORS), self.shape[-1]
    plan = GENERATORS[size]
    first, *widths = [(self.width or plan.width) * multiple for multiple in plan.multiples]
    smallest = size // 2**plan.scalings
    attending = _attending(self.attention, [smallest * 2**i for i in range(1, plan.scalings + 1)])
    labels = labels_for(self.num_classes, y)
    options = layer_options(self.norm, self.dtype) | {"kernel_init": INIT}

    x = Dense(smallest**2 * first, **options)(z, train=train)
    x = x.reshape(-1, smallest, smallest, first)
    for block, width in enumerate(widths):
      fields = width, self.norm, self.dtype, self.axis_name, self.upsampling
      x = GeneratorBlock(*fields)(x, labels, train=train)
      if block == attending:
        x = SelfAttention(**options)(x, train=train)
    x = Norm(self.norm, self.axis_name, self.dtype)(x, labels, train=train)
    x = Conv(channels, **options)(nn.relu(x), train=train)
    return output(x.astype(jnp.float32))


class SNGANDiscriminator(nn.Module):
  """Halves an image by residual blocks, sums over places, and maps the sum to a logit.

  Attributes:
    width: channels that the multiples of a `Plan` are of; 0 is the published number.
    norm: one of `NORMS`; "spectral" is the paper's.
    attention: height of the map that attends to itself; 0 for none.
    rectified_shortcut: whether shortcuts of blocks are of relu(x), as in mimicry, and not of x.
    num_classes: None for no labels; otherwise the label enters by projection.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 0
  norm: str = "spectral"
  attention: int = 0
  rectified_shortcut: bool = False
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C], C arbitrary, (and labels y [B]) to logits [B], float32."""
    labels = labels_for(self.num_classes, y)
    shortcut = self.rectified_shortcut
    features, _ = sngan_features(self, x, train=train, rectified_shortcut=shortcut)
    return Logit(self.norm == "spectral", INIT)(features, labels, train=train)


class AuxiliarySNGANDiscriminator(nn.Module):
  """Halves an image by residual blocks, to features, logits, and logits of classes or a head's.

  Attributes:
    width: channels that the multiples of a `Plan` are of; 0 is the published number.
    norm: one of `NORMS`; "spectral" is the paper's.
    attention: height of the map that attends to itself; 0 for none.
    num_classes: number of classes; None for no logits of them.
    head: one of `heads`, in the place of the logits of classes; None for these.
    minibatch_kernels: kernels of minibatch discrimination before the logit; 0 for none.
    minibatch_dim: entries of each of them.
    rectified_shortcut: whether shortcuts of blocks are of relu(x), as in mimicry, whose activation
      overwrites x, and not of x, as in `SNGANDiscriminator`.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 0
  norm: str = "spectral"
  attention: int = 0
  num_classes: int | None = None
  head: nn.Module | None = None
  minibatch_kernels: int = 0
  minibatch_dim: int = 5
  rectified_shortcut: bool = True
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> Outputs:
    """Maps images x [B, H, W, C] to what `AuxiliaryMLPDiscriminator` does."""
    options: dict[str, Any] = {"spectral": self.norm == "spectral", "kernel_init": INIT}
    shortcut = self.rectified_shortcut
    features, places = sngan_features(self, x, train=train, rectified_shortcut=shortcut)
    return auxiliary_outputs(self, features, y, places, train=train, **options)


def sngan_features(
  net: Any, x: jax.Array, *, train: bool, rectified_shortcut: bool = False
) -> tuple[jax.Array, jax.Array]:
  """Computes features [B, F] and the map before the last block [B, H, W, C] of images.

  Args:
    net: network with the fields of `SNGANDiscriminator`, within whose `__call__` this is.
    x: images [B, H, W, C].
    train: whether the network trains.
    rectified_shortcut: whether shortcuts of blocks are of relu(x), and not of x.
  """
  size = image_size(x.shape[1:], DISCRIMINATORS)
  plan = DISCRIMINATORS[size]
  attending = _attending(net.attention, [size // 2**i for i in range(1, plan.scalings + 1)])
  options = layer_options(net.norm, net.dtype) | {"kernel_init": INIT}
  before = x
  for block, multiple in enumerate(plan.multiples):
    before = x
    width, halve = (net.width or plan.width) * multiple, block < plan.scalings
    shape = width, net.norm, net.dtype, net.axis_name, halve, block == 0
    x = DiscriminatorBlock(*shape, rectified_shortcut)(x, train=train)
    if block == attending:
      x = SelfAttention(**options)(x, train=train)
  x = nn.relu(Norm(net.norm, net.axis_name, net.dtype)(x, train=train))
  return jnp.sum(x.astype(jnp.float32), axis=(1, 2)), before


class GeneratorBlock(nn.Module):
  """A residual block that doubles height and width."""

  features: int
  norm: str
  dtype: Any
  axis_name: str | None
  upsampling: str = "nearest"

  @nn.compact
  def __call__(self, x: jax.Array, labels: jax.Array | None, *, train: bool) -> jax.Array:
    options = layer_options(self.norm, self.dtype)
    double = lookup(UPSAMPLINGS, self.upsampling, "upsampling")
    conv = lambda x: Conv(self.features, kernel_init=BLOCK_INIT, **options)(x, train=train)
    active = lambda x: nn.relu(Norm(self.norm, self.axis_name, self.dtype)(x, labels, train=train))
    residual = conv(active(conv(double(active(x)))))
    shortcut = Dense(self.features, kernel_init=INIT, **options)(x, train=train)
    return residual + double(shortcut)


class DiscriminatorBlock(nn.Module):
  """A residual block that may halve height and width; the first one looks at the image itself."""

  features: int
  norm: str
  dtype: Any
  axis_name: str | None
  halve: bool
  first: bool
  rectified_shortcut: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    options = layer_options(self.norm, self.dtype)
    conv = lambda features, x: Conv(features, kernel_init=BLOCK_INIT, **options)(x, train=train)
    active = lambda x: nn.relu(Norm(self.norm, self.axis_name, self.dtype)(x, train=train))
    x = x.astype(self.dtype)
    hidden = conv(self.features, x) if self.first else conv(x.shape[-1], active(x))
    residual = conv(self.features, active(hidden))
    if self.rectified_shortcut and not self.first:
      x = nn.relu(x)
    if self.halve:
      residual, x = halve(residual), halve(x)
    if self.halve or x.shape[-1] != self.features:
      x = Dense(self.features, kernel_init=INIT, **options)(x, train=train)
    return residual + x


def _attending(height: int, heights: Sequence[int]) -> int | None:
  """Returns the index of the block whose output attends to itself, if any."""
  if not height:
    return None
  if height not in heights:
    raise ValueError(
      f"attention = {height}: the maps here are {', '.join(map(str, heights))} high; "
      "0 is for no attention."
    )
  return heights.index(height)
