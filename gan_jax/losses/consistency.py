"""Consistency terms: the logit is to stay where an example, or its latent, changes a little."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient

from gan_jax.checks import is_number, shown, takes
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
  return lambda keys, x: x + scale * per_example(jax.random.normal, keys, x)


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
    delta = scale * per_example(jax.random.normal, match.keys, z)
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


def per_example(draw: Callable[..., jax.Array], keys: jax.Array, x: jax.Array) -> jax.Array:
  """Samples an array like x, each example from its own key."""
  return jax.vmap(lambda key: draw(key, x.shape[1:], x.dtype))(keys)


def _require_transform(transform: Transform) -> None:
  require(
    takes(transform, "keys", "x"),
    f"transform is {shown(transform)}: expected a function of keys [B] and x [B, ...], such as "
    "flip_and_shift or jitter(scale=0.05)",
  )


def require(holds: bool, message: str) -> None:
  """Raises a ValueError where a condition does not hold."""
  if not holds:
    raise ValueError(message)
