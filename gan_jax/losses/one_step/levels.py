"""Images of several depths of a generator, noised to falling levels and judged as one: GAT.

Scalable GANs with Transformers, arXiv:2509.24935: the generator emits an image after every quarter
of its blocks, and the discriminator sees all of them, with as much noise as they are early. The
loss is `relativistic` with approximate R1 and R2 by the convention "gat". Pure functions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import one_hot

from gan_jax.losses.objectives import unit


def noise_levels(count: int = 4, base: float = 0.125, offset: float = 0.01) -> np.ndarray:
  """Computes the noise level of each image, the earliest first: 1 - base^(1 - k/(n-1)) + offset.

  The final image has `offset` too, also if it is the only one.
  """
  return 1 - base ** (np.arange(count)[::-1] / max(count - 1, 1)) + offset


def check_levels(levels: np.ndarray) -> None:
  """Checks that noise levels fall from the earliest image to the final one, within [0, 1].

  Args:
    levels: noise levels t [n], n >= 1.

  Raises:
    ValueError: if they do not, or if two of them are 1, whose images nobody could see.
  """
  t = np.asarray(levels)
  falling = t.ndim == 1 and len(t) > 0 and (np.diff(t) <= 0).all()
  if not falling or not (0 <= t[-1] < 1 and t[0] <= 1) or (t[1:] == 1).any():
    raise ValueError(
      f"noise levels are {np.round(t, 4).tolist()}: expected numbers in [0, 1] that do not rise, "
      "the earliest image's first, such as noise_levels(4)"
    )


def noise_steps(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Computes the factor of the noise so far, and the deviation of fresh noise, at each level.

  Going from the last level to the first: the noise of level k has the variance t_k².
  """
  before = np.append(levels[1:], 0.0)
  factor = (1 - levels) / (1 - before)
  return factor, np.sqrt(levels**2 - (factor * before) ** 2)


def noise_chain(images: jax.Array, draws: jax.Array, levels: np.ndarray | None = None) -> jax.Array:
  """Noises images along one Markov chain, (1 - t_k) image_k + noise_k.

  Args:
    images: [levels, B, ...], the earliest and noisiest first.
    draws: standard normal of the same shape; the draw of a level is its fresh noise.
    levels: noise levels t; those of `noise_levels` by default.
  """
  levels = noise_levels(len(images)) if levels is None else levels
  (factor, fresh), noise, noised = noise_steps(levels), jnp.zeros_like(draws[0]), []
  for k in reversed(range(len(images))):
    noise = factor[k] * noise + fresh[k] * draws[k]
    noised.append((1 - levels[k]) * images[k] + noise)
  return jnp.stack(noised[::-1])


def judged_as_one(images: jax.Array) -> jax.Array:
  """Concatenates the images of all levels along channels: [levels, B, ..., C] -> [B, ..., n C]."""
  return jnp.concatenate(list(images), axis=-1)


def feature_target(features: jax.Array, target: jax.Array) -> jax.Array:
  """Computes 1 - cos of features and frozen ones, of tokens the mean: [B, ..., d] -> [B]."""
  cosine = jnp.sum(unit(features) * unit(target), axis=-1)
  return 1 - jnp.mean(cosine.reshape(len(cosine), -1), axis=1)


# --- augmentation ---------------------------------------------------------------------------------


class Augmentation(NamedTuple):
  """Parameters of GAT's augmentation, by example.

  Attributes:
    brightness: [B] added to all, uniform in ±0.5.
    saturation: [B] factor of differences to the mean of a pixel, uniform in [0, 2].
    contrast: [B] factor of differences to the mean of the image, uniform in [0.5, 1.5].
    coloured: [B] whether these three are applied.
    shift: int [B, 2] of rows and columns; the image at i is that at i + shift.
    hole: int [B, 2] centre of the hole, which is half as high and wide as the image.
    flipped: [B] whether it is mirrored left to right.
  """

  brightness: jax.Array
  saturation: jax.Array
  contrast: jax.Array
  coloured: jax.Array
  shift: jax.Array
  hole: jax.Array
  flipped: jax.Array


def draw_augmentation(
  keys: jax.Array,
  shape: tuple[int, ...],
  *,
  colour: float = 0.5,
  flip: float = 0.4,
  shift: float = 0.125,
) -> Augmentation:
  """Samples the parameters of images of a shape (H, W, C), one for each key.

  Args:
    keys: [B] typed PRNG keys.
    shape: shape of an image.
    colour: probability of the change of colours.
    flip: probability of the flip.
    shift: largest shift as a share of the side, rounded.

  Raises:
    ValueError: if these are not images.
  """
  if len(shape) != 3:
    raise ValueError(f"this augmentation is of images (H, W, C), got {tuple(shape)}: leave it out")

  def one(key: jax.Array) -> Augmentation:
    uniforms, *of_places = jax.random.split(key, 5)
    u = jax.random.uniform(uniforms, (5,))
    integer = lambda key, low, high: jax.random.randint(key, (), low, high)
    reach = [int(side * shift + 0.5) for side in shape[:2]]
    moves = [integer(key, -n, n + 1) for key, n in zip(of_places[:2], reach, strict=True)]
    # Of an even hole the centre is between two pixels, of which there is one more.
    sides = [side + 1 - _hole(side) % 2 for side in shape[:2]]
    centre = [integer(key, 0, n) for key, n in zip(of_places[2:], sides, strict=True)]
    colours = u[0] - 0.5, 2 * u[1], u[2] + 0.5, u[3] < colour
    return Augmentation(*colours, jnp.stack(moves), jnp.stack(centre), u[4] < flip)

  return jax.vmap(one)(keys)


def augment(x: jax.Array, of: jax.Array, parameters: Augmentation) -> jax.Array:
  """Changes colours, shifts, cuts a hole of half the side, and flips: DiffAugment as in GAT.

  Means of pixels and of the image are those of `of`, also after the first change, as published:
  the clean final image, for all levels and for the noised images of penalties too.

  Args:
    x: images [B, H, W, C].
    of: images whose means are taken, of the same shape; x itself in general.
    parameters: parameters of each.

  Returns:
    [B, H, W, C].
  """
  return jax.vmap(lambda *one: _cut_and_flip(_shift(_colour(*one), one[2]), one[2]))(
    x, of, parameters
  )


def _colour(x: jax.Array, of: jax.Array, p: Augmentation) -> jax.Array:
  pixel, image = jnp.mean(of, axis=-1, keepdims=True), jnp.mean(of)
  y = (x + p.brightness - pixel) * p.saturation + pixel
  return jnp.where(p.coloured, (y - image) * p.contrast + image, x)


def _shift(x: jax.Array, p: Augmentation) -> jax.Array:
  """Shifts an image, with zeros where nothing was."""
  # As products: the gradient of a gather is a scatter, which is slow.
  rows, columns = (
    one_hot(jnp.arange(side) + p.shift[axis], side) for axis, side in enumerate(x.shape[:2])
  )
  return jnp.einsum("ij,jkc,lk->ilc", rows, x, columns, precision="highest")


def _cut_and_flip(x: jax.Array, p: Augmentation) -> jax.Array:
  inside = []
  for axis, side in enumerate(x.shape[:2]):
    first = p.hole[axis] - _hole(side) // 2
    place = jnp.arange(side)
    inside.append((place >= first) & (place < first + _hole(side)))
  x = jnp.where((inside[0][:, None] & inside[1][None])[..., None], 0, x)
  return jnp.where(p.flipped, x[:, ::-1], x)


def _hole(side: int) -> int:
  return int(side * 0.5 + 0.5)
