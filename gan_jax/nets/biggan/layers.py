"""What the networks of BigGAN share: initialisation, embeddings, conditional batch norm, attention.

As in the published code (ajbrock/BigGAN-PyTorch); layers have its names.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.checks import check_numbers
from gan_jax.nets.layers import BatchNorm, lookup
from gan_jax.nets.linear import EVALUATIONS, Conv, Dense, Linear, Spectral, SpectralNorm

INITS: dict[str, Callable] = {
  "orthogonal": nn.initializers.orthogonal(),
  "normal": nn.initializers.normal(0.02),
  "glorot": nn.initializers.glorot_uniform(),
}


class LayerOptions(NamedTuple):
  """Options of all layers of a network.

  Attributes:
    spectral: how spectral norm estimates singular values; False for none.
    init: initialiser of weights.
    norm_epsilon: added to variances of conditional batch norm.
    dtype: computed in.
    axis_name: mapped axis that splits the global batch, if any.
  """

  spectral: bool | Spectral = Spectral("iterated")
  init: Callable = INITS["orthogonal"]
  norm_epsilon: float = 1e-5
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @classmethod
  def of(cls, net: Any) -> "LayerOptions":
    """Returns the options of a network with the fields of `BigGANDiscriminator`."""
    check_numbers(net, {"> 0": "norm_epsilon output_epsilon", ">= 1": "depth"})
    spectral: bool | Spectral = False
    if net.spectral != "none":
      lookup(EVALUATIONS, net.spectral, "spectral norm")
      spectral = Spectral(net.spectral, net.epsilon, net.iterations, net.singular_values)
    init = lookup(INITS, net.initialiser, "initialiser")
    return cls(spectral, init, getattr(net, "norm_epsilon", 1e-5), net.dtype, net.axis_name)

  def layer(self, kind: type[Linear], x: jax.Array, features: int, **more: Any) -> Linear:
    """Builds a layer for x, with the biases that PyTorch starts from."""
    bound = (math.prod(kind.window) * x.shape[-1]) ** -0.5
    bias_init = lambda key, shape: jax.random.uniform(key, shape, minval=-bound, maxval=bound)
    options: dict[str, Any] = {
      "spectral": self.spectral,
      "kernel_init": self.init,
      "bias_init": bias_init,
    }
    return kind(features, dtype=self.dtype, **options, **more)

  def dense(self, name: str, features: int, x: jax.Array, train: bool, **more: Any) -> jax.Array:
    """Applies a dense layer, or a convolution of one place."""
    return self.layer(Dense, x, features, name=name, **more)(x, train=train)

  def conv(self, name: str, features: int, x: jax.Array, train: bool) -> jax.Array:
    """Applies a 3x3 convolution."""
    return self.layer(Conv, x, features, name=name)(x, train=train)


class Embedding(nn.Module):
  """A row of features for each class; with spectral norm, u has an entry for each class."""

  features: int
  options: LayerOptions
  spectral: bool | Spectral = False

  @nn.compact
  def __call__(self, labels: jax.Array, *, train: bool = False) -> jax.Array:
    """Returns [B, features], float32, of labels [B, classes], one-hot."""
    table = self.param("embedding", self.options.init, (labels.shape[-1], self.features))
    if isinstance(self.spectral, Spectral):
      table = SpectralNorm(self.spectral, name="spectral_norm")(table.T, train=train).T
    return labels @ table


class ConditionalBatchNorm(nn.Module):
  """Normalises by batch statistics; scale 1 + gain(y) and shift bias(y) are of a condition.

  Attributes:
    options: options of the layers.
    by_class: whether gain and bias are embeddings of classes, and not linear in the condition.
  """

  options: LayerOptions = LayerOptions()
  by_class: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Normalises x [B, H, W, C] by a condition y [B, d], or None for a plain scale and shift."""
    options, channels = self.options, x.shape[-1]
    plain = y is None
    fields: dict[str, Any] = {"epsilon": options.norm_epsilon, "axis_name": options.axis_name}
    fields |= {"use_scale": plain, "use_bias": plain, "unbiased": True, "name": "bn"}
    x = BatchNorm(**fields)(x, train=train)
    if y is not None:
      gain, bias = (self._of(name, channels, y, train) for name in ("gain", "bias"))
      # In float32, as the gradients of gain and bias are sums over all places.
      x = x * (1 + gain) + bias
    return x.astype(options.dtype)

  def _of(self, name: str, channels: int, y: jax.Array, train: bool) -> jax.Array:
    if self.by_class:
      row = Embedding(channels, self.options, name=name)(y)
    else:
      row = self.options.dense(name, channels, y, train, use_bias=False)
    return row.astype(jnp.float32)[:, None, None]


