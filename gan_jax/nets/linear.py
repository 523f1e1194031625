"""Layers that are linear in their input, dense and convolutional, with or without spectral norm."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.checks import check_numbers, is_integer
from gan_jax.nets.convolution import forms

EPSILON = 1e-12  # a norm or singular value below it counts as 0
EVALUATIONS = ("refreshed", "frozen", "iterated")


class Spectral(NamedTuple):
  """How spectral norm estimates the largest singular value of a weight.

  Attributes:
    evaluation: of evaluation, one of `EVALUATIONS`. In training all take steps of the iteration.
      "refreshed" has the u that training left, and the v of it and of today's weight; "frozen" has
      both as training left them (torch.nn.utils.spectral_norm); "iterated" takes one step, and
      forgets it (the published BigGAN).
    epsilon: least norm that a vector is divided by.
    iterations: steps of the power iteration for each training forward.
    singular_values: number of values that are tracked; all but the first are statistics alone.
  """

  evaluation: str = "refreshed"
  epsilon: float = EPSILON
  iterations: int = 1
  singular_values: int = 1


class SpectralNorm(nn.Module):
  """Divides a weight by its largest singular value.

  Miyato et al. 2018 (arXiv:1802.05957): one step of the power iteration for each training forward,
  from the vector u that the last one left; the singular vectors count as constants in gradients.
  """

  how: Spectral = Spectral()

  @nn.compact
  def __call__(self, weight: jax.Array, *, train: bool) -> jax.Array:
    """Divides a weight [..., O], a matrix with O columns; `train` lets u move."""
    evaluation, epsilon, iterations, count = self.how
    if evaluation not in EVALUATIONS:
      raise ValueError(
        f"Unknown spectral norm {evaluation!r}; expected one of {', '.join(EVALUATIONS)}."
      )
    check_numbers(self.how, {"> 0": "epsilon", ">= 1": "iterations singular_values"})
    matrix = weight.reshape(-1, weight.shape[-1])
    constant = jax.lax.stop_gradient(matrix)
    normal = lambda *shape: jax.random.normal(self.make_rng("params"), shape)
    state = {"u": self.variable("batch_stats", "u", normal, matrix.shape[1])}
    if evaluation == "frozen":
      state["v"] = self.variable("batch_stats", "v", normal, matrix.shape[0])
    rights = [_unit(state["u"].value, epsilon)]
    if count > 1:
      ones = lambda: jnp.ones(count)
      state["values"] = self.variable("batch_stats", "singular_values", ones)
      state["others"] = self.variable("batch_stats", "others", normal, count - 1, matrix.shape[1])
      rights += list(state["others"].value)
    steps = iterations if train else int(evaluation == "iterated")
    for _ in range(steps):
      lefts, rights = _power_iteration(constant, rights, epsilon)
    if not steps:
      v = state["v"].value if evaluation == "frozen" else constant @ rights[0]
      lefts = [_unit(v, epsilon)]
    if train and not self.is_initializing():
      new = {"u": rights[0], "v": lefts[0]}
      if count > 1:
        values = [v @ constant @ u for v, u in zip(lefts, rights, strict=True)]
        new |= {"values": jnp.stack(values), "others": jnp.stack(rights[1:])}
      for name, variable in state.items():
        variable.value = new[name]
    sigma = lefts[0] @ matrix @ rights[0]
    # Of vectors that a weight has left behind it may be negative.
    size = jnp.abs(sigma) if evaluation == "frozen" else sigma
    return weight / jnp.where(size > EPSILON, sigma, 1.0)


Vectors = list[jax.Array]


def _power_iteration(matrix: jax.Array, rights: Vectors, epsilon: float) -> tuple[Vectors, Vectors]:
  """Computes left and right singular vectors one step on, each orthogonal to those before it."""
  lefts: Vectors = []
  new_rights: Vectors = []
  for right in rights:
    lefts.append(_unit(_orthogonal(matrix @ right, lefts), epsilon))
    new = _unit(_orthogonal(lefts[-1] @ matrix, new_rights), epsilon)
    # A weight of zeros would turn u to 0, from which the iteration could never recover.
    new_rights.append(jnp.where(jnp.any(new != 0), new, right))
  return lefts, new_rights


def _unit(v: jax.Array, epsilon: float) -> jax.Array:
  return v / jnp.maximum(jnp.linalg.norm(v), epsilon)


def _orthogonal(x: jax.Array, units: Sequence[jax.Array]) -> jax.Array:
  """Subtracts from a vector its projections on unit vectors, one after the other."""
  for unit in units:
    x = x - (x @ unit) * unit
  return x


class Linear(nn.Module):
  """A layer that is linear in its input and in a kernel [*window, I, O]; subclasses say how.

  Attributes:
    features: O.
    window: extent of the kernel in space.
    use_bias: adds a bias [O].
    spectral: divides the kernel by its largest singular value; a `Spectral` says how.
    kernel_init, bias_init: initialisers.
    dtype: computed in.
  """

  features: int
  window: tuple[int, ...] = ()
  use_bias: bool = True
  spectral: bool | Spectral = False
  kernel_init: Callable = nn.initializers.lecun_normal()
  bias_init: Callable = nn.initializers.zeros
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
    """Applies the layer to x [B, ..., I]; `train` lets the spectral norm's u move."""
    if not is_integer(self.features) or self.features < 1 or x.shape[-1] < 1:
      raise ValueError(
        f"A layer from {x.shape[-1]} to {self.features} features: expected whole numbers of at "
        "least 1. Set the width, or the hidden widths, of the network so."
      )
    shape = (*self.window, self.inputs(x), self.features)
    kernel = self.param("kernel", self.kernel_init, shape)
    if self.spectral:
      how = self.spectral if isinstance(self.spectral, Spectral) else Spectral()
      kernel = SpectralNorm(how, name="spectral_norm")(kernel, train=train)
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
