"""BigGAN, Brock et al. 2019 (arXiv:1809.11096), and SAGAN, Zhang et al. 2019 (arXiv:1805.08318).

As in the published code (ajbrock/BigGAN-PyTorch), where SAGAN is a BigGAN with one latent for all
blocks and an embedding of classes for each norm: `hierarchical=False, shared=0, attention=(64,)`.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.biggan.layers import (
  ConditionalBatchNorm,
  Embedding,
  LayerOptions,
  attend,
  check_attention,
  output_image,
  projected,
)
from gan_jax.nets.layers import (
  OUTPUTS,
  Outputs,
  auxiliary_outputs,
  double,
  halve,
  image_size,
  labels_for,
  lookup,
)

SMALLEST = 4  # height of the generator's first map


class Plan(NamedTuple):
  """The blocks of a published discriminator.

  Attributes:
    multiples: channels of each block, in widths.
    halvings: number of blocks, the first ones, that halve height and width.
    heights: heights by which `attention` names the blocks.
  """

  multiples: tuple[int, ...]
  halvings: int
  heights: tuple[int, ...]


GENERATORS = {  # channels of the first map, and of each block, in widths
  32: (4, 4, 4, 4),
  64: (16, 16, 8, 4, 2),
  128: (16, 16, 8, 4, 2, 1),
  256: (16, 16, 8, 8, 4, 2, 1),
}
DISCRIMINATORS = {
  # As published, 16 names all four blocks, whose outputs are 16, 8, 8 and 8 high.
  32: Plan((4, 4, 4, 4), 2, (16, 16, 16, 16)),
  64: Plan((1, 2, 4, 8, 16), 4, (32, 16, 8, 4, 4)),
  128: Plan((1, 2, 4, 8, 16, 16), 5, (64, 32, 16, 8, 4, 4)),
  256: Plan((1, 2, 4, 8, 8, 16, 16), 6, (128, 64, 32, 16, 8, 4, 4)),
}


class BigGANGenerator(nn.Module):
  """Maps latents to a map of 4x4, which residual blocks double until it is an image.

  Attributes:
    shape: of one example, (H, W, C) with H = W in `GENERATORS`.
    width: channels that the multiples are of.
    multiples: channels of the first map and of each block, in widths; () for the published ones.
    hierarchical: whether latents are cut into a chunk for the first map and one for each block;
      what is left over is not used.
    shared: size of the embedding of classes that all blocks share; 0 for an embedding of each norm.
    attention: heights of maps that attend to themselves, such as (64,); () for none.
    spectral: spectral norm, one of `linear.EVALUATIONS`, or "none".
    epsilon: least norm that singular vectors are divided by; ImageNet's networks have 1e-6.
    iterations: steps of the power iteration for each training forward.
    singular_values: number of singular values that are tracked.
    norm_epsilon: added to variances, in the blocks.
    output_epsilon: added to variances before the last layer; StudioGAN's is 1e-4.
    initialiser: of weights, "orthogonal", "normal" of scale 0.02, or "glorot".
    output: after the last layer, one of `OUTPUTS`.
    num_classes: None for no labels.
    dtype: computed in; images are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  shape: tuple[int, ...]
  width: int = 64
  multiples: tuple[int, ...] = ()
  hierarchical: bool = True
  shared: int = 128
  attention: tuple[int, ...] = ()
  spectral: str = "iterated"
  epsilon: float = 1e-12
  iterations: int = 1
  singular_values: int = 1
  norm_epsilon: float = 1e-5
  output_epsilon: float = 1e-5
  initialiser: str = "orthogonal"
  output: str = "tanh"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, d] (and labels y [B]) to images [B, H, W, C], float32."""
    output = lookup(OUTPUTS, self.output, "output")
    published = GENERATORS[image_size(self.shape, GENERATORS)]
    multiples = self.multiples or published
    if len(multiples) != len(published) or min(multiples) < 1:
      raise ValueError(
        f"multiples = {tuple(multiples)}: expected {len(published)} numbers >= 1, of the first map "
        f"and {len(published) - 1} blocks, or () for {published}."
      )
    first, *widths = [self.width * multiple for multiple in multiples]
    heights = [SMALLEST * 2 ** (index + 1) for index in range(len(widths))]
    check_attention(self.attention, heights)
    options = LayerOptions.of(self)

    condition = shared_embedding(self, options, y)
    z, conditions = self._conditions(z, condition, len(widths))
    x = options.dense("linear", SMALLEST**2 * first, z, train)
    x = x.reshape(-1, SMALLEST, SMALLEST, first)
    by_class = condition is not None and not self.shared
    for index, (features, height) in enumerate(zip(widths, heights, strict=True)):
      block = GeneratorBlock(features, options, by_class, name=f"block_{index}")
      x = block(x, conditions[index], train=train)
      x = attend(options, height, self.attention, index, x, train)
    last = options._replace(norm_epsilon=self.output_epsilon)
    return output_image(last, x, self.shape[-1], output, train=train)

  def _conditions(
    self, z: jax.Array, condition: jax.Array | None, blocks: int
  ) -> tuple[jax.Array, list[jax.Array | None]]:
    """Computes the latents of the first map, and the condition of each block."""
    if not self.hierarchical:
      return z, [condition] * blocks
    size = z.shape[-1] // (blocks + 1)
    if not size or (condition is not None and not self.shared):
      raise ValueError(
        f"hierarchical latents are of at least {blocks + 1} entries, and join a shared embedding; "
        f"got {z.shape[-1]} entries and shared = {self.shared}. Set hierarchical=False, or these."
      )
    first, *others = jnp.split(z[:, : size * (blocks + 1)], blocks + 1, axis=-1)
    join = lambda chunk: (
      chunk if condition is None else jnp.concatenate([condition, chunk], axis=-1)
    )
    return first, [join(chunk) for chunk in others]


def shared_embedding(net: Any, options: LayerOptions, y: jax.Array | None) -> jax.Array | None:
  """Computes the condition of a generator's blocks: [B, shared], or [B, classes], or None."""
  labels = labels_for(net.num_classes, y)
  if labels is None or not net.shared:
    return labels
  # As published, without spectral norm.
  return Embedding(net.shared, options, name="shared")(labels)


