"""Directions in the latent space of a generator, along which one thing changes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gan_jax.game.random import fixed, make_key
from gan_jax.metrics import lerp, perceptual_path_length
from gan_jax.metrics.features.extractor import Extractor, forward
from gan_jax.metrics.features.pixels import pixels
from gan_jax.run.latents.space import Labels, LatentSpace

METHODS = ("sefa", "pca")
DRAWS = 2000  # latents that principal components are of
LARGE = 1 << 25  # numbers in the activations of these, at most
PATHS = 64  # latents that the path length along a direction is a mean over
STEP = 1e-3  # of a path, whose two ends are 0 and 1
SEED = 1 << 29


class Directions(NamedTuple):
  """Directions, the most important first.

  Attributes:
    vectors: orthonormal, float64 [k, d].
    values: share of each, of the squared norm of the weights or of the variance, [k].
    spread: standard deviation of latents along each, [k].
  """

  vectors: np.ndarray
  values: np.ndarray
  spread: np.ndarray


def sefa(weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
  """Computes the directions that linear layers stretch most, in closed form.

  The eigenvectors of AᵀA with the largest eigenvalues: Shen & Zhou 2021 (arXiv:2007.06600). Their
  code divides each row of A by its length first, which the paper does not.

  Args:
    weights: A, the weights of all layers that are linear in the latents, [m, d].
    count: number of directions, at most d.

  Returns:
    Unit vectors [count, d], and the share of each in ‖A‖², [count].
  """
  a = np.asarray(weights, np.float64)
  squares, vectors = np.linalg.eigh(a.T @ a)
  return _signed(vectors.T[::-1][:count]), squares[::-1][:count] / squares.sum()


def principal(
  latents: np.ndarray, activations: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Computes the directions of latents that move the principal components of activations.

  Härkönen et al. 2020 (arXiv:2004.02546): the regression of the latents on the coordinates of the
  activations; of latents that are the activations, as w is, it is their principal components.
  Unlike there the directions are made orthonormal, each to those before it. Of normal latents and a
  layer that is linear in them, they are those of `sefa`.

  Args:
    latents: [n, d].
    activations: of each, [n, k].
    count: number of directions, at most d, k and n - 1.

  Returns:
    Unit vectors [count, d], and the share of each component in the variance, [count].

  Raises:
    ValueError: the activations vary along fewer directions.
  """
  z = np.asarray(latents, np.float64) - latents.mean(axis=0)
  x = np.asarray(activations, np.float64) - activations.mean(axis=0)
  tall = len(x) >= x.shape[1]  # whichever of the two products is smaller
  squares, basis = np.linalg.eigh(x.T @ x if tall else x @ x.T)
  # Roundings of float32 vary as well, by no more than this.
  if count > (rank := int((squares > 1e-12 * max(squares[-1], 1e-30)).sum())):
    raise ValueError(f"num is {count}: expected at most {rank}, as activations vary along no more")
  squares, basis = squares[::-1][:count], basis[:, ::-1][:, :count]
  coordinates = x @ basis if tall else basis * np.sqrt(np.maximum(squares, 0))
  regression = z.T @ coordinates / (coordinates**2).sum(axis=0)
  return _signed(np.linalg.qr(regression)[0].T), squares / (x**2).sum()


