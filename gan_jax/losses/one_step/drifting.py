"""Drifting: particles are chosen to data and pushed off each other, and a generator follows them.

arXiv:2602.04770. The loss is |G(z) - stop(G(z) + V)|², of one player. V has two published forms:
`drift_field`, of the ImageNet code, which divides every force by its own root mean square, and
`toy_field`, of the two-dimensional notebook. Pure functions of arrays: generated particles [B, C,
S] and data [B, P, S] of B rows, such as classes or places of a feature map.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

TEMPERATURES = (0.02, 0.05, 0.2)  # published for ImageNet
SMALLEST_SQUARE, SMALLEST_SCALE = 1e-8, 1e-3
SMALLEST_AFFINITY, SMALLEST_PRODUCT = 1e-6, 1e-12  # squares: of `drift_field`, of `toy_field`
FAR = 1e6  # distance of a particle from itself
stop = jax.lax.stop_gradient


class Drift(NamedTuple):
  """A field at generated particles.

  Attributes:
    field: V [B, C, S], in units of the features divided by `scale`.
    scale: divisor of the features; 1 of `toy_field`.
    forces: [temperatures] mean squares of the forces before they are divided by their roots. After
      it each is 1, so that these alone show convergence.
    distance: mean distance of particles and targets, in units of the features.
  """

  field: jax.Array
  scale: jax.Array
  forces: jax.Array
  distance: jax.Array


def drift_field(
  generated: jax.Array,
  data: jax.Array,
  negatives: jax.Array | None = None,
  *,
  temperatures: Sequence[float] = TEMPERATURES,
  generated_weights: jax.Array | None = None,
  data_weights: jax.Array | None = None,
  negative_weights: jax.Array | None = None,
  exclude_self: bool = True,
  normalise: bool = True,
) -> Drift:
  """Computes the field of the ImageNet code, the sum of forces of several temperatures.

  One scale, and one norm of each force, couple all rows: do not map it over them. Temperatures are
  relative to the mean distance. An affinity is at least 0.001, its own to a particle included.

  Args:
    generated: [B, C, S] particles.
    data: [B, P, S] targets that attract.
    negatives: [B, N, S] targets that repel, beside the particles themselves.
    temperatures: temperatures, whose forces are added.
    generated_weights: [B, C] factors of affinities, after both softmaxes: with 0 a target keeps its
      share of these. They weigh distances in the scale too. 1 by default.
    data_weights: [B, P], likewise.
    negative_weights: [B, N], likewise; see `negative_weight`.
    exclude_self: whether a particle is far from itself.
    normalise: whether forces are divided by their root mean squares, as published.

  Returns:
    The field, without gradient.
  """
  n = 0 if negatives is None else negatives.shape[1]
  extra = () if negatives is None else (negatives,)
  targets = stop(jnp.concatenate([generated, *extra, data], axis=1))
  given = zip(
    (generated_weights, *((negative_weights,) if n else ()), data_weights),
    (generated, *extra, data),
    strict=True,
  )
  of = lambda w, x: (
    jnp.ones(x.shape[:2], x.dtype) if w is None else jnp.broadcast_to(w, x.shape[:2])
  )
  weights = jnp.concatenate([of(w, x) for w, x in given], axis=1)[:, None]
  generated, count, size = stop(generated), generated.shape[1], generated.shape[2]
  distances = _distances(generated, targets)
  scale = jnp.mean(distances * weights) / jnp.mean(weights)
  divisor = jnp.maximum(scale / size**0.5, SMALLEST_SCALE)
  distances = distances / jnp.maximum(scale, SMALLEST_SCALE)
  distances += 100.0 * exclude_self * jnp.eye(count, targets.shape[1])[None]
  # The coefficients of a particle sum to 0: differences to any one point are exacter than places.
  centred = (targets - jnp.mean(targets, axis=(0, 1), keepdims=True)) / divisor
  field, forces = jnp.zeros_like(generated), []
  for temperature in temperatures:
    logits = -distances / temperature
    both = jax.nn.softmax(logits, axis=2) * jax.nn.softmax(logits, axis=1)
    affinity = weights * jnp.sqrt(jnp.maximum(both, SMALLEST_AFFINITY))
    force = _force(affinity[..., count + n :], affinity[..., : count + n], centred, count + n)
    forces.append(jnp.mean(force**2))
    field += force / jnp.sqrt(jnp.maximum(forces[-1], SMALLEST_SQUARE)) if normalise else force
  return Drift(field, divisor, jnp.stack(forces), scale)


def toy_field(
  generated: jax.Array, data: jax.Array, *, temperature: float = 0.05, exclude_self: bool = True
) -> Drift:
  """Computes the field of the notebook: nothing is scaled, and a far start does not move.

  Particles and data share one normaliser, so that V falls as exp(-d / 2t) with the distance d of
  particles from data.

  Args:
    generated: [B, C, S] particles.
    data: [B, P, S] data.
    temperature: t, in units of the data.
    exclude_self: whether a particle is far from itself.

  Returns:
    The field, without gradient.
  """
  generated, data = stop(generated), stop(data)
  targets = jnp.concatenate([generated, data], axis=1)
  plain = jnp.linalg.norm(generated[:, :, None] - targets[:, None], axis=-1)
  count = generated.shape[1]
  own = jnp.eye(count, targets.shape[1], dtype=bool)[None] & exclude_self
  kernel = jnp.exp(-jnp.where(own, FAR, plain) / temperature)
  sums = jnp.sum(kernel, axis=2, keepdims=True) * jnp.sum(kernel, axis=1, keepdims=True)
  affinity = kernel / jnp.sqrt(jnp.maximum(sums, SMALLEST_PRODUCT))
  centred = targets - jnp.mean(targets, axis=(0, 1), keepdims=True)
  field = _force(affinity[..., count:], affinity[..., :count], centred, count)
  return Drift(field, jnp.ones(()), jnp.mean(field**2)[None], jnp.mean(plain))


def mean_shift_field(
  generated: jax.Array,
  data: jax.Array,
  *,
  temperatures: Sequence[float] = (0.05,),
  gaussian: bool = False,
  exclude_self: bool = True,
) -> Drift:
  """Computes the field of the paper's formula, whose two sides have a normaliser each.

  V is the sum over temperatures of the mean shift to data less that to particles, with weights
  proportional to exp(-|x - y| / t), or exp(-|x - y|² / 2t²). The mean shift to data is a point
  among data less x, however far x is: a far start moves, where it does not in `toy_field`.

  Args:
    generated: [B, C, S] particles.
    data: [B, P, S] data.
    temperatures: t, in units of the data. With one of the order of the spread of data and one of
      that of a mode, samples come to all modes, and to lie on them.
    gaussian: whether the kernel is the second, of which V / t² is a difference of scores; see
      `theory.drift`.
    exclude_self: whether a particle is far from itself.

  Returns:
    The field, without gradient.
  """
  generated, data = stop(generated), stop(data)
  middle = jnp.mean(data, axis=1, keepdims=True)  # weights sum to 1: places may be from any point
  sides = []
  for points, own in ((data, False), (generated, exclude_self)):
    distances = _distances(generated, points)
    itself = jnp.eye(distances.shape[1], distances.shape[2], dtype=bool)
    distances = jnp.where(itself[None] & own, FAR, distances)
    sides.append((distances, points - middle))
  dot = lambda a, y: jnp.einsum("bct,bts->bcs", a, y, precision=jax.lax.Precision.HIGHEST)
  field, forces = jnp.zeros_like(generated), []
  for t in temperatures:
    logits = lambda d, t=t: -(d**2) / (2 * t**2) if gaussian else -d / t
    attract, repel = (dot(jax.nn.softmax(logits(d), axis=2), y) for d, y in sides)
    forces.append(jnp.mean((attract - repel) ** 2))
    field += attract - repel
  return Drift(field, jnp.ones(()), jnp.stack(forces), jnp.mean(sides[0][0]))


def follow(generated: jax.Array, drift: Drift) -> jax.Array:
  """Computes the mean square of g/scale - stop(g/scale + V) over particles and features: [B].

  The value is the mean of V², and the gradient is -2 V / (C S scale).
  """
  scaled = generated / drift.scale
  return jnp.mean((scaled - stop(scaled + drift.field)) ** 2, axis=(1, 2))


def by_place(features: jax.Array, labels: int) -> jax.Array:
  """Rearranges features of examples [labels · C, places, S] to rows [labels · places, C, S].

  Particles are compared at the same place alone. The examples of a label are adjacent.
  """
  _, places, size = features.shape
  grouped = features.reshape(labels, -1, places, size)
  return jnp.swapaxes(grouped, 1, 2).reshape(labels * places, -1, size)


def map_features(x: jax.Array, height: int) -> dict[str, jax.Array]:
  """Computes what is compared of a map: itself, mean, std, and these of 2 x 2 and 4 x 4 patches.

  Args:
    x: [B, places, S], places of rows of a map of this height.
    height: rows of the map.

  Returns:
    {"map", "mean", "std", "mean_2", "std_2", ...: [B, tokens, S]}; patches that do not divide the
    map are left out.
  """
  batch, places, size = x.shape
  width = places // height
  features = {"map": x} | _moments(x[:, None], "")
  for side in (2, 4):
    if height % side == 0 and width % side == 0:
      tiles = x.reshape(batch, height // side, side, width // side, side, size)
      tiles = jnp.swapaxes(tiles, 2, 3).reshape(batch, -1, side * side, size)
      features |= _moments(tiles, f"_{side}")
  return features


def _moments(tiles: jax.Array, suffix: str) -> dict[str, jax.Array]:
  """Computes mean and std of tiles [B, tokens, places, S], by name."""
  deviation = jnp.sqrt(jnp.var(tiles, axis=2) + 1e-6)
  return {f"mean{suffix}": jnp.mean(tiles, axis=2), f"std{suffix}": deviation}


def features_of_maps(maps: Sequence[jax.Array], most_places: int = 64) -> dict[str, jax.Array]:
  """Computes what is compared of images, by their maps: `map_features`, and the last map whole.

  Args:
    maps: [B, H, W, S] each, the finest first.
    most_places: places above which a map enters by its moments alone, as a field at each place is
      most of the cost.

  Returns:
    {"whole": [B, 1, H W S] of the last map, "map_0", "mean_0", "std_2_0", ...: [B, places, S]}.
  """
  features = {"whole": maps[-1].reshape(len(maps[-1]), 1, -1)}
  for i, x in enumerate(maps):
    batch, height, width, size = x.shape
    of_map = map_features(x.reshape(batch, -1, size), height)
    if height * width > most_places:
      del of_map["map"]
    features |= {f"{name}_{i}": value for name, value in of_map.items()}
  return features


def root_mean_square(x: jax.Array) -> jax.Array:
  """Computes the feature "norm_x" of images [B, H, W, C]: [B, 1, C]."""
  return jnp.sqrt(jnp.mean(x**2, axis=(1, 2)) + 1e-6)[:, None]


# --- guidance -------------------------------------------------------------------------------------


def guidance(u: jax.Array, low: float = 1.0, high: float = 4.0, power: float = 1.0) -> jax.Array:
  """Computes guidance of uniform u, (lo^q + u (hi^q - lo^q))^(1/q), q = 1 - power.

  Args:
    u: uniform numbers in [0, 1].
    low: guidance of u = 0; 1 is none.
    high: guidance of u = 1.
    power: its density falls as guidance^-power, at 1 it is log-uniform; 3 and 5 are published.
  """
  q = 1 - power
  if q == 0:
    return low * (high / low) ** u
  # low (1 + u ((hi/lo)^q - 1))^(1/q): near q = 0 the powers themselves are 1 but for rounding.
  return low * jnp.exp(jnp.log1p(u * math.expm1(q * math.log(high / low))) / q)


def negative_weight(guidance: jax.Array, particles: int, negatives: int) -> jax.Array:
  """Computes the weight of each of N unconditional negatives, (a - 1) (C - 1) / N."""
  return (guidance - 1) * (particles - 1) / negatives


# --- memory ---------------------------------------------------------------------------------------


class Bank(NamedTuple):
  """The newest examples of each class.

  Attributes:
    store: [classes, places, ...] examples; zeros where none was added.
    pointers: int32 [classes] places that are written next.
    counts: int32 [classes] examples held.
  """

  store: jax.Array
  pointers: jax.Array
  counts: jax.Array

  @classmethod
  def empty(cls, classes: int, places: int, shape: tuple[int, ...]) -> "Bank":
    """Builds a bank without examples; published: 128 places a class, 1000 of one class for all."""
    return cls(jnp.zeros((classes, places, *shape)), *jnp.zeros((2, classes), jnp.int32))

  def add(self, items: jax.Array, labels: jax.Array) -> "Bank":
    """Adds examples [n, ...] of classes [n] in order; a full class loses its oldest."""
    places = self.store.shape[1]

    def one(bank: Bank, item: tuple[jax.Array, jax.Array]) -> tuple[Bank, None]:
      x, label = item
      store = bank.store.at[label, bank.pointers[label]].set(x)
      pointers = bank.pointers.at[label].set((bank.pointers[label] + 1) % places)
      counts = bank.counts.at[label].set(jnp.minimum(bank.counts[label] + 1, places))
      return Bank(store, pointers, counts), None

    return jax.lax.scan(one, self, (items, labels))[0]

  def sample(self, key: jax.Array, labels: jax.Array, n: int) -> jax.Array:
    """Samples n examples of each class of `labels` [L], uniformly: [L, n, ...].

    Without replacement where the class holds as many, else with. A class without any gives zeros,
    as in the published code: fill the bank before it is sampled.
    """
    places = self.store.shape[1]

    def one(key: jax.Array, label: jax.Array) -> jax.Array:
      of_order, of_repeats = jax.random.split(key)
      count = self.counts[label]
      chosen = jax.random.randint(of_repeats, (n,), 0, jnp.maximum(count, 1))
      if n <= places:
        order = jax.random.uniform(of_order, (places,)) + 2.0 * (jnp.arange(places) >= count)
        chosen = jnp.where(count >= n, jnp.argsort(order)[:n], chosen)
      return self.store[label][chosen]

    return jax.vmap(one)(jax.random.split(key, len(labels)), labels)


def _distances(x: jax.Array, y: jax.Array) -> jax.Array:
  """Computes distances [B, C, T], at least 1e-4."""
  # Of differences, not of products: a distance of equal points is to be exactly the least.
  square = jnp.sum((x[:, :, None] - y[:, None]) ** 2, axis=-1)
  return jnp.sqrt(jnp.maximum(square, SMALLEST_SQUARE))


def _force(attract: jax.Array, repel: jax.Array, targets: jax.Array, count: int) -> jax.Array:
  """Computes sum(repel) · attract y - sum(attract) · repel y, targets of repulsion being first."""
  pull = jnp.sum(repel, axis=2, keepdims=True) * attract
  push = jnp.sum(attract, axis=2, keepdims=True) * repel
  dot = lambda a, y: jnp.einsum("bct,bts->bcs", a, y, precision=jax.lax.Precision.HIGHEST)
  return dot(pull, targets[:, count:]) - dot(push, targets[:, :count])