class BigGANDiscriminator(nn.Module):
  """Halves an image by residual blocks, sums over places, and maps the sum to a logit.

  Attributes:
    width: channels that the published multiples are of.
    wide: whether the first convolution of a block has the channels of its output, as in BigGAN and
      SAGAN, or of its input, as in SNGAN.
    attention: heights of maps that attend to themselves, such as (64,); () for none.
    attention_blocks: numbers of blocks, from 0, whose outputs attend to themselves as well: heights
      repeat, and StudioGAN names one block.
    rectified_shortcut: whether shortcuts of blocks are of relu(x), as in StudioGAN, whose
      activation overwrites x, and not of x.
    spectral: spectral norm, one of `linear.EVALUATIONS`, or "none".
    epsilon: least norm that singular vectors are divided by; ImageNet's networks have 1e-6.
    iterations: steps of the power iteration for each training forward.
    singular_values: number of singular values that are tracked.
    initialiser: of weights, "orthogonal", "normal" of scale 0.02, or "glorot".
    num_classes: None for no labels; otherwise the label enters by projection.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  wide: bool = True
  attention: tuple[int, ...] = ()
  attention_blocks: tuple[int, ...] = ()
  rectified_shortcut: bool = False
  spectral: str = "iterated"
  epsilon: float = 1e-12
  iterations: int = 1
  singular_values: int = 1
  initialiser: str = "orthogonal"
  num_classes: int | None = None
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps images x [B, H, W, C], C arbitrary, (and labels y [B]) to logits [B], float32."""
    options, labels = LayerOptions.of(self), labels_for(self.num_classes, y)
    x, _ = discriminator_maps(self, options, x, train=train)
    return projected(options, x, labels, train=train)


