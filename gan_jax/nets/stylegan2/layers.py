"""Layers with an equalised learning rate, and modulated convolutions, of StyleGAN2 (1912.04958)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets import layers
from gan_jax.nets.convolution import forms
from gan_jax.nets.convolution.resampling import FILTER, conv_down, conv_up

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
  **layers.ACTIVATIONS,
  **layers.OUTPUTS,
  "selu": nn.selu,
}
GAINS = dict.fromkeys(("relu", "leaky_relu", "swish"), math.sqrt(2))  # others have 1
RESIDUAL = math.sqrt(0.5)  # gain of both branches of a residual block
UNIT = nn.initializers.normal(1.0)


def bias_act(
  x: jax.Array,
  bias: jax.Array | None = None,
  activation: str = "linear",
  *,
  gain: float | None = None,
  clamp: float | None = None,
) -> jax.Array:
  """Adds a bias, activates, multiplies by a gain, and clamps, in this order.

  Args:
    x: [B, ..., C].
    bias: [C], or None.
    activation: one of `ACTIVATIONS`.
    gain: factor; None for the activation's own of `GAINS`.
    clamp: bound on magnitudes; None for none.

  Returns:
    [B, ..., C] of x's dtype.
  """
  function = layers.lookup(ACTIVATIONS, activation, "activation")
  out = x if bias is None else x + forms.spread(bias, x.shape)
  out = function(out) * (GAINS.get(activation, 1.0) if gain is None else gain)
  return (out if clamp is None else jnp.clip(out, -clamp, clamp)).astype(x.dtype)


def scaled_act(
  x: jax.Array, bias: jax.Array | None, activation: str, gain: float, clamp: float | None
) -> jax.Array:
  """Computes `bias_act` with the activation's own gain and the clamp both times `gain`."""
  bound = clamp * gain if clamp else None
  return bias_act(x, bias, activation, gain=GAINS.get(activation, 1.0) * gain, clamp=bound)


def convolve(
  x: jax.Array, kernel: jax.Array, resample: str = "", filter: Sequence[float] = FILTER
) -> jax.Array:
  """Convolves x [B, H, W, I] with a kernel [k, k, I, O]; `resample` is "up", "down" or ""."""
  if resample:
    return {"up": conv_up, "down": conv_down}[resample](x, kernel, filter)
  return forms.conv(x, kernel) if len(kernel) > 1 else forms.dense(x, kernel[0, 0])


def modulated_conv(
  x: jax.Array,
  kernel: jax.Array,
  styles: jax.Array,
  *,
  noise: jax.Array | None = None,
  demodulate: bool = True,
  up: bool = False,
  filter: Sequence[float] = FILTER,
) -> jax.Array:
  """Convolves each example with a kernel of its own: w_ijo s_i / √(Σ (w_ijo s_i)² + 1e-8).

  Inputs are scaled by the styles and outputs by the norms, which is the same and needs no kernel
  for each example. As in the authors' code, in half precision the kernel is first divided by its
  greatest magnitude and √fan_in, and the styles by theirs, which demodulation undoes.

  Args:
    x: [B, H, W, I]; its dtype is the one computed in.
    kernel: w [k, k, I, O].
    styles: s [B, I].
    noise: [B or 1, H', W', 1], added to the result; None for none.
    demodulate: whether the kernels are divided by their norms.
    up: whether zeros between pixels, and the filter, double both sides: see `conv_up`.
    filter: taps along one side.

  Returns:
    [B, H', W', O] of x's dtype.
  """
  dtype = x.dtype
  if demodulate and dtype.itemsize == 2:
    fan_in = math.prod(kernel.shape[:-1])
    kernel = kernel / (math.sqrt(fan_in) * jnp.max(jnp.abs(kernel), axis=(0, 1, 2), keepdims=True))
    styles = styles / jnp.max(jnp.abs(styles), axis=1, keepdims=True)
  # In float32: the gradients of styles are sums over all places.
  scaled = lambda x, rows: (x.astype(rows.dtype) * rows[:, None, None]).astype(dtype)
  y = convolve(scaled(x, styles), kernel, "up" if up else "", filter)
  if demodulate:
    squares = jnp.matmul(styles**2, jnp.sum(kernel**2, axis=(0, 1)), precision="highest")
    y = scaled(y, jax.lax.rsqrt(squares + 1e-8))
  return y if noise is None else y + noise.astype(dtype)


class EqualDense(nn.Module):
  """A dense layer whose kernel is scaled at use, so that all layers learn at one rate.

  Attributes:
    features: O.
    activation: one of `ACTIVATIONS`.
    lr_multiplier: factor of the learning rate: parameters are stored that much larger.
    bias_init: first value of the bias.
  """

  features: int
  activation: str = "linear"
  lr_multiplier: float = 1.0
  bias_init: float = 0.0

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps x [..., I] to [..., O], float32."""
    inputs, rate = x.shape[-1], self.lr_multiplier
    init = nn.initializers.normal(1 / rate)
    kernel = self.param("kernel", init, (inputs, self.features)) * (rate / math.sqrt(inputs))
    bias = self.param("bias", nn.initializers.constant(self.bias_init), (self.features,))
    return bias_act(forms.dense(x, kernel), rate * bias, self.activation)


class EqualConv(nn.Module):
  """A convolution whose kernel is scaled at use, with zeros around.

  Attributes:
    features: O.
    size: height and width of the kernel.
    resample: "up", "down" or "".
    use_bias: whether a bias is added.
    activation: one of `ACTIVATIONS`.
    conv_clamp: bound on magnitudes after the gain; 0 or None for none.
    resample_filter: taps along one side.
  """

  features: int
  size: int = 3
  resample: str = ""
  use_bias: bool = True
  activation: str = "linear"
  conv_clamp: float | None = None
  resample_filter: Sequence[float] = FILTER

  @nn.compact
  def __call__(self, x: jax.Array, gain: float = 1.0) -> jax.Array:
    """Maps x [B, H, W, I] to [B, H', W', O] of x's dtype, times a gain."""
    kernel = self.param("kernel", UNIT, (self.size, self.size, x.shape[-1], self.features))
    zeros: Any = nn.initializers.zeros
    bias = self.param("bias", zeros, (self.features,)) if self.use_bias else None
    kernel = kernel / math.sqrt(math.prod(kernel.shape[:-1]))
    y = convolve(x, kernel, self.resample, self.resample_filter)
    return scaled_act(y, bias, self.activation, gain, self.conv_clamp)