def directions_of(
  space: LatentSpace, method: str = "sefa", count: int = 8, *, labels: Labels = None
) -> Directions:
  """Computes directions of a generator's z, or of its w.

  Args:
    space: space of latents, z or w.
    method: "sefa", of the layers that are linear in the latents; or "pca", of w, or for z of the
      first activations that are not linear in it.
    count: number of directions, at most d.
    labels: label of a conditional generator, [1], with which activations are computed.

  Raises:
    ValueError: no layer is linear in the latents, or there are fewer directions.
  """
  latents = _tied(space, _drawn(space, 2, labels))
  dim = latents.shape[1]
  if not 1 <= count <= dim:
    raise ValueError(f"num is {count}: expected at most {dim} directions, the entries of a latent")
  linear, other = layers(space, latents, labels)
  if method == "sefa":
    if not linear:
      raise ValueError(
        f"no layer of {space.run.config.generator.name} is linear in {space.name}: take principal"
        " components, --method=pca"
      )
    vectors, values = sefa(weights(space, linear, dim, labels), count)
  elif space.is_z:
    if not other:
      raise ValueError(
        f"every layer of {space.run.config.generator.name} is linear in z, and principal components"
        " are of one that is not: expected --method=sefa"
      )
    widths = jax.eval_shape(lambda z: _outputs(space, z, labels, other[:1]), latents[:1])
    n = max(count + 1, min(DRAWS, LARGE // sum(x.size for x in widths.values())))
    z = _tied(space, _drawn(space, n, labels))
    vectors, values = principal(z, _activations(space, other[0], z, labels), count)
  else:
    w = _tied(space, _drawn(space, DRAWS, labels))
    vectors, values = principal(w, w, count)
  draws = _tied(space, _drawn(space, DRAWS, labels))
  return Directions(vectors, values, ((draws - draws.mean(axis=0)) @ vectors.T).std(axis=0))


def layers(
  space: LatentSpace, latents: np.ndarray, labels: Labels
) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """Lists layers that latents reach, by path: those linear in them, and the others, in order.

  A layer is linear, up to a constant, if f(a) + f(b) = f(a + b) + f(0) at random a and b. Values
  tell, as some convolutions have no derivative in forward mode.

  Args:
    space: space of latents.
    latents: a and b, [2, d].
    labels: of both, [1].
  """
  order: list[str] = []
  a, b = latents
  at = jnp.asarray(np.stack([np.zeros_like(a), a, b, a + b]))
  outputs = _compiled(space, labels, order=order)(at)
  size = {name: float(jnp.abs(f[1] - f[2]).max()) for name, f in outputs.items()}
  reached = [name for name in dict.fromkeys(order) if size[name] > 0]
  curved = lambda f: float(jnp.abs(f[0] + f[3] - f[1] - f[2]).max())
  linear = tuple(name for name in reached if curved(outputs[name]) <= 1e-4 * size[name])
  return linear, tuple(name for name in reached if name not in linear)


def weights(space: LatentSpace, names: tuple[str, ...], dim: int, labels: Labels) -> np.ndarray:
  """Computes the weights of layers that are linear in latents, below each other, [m, d]."""
  # Of a compiled function that returns these layers alone, nothing behind them is computed.
  outputs = _compiled(space, labels, names=names)
  axes = outputs(jnp.concatenate([jnp.zeros((1, dim)), jnp.eye(dim)]))
  columns = [(np.asarray(f[1:]) - np.asarray(f[:1])).reshape(dim, -1) for f in axes.values()]
  return np.concatenate(columns, axis=1).T


def path_lengths(
  space: LatentSpace,
  directions: Directions,
  reach: float,
  *,
  labels: Labels = None,
  features: Extractor | None = None,
) -> np.ndarray:
  """Computes the perceptual path length along each direction, [k].

  E ‖φ(G(z + t v)) - φ(G(z + (t + ε) v))‖² / ε² of Karras et al. 2019 (arXiv:1812.04948), with t
  uniform within ± reach, in standard deviations of latents along the direction, ε as small a share
  of the path as `STEP`, and all paths kept.

  Args:
    space: space of latents.
    directions: directions in it.
    reach: half the length of a path, in standard deviations.
    labels: label of a conditional generator, [1].
    features: φ; None for pixels from 0 to 1.
  """
  middle = _tied(space, _drawn(space, PATHS, labels))
  positions = np.random.default_rng(0).uniform(size=PATHS)
  places = np.arange(PATHS)
  given = None if labels is None else np.repeat(labels, PATHS, axis=0)
  generate = lambda z: space.examples(
    space.spread(z.astype(np.float32)), given, places[: len(z)], rounded=False
  )
  embed = lambda x: forward(features or pixels(), x)["features"]
  lengths = []
  for vector, spread in zip(directions.vectors, directions.spread, strict=True):
    step = reach * spread * vector[None]
    length = perceptual_path_length(
      generate,
      embed,
      middle - step,
      middle + step,
      positions,
      interpolate=lerp,
      epsilon=STEP,
      discard=0.0,
    )
    lengths.append(length.mean / (2 * reach) ** 2)
  return np.array(lengths)


def along(
  space: LatentSpace, directions: Directions, latents: np.ndarray, reach: float, columns: int
) -> np.ndarray:
  """Moves latents along each direction, [k, n, columns, ...] of the space.

  Args:
    space: space of latents.
    directions: k directions.
    latents: of the space, [n, ...], which the middle column has if `columns` is odd.
    reach: how far to both sides, in standard deviations of latents along the direction.
    columns: number of steps.
  """
  steps = np.linspace(-reach, reach, columns)[:, None, None] * directions.spread[:, None]
  moves = steps * directions.vectors  # [columns, k, d]
  moves = np.moveaxis(moves, 0, 1)[:, None].astype(np.float32)  # [k, 1, columns, d]
  return latents[None, :, None] + (moves if space.is_z else moves[..., None, :])


def pictures_along(
  space: LatentSpace,
  directions: Directions,
  seeds: Sequence[int],
  reach: float,
  columns: int,
  label: Labels = None,
) -> np.ndarray:
  """Draws examples of seeds moved along each direction, uint8 [k, n, columns, H, W, 1 or 3].

  Args:
    space: space of latents.
    directions: k directions.
    seeds: seeds of the n examples.
    reach, columns: as of `along`.
    label: of all, [1], of a conditional generator.
  """
  of = lambda n: None if label is None else np.repeat(label, n, axis=0)
  latents = space.of_z(space.of_prior(seeds), of(len(seeds)))
  moved = along(space, directions, latents, reach, columns)
  k, n = moved.shape[:2]
  places = np.tile(np.repeat(seeds, columns), k)
  x = space.examples(moved.reshape(-1, *moved.shape[3:]), of(k * n * columns), places)
  shown = space.shown(x)
  return shown.reshape(k, n, columns, *shown.shape[1:])


def _signed(vectors: np.ndarray) -> np.ndarray:
  """Turns vectors so that the entry of largest magnitude is positive: signs mean nothing."""
  largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
  return vectors * np.sign(largest)


def _drawn(space: LatentSpace, n: int, labels: Labels) -> np.ndarray:
  given = None if labels is None else np.repeat(labels, n, axis=0)
  return space.of_z(space.sampler.latents(n, SEED), given)


def _tied(space: LatentSpace, latents: np.ndarray) -> np.ndarray:
  """Returns z as it is, and of styles the one row that they repeat: [n, d]."""
  return latents if space.is_z else latents[:, 0]


def _compiled(space: LatentSpace, labels: Labels, **options: Any) -> Callable[[Any], Any]:
  """Compiles `_outputs` as a function of latents."""

  def outputs(latents: Any) -> dict[str, jax.Array]:
    return _outputs(space, latents, labels, **options)

  return jax.jit(fixed(outputs))


def _outputs(
  space: LatentSpace,
  latents: Any,
  labels: Labels,
  names: tuple[str, ...] | None = None,
  order: list[str] | None = None,
) -> dict[str, jax.Array]:
  """Computes the outputs of a generator's layers with a kernel, by path, of latents [n, d].

  Args:
    space: space of latents.
    latents: [n, d].
    labels: of all, [1].
    names: layers to return; None for all.
    order: list to which paths are appended in the order in which layers are applied.
  """
  outputs: dict[str, jax.Array] = {}

  def record(
    call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
  ) -> Any:
    out = call(*args, **kwargs)
    path = "/".join(context.module.path)
    with_kernel = context.method_name == "__call__" and context.module.has_variable(
      "params", "kernel"
    )
    if with_kernel and isinstance(out, jax.Array) and (names is None or path in names):
      outputs[path] = out
      if order is not None:
        order.append(path)
    return out

  n = len(latents)
  given = None if labels is None or not space.is_z else jnp.repeat(jnp.asarray(labels), n, axis=0)
  with nn.intercept_methods(record):
    space.how.draw(
      *space.networks, space.spread(latents), given, make_key(0), jnp.zeros(n, jnp.int32)
    )
  return outputs


def _activations(space: LatentSpace, name: str, latents: np.ndarray, labels: Labels) -> np.ndarray:
  """Computes the outputs of a layer of latents [n, d], [n, k]."""
  size = 100
  apply = _compiled(space, labels, names=(name,))
  parts = []
  for first in range(0, len(latents), size):
    rows = np.minimum(np.arange(first, first + size), len(latents) - 1)
    parts.append(np.asarray(apply(jnp.asarray(latents[rows]))[name]).reshape(size, -1))
  return np.concatenate(parts)[: len(latents)]