class Attention(nn.Module):
  """Attention of all places to maxima of 2x2 squares (SAGAN, Zhang et al. 2019, 1805.08318).

  x + gamma o(g(x) softmax(theta(x) phi(x))): theta and phi have an eighth of the channels, g half
  of them, and gamma starts at 0.
  """

  options: LayerOptions = LayerOptions()

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Maps x [B, H, W, C], H and W even, to the same shape."""
    b, h, w, c = x.shape
    dense = functools.partial(self.options.dense, train=train, use_bias=False)
    theta = dense("theta", max(1, c // 8), x).reshape(b, h * w, -1)
    phi = maxima(dense("phi", max(1, c // 8), x)).reshape(b, h * w // 4, -1)
    g = maxima(dense("g", max(1, c // 2), x)).reshape(b, h * w // 4, -1)
    scores = jnp.einsum("bqc,bkc->bqk", theta, phi, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(scores).astype(self.options.dtype)
    gamma = self.param("gamma", nn.initializers.zeros, ())  # float32: its gradient is a sum of all
    o = dense("o", c, weights @ g).reshape(x.shape)
    return (gamma * o + x).astype(self.options.dtype)


def attend(
  options: LayerOptions,
  height: int,
  attention: Sequence[int],
  index: int,
  x: jax.Array,
  train: bool,
) -> jax.Array:
  """Applies the attention that follows a block, if its height is one of those that attend."""
  if height not in attention:
    return x
  return Attention(options, name=f"attention_{index}")(x, train=train)


def check_attention(attention: Sequence[int], heights: Sequence[int]) -> None:
  """Checks that blocks have the heights that attend.

  Raises:
    ValueError: for another height.
  """
  if unknown := set(attention) - set(heights):
    raise ValueError(
      f"attention = {tuple(attention)}: no block's output is {min(unknown)} high; expected some of"
      f" {', '.join(map(str, dict.fromkeys(heights)))}, or () for no attention."
    )


def maxima(x: jax.Array) -> jax.Array:
  """Computes the largest entry of each 2x2 square of [B, H, W, C], H and W even.

  Of equal entries, which flat parts of an image have, the first has the gradient, as in PyTorch.
  """
  b, h, w, c = x.shape
  squares = x.reshape(b, h // 2, 2, w // 2, 2, c).swapaxes(2, 3).reshape(b, h // 2, w // 2, 4, c)
  first = jax.nn.one_hot(jnp.argmax(squares, axis=3), 4, axis=3, dtype=bool)
  return jnp.sum(jnp.where(first, squares, 0), axis=3)


def projected(
  options: LayerOptions, x: jax.Array, labels: jax.Array | None, *, train: bool
) -> jax.Array:
  """Computes logits [B], float32, of the last map: a linear layer of sums, and a projection.

  Miyato & Koyama 2018 (arXiv:1802.05637).

  Args:
    options: options of the layers.
    x: map [B, H, W, C].
    labels: one-hot, [B, classes], or None.
    train: whether the network trains.
  """
  h = jnp.sum(nn.relu(x).astype(jnp.float32), axis=(1, 2))
  options = options._replace(dtype=jnp.float32)
  logits = options.dense("linear", 1, h, train)[:, 0]
  if labels is None:
    return logits
  embedded = Embedding(h.shape[-1], options, options.spectral, name="embed")(labels, train=train)
  return logits + jnp.sum(embedded * h, axis=-1)


def output_image(
  options: LayerOptions, x: jax.Array, channels: int, output: Callable, *, train: bool
) -> jax.Array:
  """Computes images [B, H, W, channels], float32, of the last map."""
  norm = ConditionalBatchNorm(options, name="output_norm")
  x = options.conv("output_conv", channels, nn.relu(norm(x, train=train)), train)
  return output(x.astype(jnp.float32))
