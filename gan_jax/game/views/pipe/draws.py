"""Values of ADA's transforms: of given draws, of keys, and at a percentile.

Karras et al. 2020, arXiv:2006.06676, appendix B. A transform draws its value and then a gate, which
is open with the probability multiplier * p; behind a closed gate the value is neutral.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import erfinv

from gan_jax.game.views.pipe.colors import OF_COLOURS
from gan_jax.game.views.pipe.filters import BANDS, band_gains
from gan_jax.game.views.pipe.options import Pipe

Values = dict[str, jax.Array]


class Transform(NamedTuple):
  """How one transform is drawn.

  Attributes:
    multiplier: field of the pipe that its probability is of.
    value: (draw, pipe) -> its value.
    normal: whether its draw is of N(0, 1), and not uniform in [0, 1).
    neutral: value that does nothing.
    shape: shape of its draw for one example.
    gates: shape of its gates, (BANDS,) where each entry has one of its own.
  """

  multiplier: str
  value: Callable[[Any, Pipe], Any]
  normal: bool = False
  neutral: float = 0.0
  shape: tuple[int, ...] = ()
  gates: tuple[int, ...] = ()


def _angle(u: Any, largest: float) -> Any:
  return (2 * u - 1) * math.pi * largest


TRANSFORMS = {
  "xflip": Transform("xflip", lambda u, pipe: jnp.floor(2 * u)),
  "rotate90": Transform("rotate90", lambda u, pipe: jnp.floor(4 * u)),
  "xint": Transform("xint", lambda u, pipe: (2 * u - 1) * pipe.xint_max, shape=(2,)),
  "scale": Transform("scale", lambda n, pipe: jnp.exp2(n * pipe.scale_std), True, 1.0),
  "rotate_pre": Transform("rotate", lambda u, pipe: _angle(u, pipe.rotate_max)),
  "aniso": Transform("aniso", lambda n, pipe: jnp.exp2(n * pipe.aniso_std), True, 1.0),
  "rotate_post": Transform("rotate", lambda u, pipe: _angle(u, pipe.rotate_max)),
  "xfrac": Transform("xfrac", lambda n, pipe: n * pipe.xfrac_std, True, shape=(2,)),
  "brightness": Transform("brightness", lambda n, pipe: n * pipe.brightness_std, True),
  "contrast": Transform("contrast", lambda n, pipe: jnp.exp2(n * pipe.contrast_std), True, 1.0),
  "lumaflip": Transform("lumaflip", lambda u, pipe: jnp.floor(2 * u)),
  "hue": Transform("hue", lambda u, pipe: _angle(u, pipe.hue_max)),
  "saturation": Transform(
    "saturation", lambda n, pipe: jnp.exp2(n * pipe.saturation_std), True, 1.0
  ),
  "imgfilter": Transform(
    "imgfilter", lambda n, pipe: jnp.exp2(n * pipe.imgfilter_std), True, 1.0, (BANDS,), (BANDS,)
  ),
  "noise": Transform("noise", lambda n, pipe: jnp.abs(n) * pipe.noise_std, True),
  "cutout_size": Transform("cutout", lambda u, pipe: jnp.full_like(u, pipe.cutout_size)),
  "cutout_center": Transform("cutout", lambda u, pipe: u, shape=(2,)),
}


def active(pipe: Pipe, channels: int) -> tuple[str, ...]:
  """Lists the transforms of a pipe for images of so many channels, in order."""
  idle = OF_COLOURS if channels == 1 else ()
  return tuple(
    name
    for name, transform in TRANSFORMS.items()
    if getattr(pipe, transform.multiplier) > 0 and name not in idle
  )


def probability(name: str, pipe: Pipe, p: Any) -> Any:
  """Computes the probability that the gate of a transform is open.

  Args:
    name: one of `TRANSFORMS`.
    pipe: pipe that it is of.
    p: strength of the pipe.

  Returns:
    A number, or [1, 4] of the bands of "imgfilter"; of the two rotations 1 - √(1 - p), so that an
    image is rotated with probability p.
  """
  chance = getattr(pipe, TRANSFORMS[name].multiplier) * p
  if name in ("rotate_pre", "rotate_post"):
    return 1 - jnp.sqrt(jnp.clip(1 - chance, 0, 1))
  if name == "imgfilter":
    return chance * jnp.float32([pipe.imgfilter_bands])
  return 1.0 if name == "cutout_center" else chance


def values_of(pipe: Pipe, p: Any, draws: Mapping[str, Any], gates: Mapping[str, Any]) -> Values:
  """Computes the values of transforms of given draws.

  Args:
    pipe: pipe that they are of.
    p: strength of the pipe.
    draws: draws by transform, [B, ...].
    gates: uniform draws in [0, 1), likewise; one of an entry that is lacking is open.

  Returns:
    Values by transform: those of `geometry.inverse_matrix` and `colors.color_matrix`; "imgfilter",
    gains [B, 4]; "noise", standard deviations [B]; "cutout_center" [B, 2] and "cutout_size" [B].
  """
  values = {}
  for name, draw in draws.items():
    transform = TRANSFORMS[name]
    value = transform.value(draw, pipe)
    if name in gates:
      is_open = gates[name] < probability(name, pipe, p)
      is_open = is_open.reshape(*is_open.shape, *[1] * (value.ndim - is_open.ndim))
      value = jnp.where(is_open, value, transform.neutral)
    values[name] = value
  if "imgfilter" in values:
    values["imgfilter"] = band_gains(values["imgfilter"])
  return values


def draw_values(pipe: Pipe, p: Any, keys: jax.Array, channels: int) -> Values:
  """Computes the values of transforms, each example's from its own key; see `values_of`.

  Args:
    pipe: pipe that they are of.
    p: strength of the pipe.
    keys: [B] typed PRNG keys.
    channels: number of channels of the images.
  """

  def one(key: jax.Array) -> tuple[Values, Values]:
    # One draw for all, those that are not active too: no transform's depends on the others.
    kinds = (jax.random.uniform, jax.random.normal, jax.random.uniform)
    keys = jax.random.split(key, len(kinds))
    uniform, normal, gates = (
      draw(key, (len(TRANSFORMS), BANDS)) for draw, key in zip(kinds, keys, strict=True)
    )
    rows = {name: row for row, name in enumerate(TRANSFORMS) if name in active(pipe, channels)}
    value = lambda name, row: _first(
      (normal if TRANSFORMS[name].normal else uniform)[row], TRANSFORMS[name].shape
    )
    return (
      {name: value(name, row) for name, row in rows.items()},
      {name: _first(gates[row], TRANSFORMS[name].gates) for name, row in rows.items()},
    )

  return values_of(pipe, p, *jax.vmap(one)(keys))


def _first(row: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Returns the first numbers of a row, in this shape."""
  return row[: math.prod(shape)].reshape(shape)


def values_at(pipe: Pipe, percentile: float, batch: int, channels: int) -> Values:
  """Computes the values of transforms at a percentile of each: the published code's debug mode.

  As there normal draws are erfinv(2 q - 1), without √2; of noise erfinv(q); the second rotation is
  by 0, and all gates are open.

  Args:
    pipe: pipe that they are of.
    percentile: q in (0, 1).
    batch: number of examples.
    channels: number of channels of the images.
  """
  q = jnp.float32(percentile)
  draws = {}
  for name in active(pipe, channels):
    normal = erfinv(q if name == "noise" else 2 * q - 1)
    draw = normal if TRANSFORMS[name].normal else q
    draws[name] = jnp.full((batch, *TRANSFORMS[name].shape), draw)
  if "imgfilter" in draws:
    draws["imgfilter"] *= jnp.float32([pipe.imgfilter_bands]) > 0
  if "rotate_post" in draws:
    draws["rotate_post"] = jnp.full(batch, 0.5)  # the middle of its range
  return values_of(pipe, 1.0, draws, {})