class AuxiliaryBigGANDiscriminator(nn.Module):
  """Halves an image by residual blocks, to features, logits, and logits of classes or a head's.

  Attributes:
    width: channels that the published multiples are of.
    wide: see `BigGANDiscriminator`.
    attention: heights of maps that attend to themselves, such as (64,); () for none.
    attention_blocks: numbers of blocks, from 0, whose outputs attend to themselves as well.
    rectified_shortcut: whether shortcuts of blocks are of relu(x), as in StudioGAN, and not of x,
      as in `BigGANDiscriminator`.
    spectral: spectral norm, one of `linear.EVALUATIONS`, or "none".
    epsilon: least norm that singular vectors are divided by; StudioGAN's is 1e-6.
    iterations: steps of the power iteration for each training forward.
    singular_values: number of singular values that are tracked.
    initialiser: of weights, "orthogonal", "normal" of scale 0.02, or "glorot".
    num_classes: number of classes; None for no logits of them.
    head: one of `heads`, in the place of the logits of classes; None for these.
    minibatch_kernels: kernels of minibatch discrimination before the logit; 0 for none.
    minibatch_dim: entries of each of them.
    dtype: computed in; logits are float32.
    axis_name: mapped axis that splits the global batch, if any.
  """

  width: int = 64
  wide: bool = True
  attention: tuple[int, ...] = ()
  attention_blocks: tuple[int, ...] = ()
  rectified_shortcut: bool = True
  spectral: str = "frozen"
  epsilon: float = 1e-6
  iterations: int = 1
  singular_values: int = 1
  initialiser: str = "orthogonal"
  num_classes: int | None = None
  head: nn.Module | None = None
  minibatch_kernels: int = 0
  minibatch_dim: int = 5
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> Outputs:
    """Maps images x [B, H, W, C] to what `AuxiliaryMLPDiscriminator` does."""
    options = LayerOptions.of(self)
    x, places = discriminator_maps(self, options, x, train=train)
    features = jnp.sum(nn.relu(x).astype(jnp.float32), axis=(1, 2))
    of_layers: dict[str, Any] = {"spectral": options.spectral, "kernel_init": options.init}
    return auxiliary_outputs(self, features, y, places, train=train, **of_layers)


def discriminator_maps(
  net: Any, options: LayerOptions, x: jax.Array, *, train: bool
) -> tuple[jax.Array, jax.Array]:
  """Computes the last map [B, H, W, F] of images, and that before the last block.

  Args:
    net: network with the fields of `BigGANDiscriminator`, within whose `__call__` this is.
    options: options of the layers.
    x: images [B, H, W, C].
    train: whether the network trains.
  """
  plan = DISCRIMINATORS[image_size(x.shape[1:], DISCRIMINATORS)]
  check_attention(net.attention, plan.heights)
  if unknown := set(net.attention_blocks) - set(range(len(plan.heights))):
    raise ValueError(
      f"attention_blocks = {tuple(net.attention_blocks)}: there is no block {min(unknown)}; "
      f"expected some of 0 to {len(plan.heights) - 1}, or () for no others."
    )
  before = x = x.astype(net.dtype)
  for index, (multiple, height) in enumerate(zip(plan.multiples, plan.heights, strict=True)):
    before, features, halves = x, net.width * multiple, index < plan.halvings
    hidden = features if net.wide else x.shape[-1]
    fields = (features, hidden, halves, index == 0, net.rectified_shortcut, options)
    x = DiscriminatorBlock(*fields, name=f"block_{index}")(x, train=train)
    attending = (height,) if index in net.attention_blocks else net.attention
    x = attend(options, height, attending, index, x, train)
  return x, before


class GeneratorBlock(nn.Module):
  """A residual block that doubles height and width."""

  features: int
  options: LayerOptions
  by_class: bool

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None, *, train: bool) -> jax.Array:
    options = self.options
    norm = lambda name, x: ConditionalBatchNorm(options, self.by_class, name=name)(
      x, y, train=train
    )
    h = options.conv("conv1", self.features, double(nn.relu(norm("bn1", x))), train)
    h = options.conv("conv2", self.features, nn.relu(norm("bn2", h)), train)
    # A layer of one place commutes with the doubling, before which it takes a quarter of the time.
    return h + double(options.dense("conv_sc", self.features, x, train))


class DiscriminatorBlock(nn.Module):
  """A residual block that may halve height and width; the first one looks at the image itself."""

  features: int
  hidden: int
  halves: bool
  first: bool
  rectified_shortcut: bool
  options: LayerOptions

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    options, change = self.options, halve if self.halves else lambda x: x
    active = x if self.first else nn.relu(x)
    h = options.conv("conv1", self.hidden, active, train)
    h = options.conv("conv2", self.features, nn.relu(h), train)
    # Published after the layer of the shortcut in all but the first block, with which it commutes.
    x = change(active if self.rectified_shortcut else x)
    if self.halves or x.shape[-1] != self.features:
      x = options.dense("conv_sc", self.features, x, train)
    return change(h) + x
