"""The mathematics that losses are tested against: divergences, discriminators at their best.

Everything is a function of two distributions given as arrays, of NumPy (float64) or of JAX (and
then differentiable; exact to float64 under `jax.enable_x64`). Nothing here is used in training.
"""

from gan_jax.theory.divergences import (
  jensen_shannon,
  kl,
  neyman,
  pearson,
  reverse_kl,
  squared_hellinger,
  total_variation,
  wasserstein,
  wasserstein_of_samples,
)
from gan_jax.theory.optimal import OPTIMA, Optimum, expected, kantorovich, value

__all__ = [
  "OPTIMA",
  "Optimum",
  "expected",
  "jensen_shannon",
  "kantorovich",
  "kl",
  "neyman",
  "pearson",
  "reverse_kl",
  "squared_hellinger",
  "total_variation",
  "value",
  "wasserstein",
  "wasserstein_of_samples",
]
