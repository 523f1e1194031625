"""The mathematics that losses are tested against: divergences, discriminators at their best.

Everything is a function of two distributions given as arrays, of NumPy (float64) or of JAX (and
then differentiable; exact to float64 under `jax.enable_x64`). Nothing here is used in training.
"""

from gan_jax.theory import augmentation, densities, drift, dynamics, rounds, toys
from gan_jax.theory.divergences import (
  f_divergence,
  jensen_shannon,
  kl,
  neyman,
  pearson,
  reverse_kl,
  squared_hellinger,
  total_variation,
  variational_bound,
  wasserstein,
)
from gan_jax.theory.optimal import (
  OPTIMA,
  DirectionalOptimum,
  Optimum,
  directional,
  expected,
  generator_gradient,
  kantorovich,
  lipschitz,
  value,
)
