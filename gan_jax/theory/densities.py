"""Generators of known density, for which the optimal discriminator is known as well.

    data = Mixture(mean=(-1.5, 1.3))
    variables = data.init(key, z, train=False)
    x = data.apply(variables, z, train=False)
    log_p = data.apply(variables, x, method="log_density")

Each is an invertible map of the latent, so log q(x) = log q(z) - log |det dx/dz|. The attributes
are where its parameters start.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

EDGE = 1e-6  # of (0, 1), left out because the quantiles there are infinite
TABLE = np.linspace(-16, 16, 2001, dtype=np.float32)  # where quantiles are looked up


class Mixture(nn.Module):
  """A mixture of two Gaussians on the line, by its quantile function of u = (z+1)/2.

  Attributes:
    mean: of both, within ±8.
    std: of both, 0.1 to 1.6.
    weight: of the second.
  """

  mean: tuple[float, float] = (0.0, 1.0)
  std: tuple[float, float] = (1.0, 1.0)
  weight: float = 0.5

  def setup(self) -> None:
    start = lambda x: nn.initializers.constant(jnp.asarray(x, jnp.float32))
    self.means = self.param("mean", start(self.mean), (2,))
    self.log_std = self.param("log_std", start(np.log(self.std)), (2,))
    odds = np.log(self.weight / (1 - self.weight))
    self.logit = self.param("logit", start(odds), ())

  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, 1] in (-1, 1) to x [B, 1], increasing."""
    u = jnp.clip((z[:, 0] + 1) / 2, EDGE, 1 - EDGE)
    hold = jax.lax.stop_gradient
    slope = lambda x: hold(jnp.exp(self.log_density(x[:, None])))
    newton = lambda x: x + (u - self._cdf(x)) / slope(x)
    x = hold(newton(jnp.interp(u, self._cdf(TABLE), TABLE)))
    return newton(x)[:, None]  # where x is exact, its gradient is that of the implicit function

  def log_density(self, x: jax.Array) -> jax.Array:
    """Computes the log of the density at x [n, 1]: [n]."""
    first, second = norm.logpdf(x.T, self.means[:, None], jnp.exp(self.log_std)[:, None])
    log_sigmoid = jax.nn.log_sigmoid
    return jnp.logaddexp(log_sigmoid(-self.logit) + first, log_sigmoid(self.logit) + second)

  def _cdf(self, x: jax.Array | np.ndarray) -> jax.Array:
    below = norm.cdf((x[None] - self.means[:, None]) * jnp.exp(-self.log_std)[:, None])
    weight = jax.nn.sigmoid(self.logit)
    return (1 - weight) * below[0] + weight * below[1]


class BentGaussian(nn.Module):
  """A Gaussian in the plane, x = z W + b, bent along a parabola: x₂ + bend x₁².

  Attributes:
    kernel: W, by rows; not singular.
    bias: b.
    bend: 0 for none.
  """

  kernel: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
  bias: tuple[float, float] = (0.0, 0.0)
  bend: float = 0.0

  def setup(self) -> None:
    start = lambda x: nn.initializers.constant(jnp.asarray(x, jnp.float32))
    self.w = self.param("kernel", start(self.kernel), (2, 2))
    self.b = self.param("bias", start(self.bias), (2,))
    self.c = self.param("bend", start(self.bend), ())

  def __call__(self, z: jax.Array, y: jax.Array | None = None, *, train: bool) -> jax.Array:
    """Maps z [B, 2] ~ N(0, 1) to x [B, 2]."""
    x = z @ self.w + self.b[None]
    return x.at[:, 1].add(self.c * x[:, 0] ** 2)

  def log_density(self, x: jax.Array) -> jax.Array:
    """Computes the log of the density at x [n, 2]: [n]."""
    straight = x.at[:, 1].add(-self.c * x[:, 0] ** 2)  # the bend keeps areas
    z = (straight - self.b[None]) @ jnp.linalg.inv(self.w)
    return norm.logpdf(z).sum(axis=-1) - jnp.linalg.slogdet(self.w)[1]
