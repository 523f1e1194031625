"""W-Flow's field: in closed form, as a gradient, in its limits, and by a loop in plain numbers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from gan_jax.losses.one_step import sinkhorn
from gan_jax.theory import drift

RNG = np.random.default_rng(0)
PARTICLES, OTHERS, DATA = (RNG.normal(size=(2, n, 3)).astype("f") for n in (5, 6, 7))


def test_two_points_against_two_by_hand():
  """Of ±u and ±w the plan has masses in the ratio exp(2uw/ε), so T(u) = w tanh(uw/ε)."""
  u, w, size = 0.5, 1.2, 1
  fakes, data = (np.float32([[[-x], [x]]]) for x in (u, w))
  field = functools.partial(sinkhorn.sinkhorn_field, temperatures=(0.3,), normalise=False)
  found = jax.jit(field)(fakes, data)
  # Distances of each particle: to both particles, twice as they repel too, and to both data.
  scale = np.sqrt((2 * (2 * u) ** 2 + (w - u) ** 2 + (w + u) ** 2) / 6)
  epsilon = 0.3 * size * scale**2
  by_hand = w * np.tanh(u * w / epsilon) - u * np.tanh(u * u / epsilon)
  np.testing.assert_allclose(found.scale, scale, rtol=1e-6)
  np.testing.assert_allclose(found.field[0, :, 0] * scale, [-by_hand, by_hand], rtol=1e-5)
  np.testing.assert_allclose(found.forces, [(by_hand / scale) ** 2], rtol=1e-5)


def test_gaussians_in_closed_form():
  """By quadrature: maps, value and field, of Janati et al. 2020."""
  (a, fake_std), (b, data_std), epsilon = (-0.3, 0.5), (0.4, 0.9), 0.6
  line = np.linspace(-8, 8, 241)
  weights = lambda mean, std: (lambda w: w / w.sum())(np.exp(-(((line - mean) / std) ** 2) / 2))
  q, p = weights(a, fake_std) + 1e-300, weights(b, data_std) + 1e-300

  @jax.jit
  def look(x):
    of = lambda y, w: sinkhorn.barycentric_map(
      x, y, epsilon, iterations=60, x_weights=q, y_weights=w
    )
    value = sinkhorn.sinkhorn(x, x, epsilon, iterations=60, x_weights=q, y_weights=p).value
    return of(x, p) - of(x, q), value

  with jax.enable_x64(True):
    field, value = jax.device_get(look(line[:, None]))
    closed = functools.partial(
      drift.gaussian_sinkhorn_field, fake_mean=a, fake_std=fake_std, data_mean=b, epsilon=epsilon
    )
    inside = np.abs(line - a) < 3 * fake_std  # beyond, the grid ends before the plan does
    np.testing.assert_allclose(
      field[inside, 0], closed(line, data_std=data_std)[inside], rtol=0, atol=1e-8
    )
    k = float(drift.gaussian_transport(fake_std, data_std, epsilon))
    moved = (fake_std**2 + data_std**2 + (a - b) ** 2) / 2 - k
    information = -np.log(1 - (k / (fake_std * data_std)) ** 2) / 2
    np.testing.assert_allclose(value, moved + epsilon * information, rtol=1e-8)
    np.testing.assert_allclose(closed(line, data_mean=a, data_std=fake_std), 0, atol=1e-15)
    # A collapsed cloud grows at the rate τ²/ε, and without entropy a map is followed.
    slope = lambda std, eps: float(
      jax.grad(drift.gaussian_sinkhorn_field)(0.0, 0.0, std, 0.0, data_std, eps)
    )
    assert slope(1e-4, epsilon) == pytest.approx(data_std**2 / epsilon, rel=1e-6)
    assert slope(0.5, 1e-6) == pytest.approx(data_std / 0.5 - 1, rel=1e-4)
  # In float32 as well, to some of its roundings: k is of the order of σ²τ², far below ε.
  assert slope(1e-4, epsilon) == pytest.approx(data_std**2 / epsilon, rel=1e-6)
  found = drift.gaussian_transport(1e-4, data_std, epsilon)
  assert float(found) == pytest.approx((1e-4 * data_std) ** 2 / epsilon, rel=1e-6)


def test_without_negatives_it_is_the_gradient_of_the_divergence():
  temperature, more = 0.4, {"iterations": 200, "normalise": False}
  with jax.enable_x64(True):
    x, y = PARTICLES[:1].astype(float), DATA[:1].astype(float)
    field = jax.jit(functools.partial(sinkhorn.sinkhorn_field, temperatures=(temperature,), **more))
    found = field(x, y)
    epsilon = temperature * float(found.distance) ** 2
    of = lambda x: sinkhorn.sinkhorn_divergence(x[0], y[0], epsilon, iterations=200)
    value, slope = jax.jit(jax.value_and_grad(of))(x)
    same = sinkhorn.sinkhorn_divergence(y[0], y[0], epsilon)
    zero = field(x, x)
    # In units of the data; ten decimals are left of 200 iterations.
    np.testing.assert_allclose(-slope * 5, found.field * found.scale, rtol=0, atol=1e-9)
    assert value > 0.05 and abs(same) < 1e-12
    assert jnp.abs(zero.field).max() < 1e-12


def test_its_limits_are_a_matching_and_the_mean():
  x, y = PARTICLES[:1], DATA[:1, :5]
  at = jax.jit(
    lambda t: sinkhorn.sinkhorn_field(x, y, temperatures=(t,), iterations=4000, normalise=False)
  )
  cheapest = linear_sum_assignment(((x[0][:, None] - y[0][None]) ** 2).sum(-1))[1]
  near, far = at(2e-3), at(1e4)
  unit = float(near.scale)
  np.testing.assert_allclose(near.field[0] * unit, y[0][cheapest] - x[0], atol=0.02)
  np.testing.assert_allclose(
    far.field[0] * unit, np.tile(y[0].mean(0) - x[0].mean(0), (5, 1)), atol=1e-3
  )


def plain_map(x, y, epsilon, iterations):
  """Sinkhorn's iterations on the kernel itself, from ones, in float64."""
  kernel = np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / 2 / epsilon)
  v = np.ones(len(y))
  for _ in range(iterations):
    u = 1 / len(x) / (kernel @ v)
    v = 1 / len(y) / (kernel.T @ u)
  plan = u[:, None] * kernel * v[None]
  return plan @ y / plan.sum(1, keepdims=True)


