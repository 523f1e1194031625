"""Consistency terms: the logit is to stay where an example, or its latent, changes a little."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jax.scipy.ndimage import map_coordinates

from gan_jax.checks import is_number, require, shown, takes
from gan_jax.game.random import draw_like
from gan_jax.losses.objectives import Match, Term, stateless

Regularizer = Callable[[Match], jax.Array]  # match -> [B]
Transform = Callable[[jax.Array, jax.Array], jax.Array]  # (keys [B], x [B, ...]) -> [B, ...]


def flip_and_shift(keys: jax.Array, images: jax.Array) -> jax.Array:
  """Flips images left to right at random and shifts them by up to 1/8 of their size.

  The transform of Zhang et al. 2020, arXiv:1910.12027 (4 of 32 pixels). What a shift uncovers is
  filled by reflection, so that there is no border to recognise it by.

  Args:
    keys: [B] typed PRNG keys.
    images: [B, H, W, C], of any range.

  Returns:
    [B, H, W, C].

  Raises:
    ValueError: if these are not images.
  """
  require(
    images.ndim == 4,
    f"flip_and_shift takes images [B, H, W, C], got {images.shape}; for points choose another "
    "transform, e.g. consistency(transform=jitter(scale=0.05))",
  )
  reach = (images.shape[1] // 8, images.shape[2] // 8)

  def one(key: jax.Array, image: jax.Array) -> jax.Array:
    flip, *axes = jax.random.split(key, 3)
    mirrored = jnp.where(jax.random.bernoulli(flip), image[:, ::-1], image)
    padded = jnp.pad(mirrored, [(n, n) for n in reach] + [(0, 0)], mode="reflect")
    first = [jax.random.randint(k, (), 0, 2 * n + 1) for k, n in zip(axes, reach, strict=True)]
    return jax.lax.dynamic_slice(padded, [*first, 0], image.shape)

  return jax.vmap(one)(keys, images)


def affine(
  *, rotation: float = 0.35, shear: float = 0.35, scale: float = 0.25, shift: float = 0.09
) -> Transform:
  """Builds a transform that rotates, shears, scales and shifts images at random.

  Every amount is uniform between plus and minus its bound. Between pixels it is linear; beyond the
  border the nearest pixel is repeated.

  Args:
    rotation: bound of the angle, in radians.
    shear: bound of the slant, width over height.
    scale: bound of the logarithm of each side's factor.
    shift: bound of the shift along each side, as a share of it.

  Returns:
    (keys [B], images [B, H, W, C]) -> [B, H, W, C].

  Raises:
    ValueError: if a bound is negative.
  """
  bounds = {"rotation": rotation, "shear": shear, "scale": scale, "shift": shift}
  for name, bound in bounds.items():
    require(is_number(bound, lambda x: x >= 0), f"{name} must be >= 0, got {shown(bound)}")

  def one(key: jax.Array, image: jax.Array) -> jax.Array:
    angle, slant, *amounts = jax.random.uniform(key, (6,), minval=-1.0)
    cos, sin = jnp.cos(rotation * angle), jnp.sin(rotation * angle)
    tall, wide = (jnp.exp(scale * amount) for amount in amounts[:2])
    height, width = image.shape[:2]
    row, column = (
      jnp.indices((height, width)) - jnp.array([height - 1, width - 1])[:, None, None] / 2
    )
    row, column = tall * row, wide * (column + shear * slant * row)
    places = [
      cos * row - sin * column + (height - 1) / 2 + shift * height * amounts[2],
      sin * row + cos * column + (width - 1) / 2 + shift * width * amounts[3],
    ]
    read = lambda channel: map_coordinates(channel, places, 1, mode="nearest")
    return jax.vmap(read, in_axes=2, out_axes=2)(image)

  def transform(keys: jax.Array, images: jax.Array) -> jax.Array:
    require(
      images.ndim == 4,
      f"affine takes images [B, H, W, C], got {images.shape}; of other examples give the term, "
      "such as weights.self_augmented, another transform from Python, or leave its weight at 0",
    )
    return jax.vmap(one)(keys, images)

  return transform


def jitter(*, scale: float) -> Transform:
  """Builds a transform that adds Gaussian noise, for points and other data that are not images.

  Args:
    scale: standard deviation of the noise, in units of the data, >= 0.

  Returns:
    (keys [B], x [B, ...]) -> [B, ...].

  Raises:
    ValueError: if the scale is negative.
  """
  require(
    is_number(scale, lambda x: x >= 0),
    f"the noise's standard deviation must be >= 0, got {shown(scale)}",
  )
  return lambda keys, x: x + scale * draw_like(jax.random.normal, keys, x)


def consistency(*, transform: Transform = flip_and_shift) -> Regularizer:
  """Penalises a change of the logit under a transform, (D(x) - D(T(x)))² (CR-GAN).

  Zhang et al. 2020, arXiv:1910.12027. The gradient reaches D through both logits.

  Args:
    transform: T: (keys [B], x [B, ...]) -> [B, ...], random only through the keys.

  Returns:
    The regularizer.
  """
  _require_transform(transform)
  return lambda match: _change(match, match.real_scores, transform(match.keys, match.real))


def balanced_consistency(*, transform: Transform = flip_and_shift) -> Regularizer:
  """Penalises the change at fakes as well, (D(x) - D(T(x)))² + (D(x̃) - D(T(x̃)))² (bCR).

  Zhao et al. 2021, arXiv:2002.04724, with its λ_real = λ_fake as the weight outside.

  Args:
    transform: T: (keys [B], x [B, ...]) -> [B, ...], random only through the keys.

  Returns:
    The regularizer.
  """
  _require_transform(transform)

  def penalty(match: Match) -> jax.Array:
    keys = jax.vmap(jax.random.split)(match.keys)
    fake = stop_gradient(match.fake)
    real_change = _change(match, match.real_scores, transform(keys[:, 0], match.real))
    fake_logits = match.discriminator(fake, "fake")
    return real_change + _change(match, fake_logits, transform(keys[:, 1], fake), "fake")

  return penalty


def latent_consistency(*, scale: float = 0.03) -> Term:
  """Penalises a change of the logit under a step of the latents, (D(G(z)) - D(G(z + δ)))² (zCR).

  Zhao et al. 2021, arXiv:2002.04724: the discriminator's part, δ ~ N(0, scale²) per latent. It
  costs one more forward of G.

  Args:
    scale: standard deviation of δ, >= 0; 0.03 in the paper for z ~ N(0, 1).

  Returns:
    The regularizer.

  Raises:
    ValueError: if the scale is negative.
  """
  require(
    is_number(scale, lambda x: x >= 0),
    f"the step's standard deviation must be >= 0, got {shown(scale)}",
  )

  def penalty(match: Match) -> jax.Array:
    # A packed fake has one key and is made of several latents.
    z = match.latents.reshape(match.keys.shape[0], -1, *match.latents.shape[1:])
    delta = scale * draw_like(jax.random.normal, match.keys, z)
    moved = match.generator(match.latents + delta.reshape(match.latents.shape))
    fake_logits = match.discriminator(stop_gradient(match.fake), "fake")
    return _change(match, fake_logits, stop_gradient(moved), "fake")

  return stateless(penalty, uses_real=False)


def _change(match: Match, logits: jax.Array, x: jax.Array, *kind: str) -> jax.Array:
  """Computes the squared change of logits to those of x.

  Logits of fakes must be computed anew: `match.fake_logits` may be of another dropout mask or
  spectral norm than `match.discriminator`.
  """
  return (logits - match.discriminator(x, *kind)) ** 2


def _require_transform(transform: Transform) -> None:
  require(
    takes(transform, "keys", "x"),
    f"transform is {shown(transform)}: expected a function of keys [B] and x [B, ...], such as "
    "flip_and_shift or jitter(scale=0.05)",
  )
