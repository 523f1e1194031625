"""The field of drifting with a Gaussian kernel is a difference of scores.

With k(x, y) = exp(-|x - y|² / 2h²), mean shift to data minus mean shift to fakes is h² times the
score of the data, smoothed by N(0, h²), minus that of the fakes (arXiv:2603.09936). Each side has
a normaliser of its own. The published fields have another kernel, exp(-|x - y| / t), and one
normaliser for both, and are no such difference.

The field of W-Flow is the gradient flow of a Sinkhorn divergence, in closed form of Gaussians.
"""

from typing import Any

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
  return jnp.matmul(share, points, precision="highest") - x


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


def gaussian_transport(fake_std: Any, data_std: Any, epsilon: Any) -> Any:
  """Computes the covariance k of the entropic plan between two Gaussians on the line.

  Of plans with the covariance k, E ½(x - y)² + ε KL(P ‖ q ⊗ p) is a constant - k - ½ε log(1 - k² /
  σ²τ²), least where σ²τ² - k² = εk: k = (√(ε² + 4σ²τ²) - ε) / 2 = 2σ²τ² / (√(ε² + 4σ²τ²) + ε).
  Janati et al. 2020, arXiv:2006.02572. In more dimensions with a common basis it holds for each
  coordinate.

  Args:
    fake_std: σ of fakes.
    data_std: τ of data.
    epsilon: ε.
  """
  return fake_std**2 * _transport_slope(fake_std, data_std, epsilon)


def gaussian_sinkhorn_field(
  x: Any, fake_mean: Any, fake_std: Any, data_mean: Any, data_std: Any, epsilon: Any
) -> Any:
  """Computes the field of W-Flow between two Gaussians on the line, T_qp - T_qq, at x.

  It is (b - a) + (k - k') / σ² (x - a), k of `gaussian_transport` and k' that of fakes with
  themselves: 0 at equal Gaussians alone. As σ falls to 0 its slope goes to τ² / ε: a collapsed
  cloud grows by this rate, and does not only move. As ε falls to 0 the slope goes to τ / σ - 1,
  the map of optimal transport less x.

  Args:
    x: places.
    fake_mean: a of fakes N(a, σ²).
    fake_std: σ > 0.
    data_mean: b of data N(b, τ²).
    data_std: τ.
    epsilon: ε > 0, of the cost ½(x - y)².
  """
  own = _transport_slope(fake_std, fake_std, epsilon)
  slope = _transport_slope(fake_std, data_std, epsilon) - own
  return data_mean - fake_mean + slope * (x - fake_mean)


def _transport_slope(fake_std: Any, data_std: Any, epsilon: Any) -> Any:
  """Computes k / σ², the slope of the map of `gaussian_transport`: 2τ² / (√(ε² + 4σ²τ²) + ε)."""
  # Not the difference of the root and ε, all of which is rounding where στ is far below ε.
  return 2 * data_std**2 / (jnp.sqrt(epsilon**2 + 4 * (fake_std * data_std) ** 2) + epsilon)