def test_the_published_arrangement_by_a_loop():
  """Two batches, ten iterations, one scale of all rows, each force over its root mean square."""
  temperatures = (0.05, 0.3)
  found = jax.jit(functools.partial(sinkhorn.sinkhorn_field, temperatures=temperatures))(
    PARTICLES, DATA, OTHERS
  )
  x, others, y = (a.astype(float) for a in (PARTICLES, OTHERS, DATA))
  targets = np.concatenate([x, others, y], axis=1)
  scale = np.sqrt(((x[:, :, None] - targets[:, None]) ** 2).sum(-1).mean())
  unit, total = scale / 3**0.5, 0
  for t, force in zip(temperatures, found.forces, strict=True):
    v = np.stack(
      [
        plain_map(q, p, 3 * t * unit**2, 10) - plain_map(q, n, 3 * t * unit**2, 10)
        for q, n, p in zip(x, others, y, strict=True)
      ]
    )
    v = v / unit
    np.testing.assert_allclose(force, np.mean(v**2), rtol=1e-4)
    total = total + v / np.sqrt(np.mean(v**2))
  np.testing.assert_allclose(found.field, total, rtol=0, atol=1e-4)
  np.testing.assert_allclose([found.distance, found.scale], [scale, unit], rtol=1e-5)
