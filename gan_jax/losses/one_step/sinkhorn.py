"""W-Flow: a generator follows particles along the gradient flow of a Sinkhorn divergence.

Han et al. 2026, arXiv:2605.11755. With the cost ½|x - y|², entropic optimal transport OT_ε and T_qp
the barycentric map of its plan from q to p (the mean of the points that x is sent to), the
divergence S_ε(q, p) = OT_ε(q, p) - ½ OT_ε(q, q) - ½ OT_ε(p, p) has the steepest descent V = T_qp -
T_qq (Feydy et al. 2019, arXiv:1810.08278). V draws each particle to points that are its share of
all data, and not, as in `drifting`, to those that are near. Pure functions of arrays.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from gan_jax.losses.one_step.drifting import SMALLEST_SCALE, SMALLEST_SQUARE, Drift, stop

TEMPERATURES, ITERATIONS = (0.05,), 10  # published for ImageNet


class Transport(NamedTuple):
  """Entropic optimal transport between points x and y.

  Attributes:
    log_plan: [..., N, M] logarithms of the plan's masses, of sum 1.
    value: [...] dual value, OT_ε at convergence.
  """

  log_plan: jax.Array
  value: jax.Array


def sinkhorn(
  x: jax.Array,
  y: jax.Array,
  epsilon: float | jax.Array,
  *,
  iterations: int = ITERATIONS,
  x_weights: jax.Array | None = None,
  y_weights: jax.Array | None = None,
) -> Transport:
  """Computes entropic optimal transport of cost ½|x - y|², in the domain of logarithms.

  The problem is min <P, C> + ε KL(P ‖ a bᵀ) over plans P of the marginals a and b.

  Args:
    x: [..., N, S] points.
    y: [..., M, S] points.
    epsilon: ε > 0, in units of the cost.
    iterations: number of Sinkhorn's iterations, from potentials 0; each makes the rows of the plan
      right, then its columns. Few are needed where ε is of the order of the cost.
    x_weights: a, [N] positive, of sum 1; equal by default.
    y_weights: b, [M], likewise.

  Returns:
    The plan, whose columns sum to b, and whose rows do at convergence, and the value.
  """
  cost = jnp.sum((x[..., :, None, :] - y[..., None, :, :]) ** 2, axis=-1) / 2
  kernel = -cost / epsilon
  # Of the cost's rank, [1.., N, 1] and [1.., 1, M], and so are potentials, divided by ε.
  log_a, log_b = (
    jnp.expand_dims(jnp.log(jnp.full(n, 1 / n) if w is None else w), (*range(cost.ndim - 2), axis))
    for w, n, axis in ((x_weights, x.shape[-2], -1), (y_weights, y.shape[-2], -2))
  )

  def update(_: int, potentials: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    f = -logsumexp(kernel + potentials[1] + log_b, axis=-1, keepdims=True)
    return f, -logsumexp(kernel + f + log_a, axis=-2, keepdims=True)

  start = jnp.zeros_like(cost[..., :1]), jnp.zeros_like(cost[..., :1, :])
  f, g = jax.lax.fori_loop(0, iterations, update, start)
  mean = lambda log_weights, potential: jnp.sum(jnp.exp(log_weights) * potential, axis=(-2, -1))
  value = epsilon * (mean(log_a, f) + mean(log_b, g))
  return Transport(kernel + f + g + log_a + log_b, value)


def barycentric_map(
  x: jax.Array, y: jax.Array, epsilon: float | jax.Array, **more: Any
) -> jax.Array:
  """Computes where the plan sends x on average, [..., N, S]; arguments as for `sinkhorn`."""
  # Rows are divided by their sums, which are those of the marginal at convergence alone.
  share = jax.nn.softmax(sinkhorn(x, y, epsilon, **more).log_plan, axis=-1)
  return jnp.einsum("...nm,...ms->...ns", share, y, precision=jax.lax.Precision.HIGHEST)


def sinkhorn_divergence(
  x: jax.Array, y: jax.Array, epsilon: float, *, iterations: int = 100
) -> jax.Array:
  """Computes S_ε of points x [..., N, S] and y [..., M, S] of equal weights: [...], >= 0.

  At convergence, its gradient in x_i is -(T_qp - T_qq)(x_i) / N.
  """
  of = lambda a, b: sinkhorn(a, b, epsilon, iterations=iterations).value
  return of(x, y) - (of(x, x) + of(y, y)) / 2


def sinkhorn_field(
  generated: jax.Array,
  data: jax.Array,
  negatives: jax.Array | None = None,
  *,
  temperatures: Sequence[float] = TEMPERATURES,
  iterations: int = ITERATIONS,
  normalise: bool = True,
) -> Drift:
  """Computes the field of W-Flow at particles, T_qp - T_qq', the sum over temperatures.

  Features are divided by their root mean square distance over √S, one number for all rows, and ε is
  R · S of them: R is relative to the mean square distance. As ε falls to 0, V goes to the partner
  in the cheapest matching of particles and data; as it grows, to the data's mean alone. A cloud of
  small spread grows at the rate of `theory.drift.gaussian_sinkhorn_field`: a collapsed start is
  left.

  Args:
    generated: [B, C, S] particles.
    data: [B, P, S] data.
    negatives: [B, N, S] q', an independent second batch of fakes, as in the paper; None for the
      particles themselves, where V is the exact gradient flow of the divergence of both sets.
    temperatures: R > 0; 0.05 is published.
    iterations: Sinkhorn's, 10 published.
    normalise: whether the force of each temperature is divided by its root mean square, as in the
      published code. The loss cannot fall then, and V does not vanish at a match.

  Returns:
    The field, without gradient; its `distance` is the root mean square.
  """
  generated, data = stop(generated), stop(data)
  others = generated if negatives is None else stop(negatives)
  targets = jnp.concatenate([generated, others, data], axis=1)
  square = jnp.sum((generated[:, :, None] - targets[:, None]) ** 2, axis=-1)
  scale, size = jnp.sqrt(jnp.mean(square)), generated.shape[2]
  divisor = jnp.maximum(scale / size**0.5, SMALLEST_SCALE)
  # Differences are exacter near 0, and the field does not depend on where that is.
  centre = jnp.mean(targets, axis=(0, 1), keepdims=True)
  q, others, p = ((x - centre) / divisor for x in (generated, others, data))
  field, forces = jnp.zeros_like(generated), []
  for temperature in temperatures:
    of = lambda y, epsilon=temperature * size: barycentric_map(q, y, epsilon, iterations=iterations)
    force = of(p) - of(others)
    forces.append(jnp.mean(force**2))
    field += force / jnp.sqrt(jnp.maximum(forces[-1], SMALLEST_SQUARE)) if normalise else force
  return Drift(field, divisor, jnp.stack(forces), scale)
