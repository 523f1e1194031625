"""Convolutions that keep every side, by XLA's own, in the one form that is quick on CPU.

That is without stride or dilation and with channels last. The gradients that JAX derives are
convolutions as well, but with axes in other places, and of them XLA on CPU takes up to a hundred
times as long within a loop. Here they are written as what is quick: the gradient in x is of a
kernel that is turned around; the gradient in the kernel has channels of x as images, examples as
their channels, and y as a kernel of the size of the images.

As in `im2col.py` both are derivatives of one trilinear function of x, k and y, each of the other.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


@jax.custom_vjp
def direct_conv(x: jax.Array, k: jax.Array) -> jax.Array:
  """Convolves x [B, H, W, C] with k [h, w, C, D], h and w odd, zeros around: [B, H, W, D]."""
  return _conv(k.shape[:-2], x, k.astype(x.dtype)).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def kernel_gradient(window: tuple[int, ...], x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes the gradient in k [h, w, C, D] of `direct_conv`, from x and y: float32."""
  # Behind a barrier, or XLA takes the transpositions back.
  x, y = lax.optimization_barrier((x.swapaxes(0, -1), jnp.moveaxis(y, 0, -2)))
  return jnp.moveaxis(_conv(window, x, y), 0, -2)


def _conv_backward(saved: Any, g: jax.Array) -> Any:
  x, k = saved
  return direct_conv(g, turned(k)), kernel_gradient(k.shape[:-2], x, g).astype(k.dtype)


def _kernel_gradient_backward(window: tuple[int, ...], saved: Any, g: jax.Array) -> Any:
  x, y = saved
  return direct_conv(y, turned(g)), direct_conv(x, g)


direct_conv.defvjp(lambda *given: (direct_conv(*given), given), _conv_backward)
kernel_gradient.defvjp(
  lambda window, *given: (kernel_gradient(window, *given), given), _kernel_gradient_backward
)


def turned(k: jax.Array) -> jax.Array:
  """Returns the kernel of the adjoint: [h, w, C, D] -> [h, w, D, C], turned by half a turn."""
  return k[(slice(None, None, -1),) * (k.ndim - 2)].swapaxes(-2, -1)


def _conv(window: tuple[int, ...], x: jax.Array, k: jax.Array) -> jax.Array:
  """Convolves x with k of any size, adding up in float32: sides change by those of the window."""
  space = "DHW"[-len(window) :]
  around = [(length // 2,) * 2 for length in window]
  layout = (f"N{space}C", f"{space}IO", f"N{space}C")
  return lax.conv_general_dilated(
    x,
    k,
    (1,) * len(window),
    around,
    dimension_numbers=layout,
    preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
  )
