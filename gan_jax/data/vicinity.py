"""Vicinal sampling: targets near the labels of the data, and examples whose labels are near these.

CcGAN, Ding et al. 2021 (arXiv:2011.07466): the discriminator's losses HVDL and SVDL are the usual
ones of examples x_i at targets t = y_j + ε, ε ~ N(0, σ²), where i has the probability w(y_i, t) /
Σ_i w(y_i, t). Here this is how real examples are drawn; fakes are of the targets themselves, where
theirs are of labels near them too.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.source import Seed, Source
from gan_jax.data.sources.endless import below, position_keys

# By name, the weight of an example whose label is at some distance from the target.
WEIGHTS: dict[str, Callable[[jax.Array, float], jax.Array]] = {
  "hard": lambda distance, kappa: (distance <= kappa).astype(jnp.float32),
  "soft": lambda distance, kappa: jnp.exp(-((distance / kappa) ** 2)),  # ν = 1/κ²
}


class Bandwidths(NamedTuple):
  """Widths of a vicinity, in units of the labels.

  Attributes:
    sigma: standard deviation σ of the targets around labels.
    kappa: distance κ of a target within which labels are near it.
  """

  sigma: float
  kappa: float


def rule_of_thumb(y: np.ndarray, multiple: float = 1.0) -> Bandwidths:
  """Computes the published widths for labels that are numbers.

  Args:
    y: labels [N] or [N, 1], not all the same.
    multiple: number m_κ of the largest gap between neighbouring labels that κ is.

  Raises:
    ValueError: for labels of several entries, or of one value.
  """
  values = np.unique(y)
  if y.size != len(y) or len(values) < 2:
    raise ValueError(
      f"the vicinity's rule of thumb is for numbers that differ, and labels are {list(y.shape)}:"
      " give config.condition.vicinity.sigma and kappa"
    )
  sigma = float(np.std(y)) * (4 / (3 * len(y))) ** 0.2  # Silverman's
  return Bandwidths(sigma, multiple * float(np.diff(values).max()))


def vicinal(source: Source, weight: str, sigma: float = 0.0, kappa: float = 0.0) -> Source:
  """Builds the source of the same examples, drawn by targets near their labels.

  Where no label is near a target, its example is the nearest.

  Args:
    source: examples with vectors, in memory.
    weight: one of `WEIGHTS`.
    sigma, kappa: widths; 0 for those of `rule_of_thumb`.

  Raises:
    ValueError: examples have no vectors, or are not in memory.
  """
  if source.condition_dim is None or not {"x", "y"} <= source.arrays.keys():
    raise ValueError(
      f"{source.name} has no vectors in memory, of which config.condition.vicinity chooses those"
      " near a target"
    )
  if not (sigma and kappa):
    rule = rule_of_thumb(source.arrays["y"])
    sigma, kappa = sigma or rule.sigma, kappa or rule.kappa
  size = len(source.arrays["y"])

  def draw(
    arrays: Mapping[str, jax.Array], positions: jax.Array, seed: Seed
  ) -> dict[str, jax.Array]:
    x, y = jnp.asarray(arrays["x"]), jnp.asarray(arrays["y"])

    def one(key: jax.Array) -> dict[str, jax.Array]:
      row_key, noise_key, choice_key = jax.random.split(key, 3)
      row = below(size, jax.random.bits(row_key))
      target = y[row] + sigma * jax.random.normal(noise_key, y.shape[1:], jnp.float32)
      distance = jnp.sqrt(jnp.sum((y - target[None]) ** 2, axis=1))
      cumulative = jnp.cumsum(WEIGHTS[weight](distance, kappa))
      level = cumulative[-1] * jax.random.uniform(choice_key, dtype=jnp.float32)
      chosen = jnp.searchsorted(cumulative, level, side="right")
      near = jnp.where(cumulative[-1] > 0, chosen, jnp.argmin(distance))
      return {"x": x[near], "y": target}

    return jax.vmap(one)(position_keys(seed, positions))

  return source._replace(draw=draw)
