"""Differentiable augmentation, DiffAugment: colour, translation and cutout, each always applied.

Zhao et al. 2020, arXiv:2006.10738. Draws, order and borders are those of the published code.
"""

import jax
import jax.numpy as jnp

from gan_jax.checks import is_number, shown
from gan_jax.game.core import Clock, PyTree
from gan_jax.game.views.view import View


def brightness(images: jax.Array, u: jax.Array) -> jax.Array:
  """Adds u - 1/2 to images [B, H, W, C]; u [B] in [0, 1)."""
  return images + (_each(u) - 0.5)


def saturation(images: jax.Array, u: jax.Array) -> jax.Array:
  """Scales the distance of each pixel to the mean of its channels by 2 u; u [B] in [0, 1)."""
  mean = jnp.mean(images, axis=3, keepdims=True)
  return (images - mean) * (2 * _each(u)) + mean


def contrast(images: jax.Array, u: jax.Array) -> jax.Array:
  """Scales the distance of each image to its mean by u + 1/2; u [B] in [0, 1)."""
  mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
  return (images - mean) * (_each(u) + 0.5) + mean


def translate(
  images: jax.Array, rows: jax.Array, columns: jax.Array, ratio: float = 0.125
) -> jax.Array:
  """Shifts images by whole pixels; zeros enter.

  Args:
    images: [B, H, W, C].
    rows: int [B], at most int(ratio H + 1/2) either way: row i of the result is row i + rows.
    columns: likewise of W.
    ratio: largest shift as a share of each side.

  Returns:
    [B, H, W, C].
  """
  reach = [_round(n * ratio) for n in images.shape[1:3]]
  padded = jnp.pad(images, ((0, 0), *((n, n) for n in reach), (0, 0)))

  def one(image: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice(image, (row + reach[0], column + reach[1], 0), images.shape[1:])

  return jax.vmap(one)(padded, rows, columns)


def cutout(images: jax.Array, rows: jax.Array, columns: jax.Array, ratio: float = 0.5) -> jax.Array:
  """Sets a rectangle of each image to 0; what hangs over the border is cut off.

  Args:
    images: [B, H, W, C].
    rows: int [B] in [0, H], its middle; of an odd number of rows in [0, H).
    columns: likewise of W.
    ratio: sides of the rectangle as shares of the image's.

  Returns:
    [B, H, W, C].
  """

  def inside(middle: jax.Array, n: int) -> jax.Array:
    size = _round(n * ratio)
    first = middle[:, None] - size // 2
    # Places beyond the border are moved onto it, as published: at least one row is cut.
    low, high = (jnp.clip(end, 0, n - 1) for end in (first, first + size - 1))
    place = jnp.arange(n)[None]
    return (low <= place) & (place <= high) & (size > 0)

  cut = inside(rows, images.shape[1])[:, :, None] & inside(columns, images.shape[2])[:, None, :]
  return images * ~cut[..., None]


def color(images: jax.Array, u: jax.Array) -> jax.Array:
  """Applies brightness, saturation and contrast, in this order; u [B, 3] in [0, 1)."""
  return contrast(saturation(brightness(images, u[:, 0]), u[:, 1]), u[:, 2])


def diffaugment(
  *,
  policy: str = "color,translation,cutout",
  translation_ratio: float = 0.125,
  cutout_ratio: float = 0.5,
) -> View:
  """Builds the view of DiffAugment: functions of images, applied in order, each to every image.

  Args:
    policy: color, translation and cutout, in the order of application.
    translation_ratio: largest shift, as a share of each side.
    cutout_ratio: sides of the rectangle that is cut out, as shares of the image's.

  Raises:
    ValueError: for other names and shares; where it is applied, for examples that are no images.
  """
  ratios = {"translation_ratio": translation_ratio, "cutout_ratio": cutout_ratio}
  for name, ratio in ratios.items():
    if not is_number(ratio, lambda x: 0 <= x <= 1):
      raise ValueError(f"{name} is {shown(ratio)}: expected a share of a side, in [0, 1]")

  def of_color(keys: jax.Array, images: jax.Array) -> jax.Array:
    return color(images, jax.vmap(lambda key: jax.random.uniform(key, (3,)))(keys))

  def of_translation(keys: jax.Array, images: jax.Array) -> jax.Array:
    reach = [_round(n * translation_ratio) for n in images.shape[1:3]]
    rows, columns = (_integers(keys, place, -n, n) for place, n in enumerate(reach))
    return translate(images, rows, columns, translation_ratio)

  def of_cutout(keys: jax.Array, images: jax.Array) -> jax.Array:
    # The middle of an even number of pixels is a border between two, of which there is one more.
    last = [n - _round(n * cutout_ratio) % 2 for n in images.shape[1:3]]
    rows, columns = (_integers(keys, place, 0, n) for place, n in enumerate(last))
    return cutout(images, rows, columns, cutout_ratio)

  policies = {"color": of_color, "translation": of_translation, "cutout": of_cutout}
  names = [name.strip() for name in str(policy).split(",") if name.strip()]
  if not names or not set(names) <= set(policies):
    raise ValueError(
      f"policy is {shown(policy)}: expected one or more of color, translation and cutout, with "
      "commas between"
    )

  def apply(x: jax.Array, keys: jax.Array, clock: Clock, memory: PyTree) -> jax.Array:
    if x.ndim != 4:
      raise ValueError(f"DiffAugment is of images [B, H, W, C], got {x.shape}")
    for place, name in enumerate(names):
      # By place: a function may stand in a policy twice, with other draws.
      x = policies[name](_folded(keys, place), x)
    return x

  return View(apply)


def _round(x: float) -> int:
  return int(x + 0.5)


def _each(u: jax.Array) -> jax.Array:
  return u[:, None, None, None]


def _folded(keys: jax.Array, data: int) -> jax.Array:
  return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, data)


def _integers(keys: jax.Array, place: int, low: int, high: int) -> jax.Array:
  """Draws an integer in [low, high] for each example."""
  draw = lambda key: jax.random.randint(key, (), low, high + 1)
  return jax.vmap(draw)(_folded(keys, place))
