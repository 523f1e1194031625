"""Networks of adversarial flows, and of denoising: of examples at a time, and of times."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.layers import ACTIVATIONS, Logit, lookup
from gan_jax.nets.linear import Dense


class FlowMLPGenerator(nn.Module):
  """Maps examples and times to examples, or to velocities, through dense layers.

  The generator of the notebooks of AFM, arXiv:2511.22475, and CAFM, arXiv:2604.11521.

  Attributes:
    shape: of one example.
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`.
    time_code: sines and cosines of each time; even, at least 4.
    example_code: those of each entry of an example; 0 for the entry itself.
    layer_norm: whether layers after the first are normalised before the activation, as of CAFM.
    dtype: computed in; examples are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  shape: tuple[int, ...]
  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "swish"
  time_code: int = 64
  example_code: int = 0
  layer_norm: bool = False
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, inputs: Sequence[jax.Array], y: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    """Maps (x [B, ...], time [B], ...) to [B, *shape], float32; ignores labels y."""
    x = Dense(math.prod(self.shape), dtype=self.dtype)(flow_features(self, *inputs))
    return x.astype(jnp.float32).reshape(-1, *self.shape)


class FlowMLPDiscriminator(nn.Module):
  """Maps examples and their times to logits through dense layers.

  Attributes:
    hidden: widths of the hidden layers.
    activation: after each of them, one of `ACTIVATIONS`; a smooth one where CAFM differentiates it.
    time_code: sines and cosines of each time; even, at least 4.
    example_code: those of each entry of an example; 0 for the entry itself.
    layer_norm: whether layers after the first are normalised before the activation, as of CAFM.
    dtype: computed in; logits are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "swish"
  time_code: int = 64
  example_code: int = 0
  layer_norm: bool = False
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, inputs: Sequence[jax.Array], y: jax.Array | None = None, *, train: bool
  ) -> jax.Array:
    """Maps (x [B, ...], time [B], ...) to logits [B], float32; ignores labels y."""
    return Logit()(flow_features(self, *inputs), train=train)


class FlowMLPCritic(nn.Module):
  """Maps noised examples and times to what denoises them, and features, through dense layers.

  Attributes:
    shape: of one example.
    hidden: widths of the hidden layers; the last is that of the features.
    activation: after each of them, one of `ACTIVATIONS`.
    time_code: sines and cosines of the time; even, at least 4.
    example_code: those of each entry of an example; 0 for the entry itself.
    layer_norm: whether layers after the first are normalised before the activation.
    dtype: computed in; outputs are float32.
    axis_name: unused, as nothing here looks across the batch.
  """

  shape: tuple[int, ...]
  hidden: tuple[int, ...] = (128, 128, 128)
  activation: str = "swish"
  time_code: int = 64
  example_code: int = 0
  layer_norm: bool = False
  dtype: Any = jnp.float32
  axis_name: str | None = None

  @nn.compact
  def __call__(
    self, inputs: Sequence[jax.Array], y: jax.Array | None = None, *, train: bool
  ) -> dict[str, jax.Array]:
    """Maps (x [B, ...], time [B]) to "output" [B, *shape] and "features" [B, F], both float32."""
    features = flow_features(self, *inputs)
    output = Dense(math.prod(self.shape), dtype=self.dtype)(features).astype(jnp.float32)
    return {
      "output": output.reshape(-1, *self.shape),
      "features": features.astype(jnp.float32),
    }


def flow_features(net: Any, x: jax.Array, *times: jax.Array) -> jax.Array:
  """Computes features [B, F] in a network with the fields of `FlowMLPDiscriminator`."""
  activation = lookup(ACTIVATIONS, net.activation, "activation")
  for name, least in (("time_code", 4), ("example_code", 0)):
    if (size := getattr(net, name)) < least or size % 2 or size == 2:
      raise ValueError(
        f"{name} is {size}: expected an even number of at least 4{' or 0' * (not least)}"
      )
  x = x.reshape(x.shape[0], -1)
  if net.example_code:
    x = sinusoidal_encoding(x, net.example_code).reshape(x.shape[0], -1)
  h = jnp.concatenate([x, *(sinusoidal_encoding(t, net.time_code) for t in times)], axis=1)
  for place, width in enumerate(net.hidden):
    h = Dense(width, dtype=net.dtype)(h)
    if net.layer_norm and place:
      h = nn.LayerNorm(dtype=net.dtype)(h)
    h = activation(h)
  return h


def sinusoidal_encoding(value: jax.Array, size: int = 64, scale: float = 100.0) -> jax.Array:
  """Computes the code [..., size] of numbers [...]: sines, then cosines, of falling frequencies.

  100 · value · exp(-ln(10⁴) j / (size/2 - 1)), as in the notebooks of AFM and CAFM.
  """
  half = size // 2
  frequencies = scale * jnp.exp(-math.log(10_000) * jnp.arange(half) / (half - 1))
  phase = jnp.asarray(value)[..., None] * frequencies.reshape((1,) * jnp.ndim(value) + (half,))
  return jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], axis=-1)
