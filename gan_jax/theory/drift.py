"""The field of drifting with a Gaussian kernel is a difference of scores.

With k(x, y) = exp(-|x - y|² / 2h²), mean shift to data minus mean shift to fakes is h² times the
score of the data, smoothed by N(0, h²), minus that of the fakes (arXiv:2603.09936). Each side has
a normaliser of its own. The published fields have another kernel, exp(-|x - y| / t), and one
normaliser for both, and are no such difference.
"""

import jax
import jax.numpy as jnp


def mean_shift(
  x: jax.Array, points: jax.Array, bandwidth: float, weights: jax.Array | None = None
) -> jax.Array:
  """Computes the mean of y - x under weights proportional to k(x, y): [n, d].

  Args:
    x: [n, d] where it is computed.
    points: [m, d] points y: samples, or nodes of a quadrature.
    bandwidth: h > 0.
    weights: [m] weights >= 0 of the points; equal by default.
  """
  square = jnp.sum((x[:, None] - points[None]) ** 2, axis=-1)
  logits = -square / (2 * bandwidth**2)
  share = jax.nn.softmax(logits if weights is None else logits + jnp.log(weights)[None], axis=1)
  return share @ points - x


def gaussian_field(x: jax.Array, data: jax.Array, fakes: jax.Array, bandwidth: float) -> jax.Array:
  """Computes the field of drifting at x [n, d] with a Gaussian kernel: [n, d].

  It is antisymmetric in data and fakes, and 0 where both are the same points.
  """
  return mean_shift(x, data, bandwidth) - mean_shift(x, fakes, bandwidth)


def smoothed_score(
  x: jax.Array, means: jax.Array, stds: jax.Array, weights: jax.Array, bandwidth: float
) -> jax.Array:
  """Computes ∇ log of a mixture of isotropic Gaussians convolved with N(0, h²): [n, d].

  Args:
    x: [n, d] where it is computed.
    means: [k, d] centres.
    stds: [k] standard deviations, of each coordinate; 0 for a point.
    weights: [k] shares.
    bandwidth: h.
  """
  variance = jnp.asarray(stds) ** 2 + bandwidth**2
  log_density = (
    jnp.log(weights)[None]
    - jnp.sum((x[:, None] - means[None]) ** 2, axis=-1) / (2 * variance)[None]
    - x.shape[1] / 2 * jnp.log(variance)[None]
  )
  share = jax.nn.softmax(log_density, axis=1)[..., None]
  return jnp.sum(share * (means[None] - x[:, None]) / variance[None, :, None], axis=1)
