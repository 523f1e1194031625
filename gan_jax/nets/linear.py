"""Layers that are linear in their input, dense and convolutional, with or without spectral norm."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.convolution import forms

EPSILON = 1e-12  # a norm or singular value below it counts as 0


class SpectralNorm(nn.Module):
  """Divides a weight by its largest singular value.

  Miyato et al. 2018 (arXiv:1802.05957): one step of the power iteration for each training forward,
  from the vector u that the last one left; the singular vectors count as constants in gradients.
  """

  @nn.compact
  def __call__(self, weight: jax.Array, *, train: bool) -> jax.Array:
    """Divides a weight [..., O], a matrix with O columns; `train` lets u move."""
    matrix = weight.reshape(-1, weight.shape[-1])
    constant = jax.lax.stop_gradient(matrix)
    start = lambda: jax.random.normal(self.make_rng("params"), matrix.shape[1:])
    u = self.variable("batch_stats", "u", start)
    right = _unit(u.value)
    left = _unit(constant @ right)
    if train:
      new_right = _unit(left @ constant)
      # A weight of zeros would turn u to 0, from which the iteration could never recover.
      right = jnp.where(jnp.any(new_right != 0), new_right, right)
      if not self.is_initializing():
        u.value = right
    sigma = left @ matrix @ right
    return weight / jnp.where(sigma > EPSILON, sigma, 1.0)


def _unit(v: jax.Array) -> jax.Array:
  return v / jnp.maximum(jnp.linalg.norm(v), EPSILON)


class Linear(nn.Module):
  """A layer that is linear in its input and in a kernel [*window, I, O]; subclasses say how.

  Attributes:
    features: O.
    window: extent of the kernel in space.
    use_bias: adds a bias [O].
    spectral: divides the kernel by its largest singular value.
    kernel_init, bias_init: initialisers.
    dtype: computed in.
  """

  features: int
  window: tuple[int, ...] = ()
  use_bias: bool = True
  spectral: bool = False
  kernel_init: Callable = nn.initializers.lecun_normal()
  bias_init: Callable = nn.initializers.zeros
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
    """Applies the layer to x [B, ..., I]; `train` lets the spectral norm's u move."""
    if self.features < 1 or x.shape[-1] < 1:
      raise ValueError(
        f"A layer from {x.shape[-1]} to {self.features} features: expected at least 1 of each. Set "
        "the width, or the hidden widths, of the network to at least 1."
      )
    shape = (*self.window, self.inputs(x), self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    if self.spectral:
      kernel = SpectralNorm(name="spectral_norm")(kernel, train=train)
    out = self.product(x.astype(self.dtype), kernel)
    if self.use_bias:
      bias = self.param("bias", self.bias_init, (self.features,))
      # In float32: its gradient is a sum over the whole batch.
      out = out + forms.spread(bias, out.shape)
    return out.astype(self.dtype)

  def inputs(self, x: jax.Array) -> int:
    """Counts the channels of x [B, ..., I] that one of the outputs depends on."""
    return x.shape[-1]

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiplies x, of the dtype computed in, and the float32 kernel."""
    raise NotImplementedError


class Dense(Linear):
  """A matrix product over the last axis; parameters as in `flax.linen.Dense`."""

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.dense(x, kernel)


class Conv(Linear):
  """A convolution of stride 1 that keeps the size; parameters as in `flax.linen.Conv`."""

  window: tuple[int, ...] = (3, 3)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.conv(x, kernel)


class GroupedConv(Linear):
  """A `Conv` in groups of channels: parameters as in `flax.linen.Conv(feature_group_count=groups)`.

  Attributes:
    groups: number of groups; outputs of a group depend on its own inputs alone.
  """

  window: tuple[int, ...] = (3, 3)
  groups: int = 1

  def inputs(self, x: jax.Array) -> int:
    if self.groups < 1 or x.shape[-1] % self.groups or self.features % self.groups:
      raise ValueError(
        f"A convolution from {x.shape[-1]} to {self.features} channels in {self.groups} groups: "
        "expected a number of groups that divides both."
      )
    return x.shape[-1] // self.groups

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.grouped_conv(x, kernel)


class StridedConv(Linear):
  """Halves every side: kernel 4, stride 2, padding 1; parameters as in `flax.linen.Conv`.

  The window has as many axes as x: (4,) of series, (4, 4, 4) of volumes.
  """

  window: tuple[int, ...] = (4, 4)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.strided_conv(x, kernel)


class TransposedConv(Linear):
  """Doubles every side, the transpose of `StridedConv`.

  Parameters and results are those of `flax.linen.ConvTranspose(O, (4, 4), (2, 2))`, and likewise of
  other windows.
  """

  window: tuple[int, ...] = (4, 4)

  def product(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return forms.transposed_conv(x, kernel)
