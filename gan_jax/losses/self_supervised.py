"""Losses that need no labels: rotations that are told (SSGAN), and mutual information of features
of places and of the whole (InfoMax-GAN)."""

import jax
import jax.numpy as jnp

from gan_jax.checks import require

ROTATIONS = 4


def rotate(images: jax.Array, quarters: jax.Array) -> jax.Array:
  """Rotates images by quarters of a turn, counter-clockwise: transposed, then rows flipped.

  Args:
    images: [B, H, H, C].
    quarters: how often each is rotated by 90 degrees, int32 [B], in [0, 4).

  Returns:
    [B, H, H, C].

  Raises:
    ValueError: if these are not square images.
  """
  require(
    images.ndim == 4 and images.shape[1] == images.shape[2],
    f"rotations are of square images [B, H, H, C], got {images.shape}: choose another task",
  )
  turned = [jnp.rot90(images, k, axes=(1, 2)) for k in range(ROTATIONS)]
  # Computed are all four: a branch for each example would be as much in a batch.
  return jnp.select([(quarters == k)[:, None, None, None] for k in range(ROTATIONS)], turned)


def rotate_batch(
  images: jax.Array, places: jax.Array | None = None, size: int | None = None
) -> tuple[jax.Array, jax.Array]:
  """Rotates each quarter of a batch by another angle. Chen et al. 2019, arXiv:1811.11212 (SSGAN).

  As in mimicry an example has one rotation, floor(4 i / n), and the batch keeps its size; the paper
  has all four of each example of a part of the batch.

  Args:
    images: [B, H, H, C].
    places: places i of the images in the global batch, int32 [B]; None for 0, 1, ...
    size: size n of the global batch; None for B.

  Returns:
    (rotated images [B, H, H, C], quarters of a turn, int32 [B]).
  """
  places = jnp.arange(len(images)) if places is None else places
  quarters = ROTATIONS * places // (size or len(images))
  return rotate(images, quarters), quarters


def info_nce(
  local_features: jax.Array, global_features: jax.Array, *, own_score: float = -10.0
) -> jax.Array:
  """Computes the InfoNCE loss of InfoMax-GAN. Lee et al. 2021, arXiv:2007.04589.

  -log softmax of the score <local, global> of a place and its own image among the scores of this
  image's global features and all places of all images, mean over places. As in the published code
  (mimicry), the scores of the image's own places are replaced among these by -10, not left out.

  Args:
    local_features: features of P places of the whole batch, [B, P, d].
    global_features: features of the images, [B, d].
    own_score: score in the place of those of an image's own places.

  Returns:
    [B] float32.
  """
  n, places, features = local_features.shape
  scores = jnp.matmul(
    global_features, local_features.reshape(-1, features).T, precision="highest"
  ).reshape(n, n, places)
  own = jnp.eye(n, dtype=bool)
  positive = jnp.einsum("ipd,id->ip", local_features, global_features, precision="highest")
  others = jnp.where(own[..., None], own_score, scores).reshape(n, -1)
  # Of one image the negatives are the same for all its places, and are added up once.
  negative = jax.nn.logsumexp(others, axis=1, keepdims=True)
  return jnp.mean(jnp.logaddexp(positive, negative) - positive, axis=1)
