"""ADA's pipe: all transforms of images, of given values.

Karras et al. 2020, arXiv:2006.06676, appendix B. In order: geometry, colours, filter, noise and
cutout. Those that have a multiplier are computed whether their gates are open or not.
"""

from collections.abc import Mapping

import jax

from gan_jax.game.views.pipe.colors import color_matrix, transform_colors
from gan_jax.game.views.pipe.corruptions import add_noise, cutout
from gan_jax.game.views.pipe.draws import TRANSFORMS, active
from gan_jax.game.views.pipe.filters import amplify_bands
from gan_jax.game.views.pipe.geometry import inverse_matrix, transform
from gan_jax.game.views.pipe.options import Pipe

_PLACES = {name: place for place, name in enumerate(TRANSFORMS)}
GEOMETRIC = tuple(TRANSFORMS)[: _PLACES["brightness"]]
COLORS = tuple(TRANSFORMS)[_PLACES["brightness"] : _PLACES["imgfilter"]]


def augment(
  images: jax.Array, values: Mapping[str, jax.Array], noise: jax.Array | None = None
) -> jax.Array:
  """Applies transforms of given values to images.

  Args:
    images: [B, H, W, C].
    values: values by transform, as `draws.values_of` returns them; those that are left out do
      nothing, and cost nothing.
    noise: [B, H, W, C] of N(0, 1), which the value "noise" scales; None for none.

  Returns:
    [B, H, W, C].
  """
  of = lambda names: {name: values[name] for name in names if name in values}
  if of(GEOMETRIC):
    images = transform(images, inverse_matrix(of(GEOMETRIC), *images.shape[1:3]))
  if of(COLORS):
    images = transform_colors(images, color_matrix(of(COLORS)))
  if "imgfilter" in values:
    images = amplify_bands(images, values["imgfilter"])
  if "noise" in values and noise is not None:
    images = add_noise(images, noise, values["noise"])
  if "cutout_size" in values:
    images = cutout(images, values["cutout_center"], values["cutout_size"])
  return images


def check_images(images: jax.Array, pipe: Pipe) -> None:
  """Checks that a pipe is for such images.

  Raises:
    ValueError: names what it is for.
  """
  if images.ndim != 4:
    raise ValueError(
      f"ADA augments images [B, H, W, C], got {images.shape}: use views.gaussian_noise for points"
    )
  names = active(pipe, images.shape[-1])
  if not names:
    raise ValueError(
      "the pipe has hue and saturation alone, which images of one channel have not: use bgc, color "
      "or another"
    )
  if images.shape[-1] not in (1, 3) and (colors := [name for name in COLORS if name in names]):
    raise ValueError(
      f"{', '.join(colors)} of the pipe are of images of 1 or 3 channels, got {images.shape[-1]}: "
      "use blit, geom, bg, filter, noise or cutout, which take any number"
    )
